"""The real ms-swift on a CPU: trainings that are killed and go on, and merging."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from evpv_prm.jsonl import write_rows

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, EPOCHS = 6, 2
STEPS = SAMPLES * EPOCHS
SETTINGS = {
    "num_train_epochs": EPOCHS,
    "learning_rate": 1e-3,
    "gradient_accumulation_steps": 1,
    "logging_steps": 1,
    "save_steps": 3,
    "eval_steps": 3,
    "max_length": 1024,
    "dataset_num_proc": 1,
}


def sample(image: str, number: int) -> dict[str, object]:
    return {
        "messages": [
            {"role": "system", "content": "Describe the picture."},
            {"role": "user", "content": f"<image>What is shown? ({number})"},
            {"role": "assistant", "content": f"Picture {number}: two points and a line."},
        ],
        "images": [image],
        "rejected_response": f"Picture {number}: a horse.",
        "note": "fields of our own do not disturb the trainer",
    }


@pytest.fixture(scope="module")
def data(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl and validation.jsonl."""
    folder = tmp_path_factory.mktemp("data")
    paths = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    rows = [sample(paths[number % len(paths)], number) for number in range(SAMPLES + 2)]
    write_rows(folder / "train.jsonl", rows[:SAMPLES])
    write_rows(folder / "validation.jsonl", rows[SAMPLES:])
    return folder


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    values = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    values |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    return values


def start(script: str, *options: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "scripts/train" / f"{script}.py"), *map(str, options)]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    _, log = process.communicate()
    assert process.returncode == 0, log
    return log


def training(
    script: str, model: Path, data: Path, images: Path, output: Path, *options: str
) -> subprocess.Popen[str]:
    return start(
        script,
        *("--model", model, "--images-root", images, "--output", output),
        *("--train", data / "train.jsonl", "--validation", data / "validation.jsonl"),
        *(f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()),
        *options,
    )


def logged_step(output: Path) -> int:
    """The last step in the log of a training, which may be running."""
    logs = list(output.parent.glob("work/*/checkpoints/logging.jsonl"))
    lines = logs[0].read_text().splitlines(keepends=True) if logs else []
    rows = [json.loads(line) for line in lines if line[-1] == "\n"]
    words = [row[name] for row in rows if (name := "global_step/max_steps") in row]
    return int(words[-1].partition("/")[0]) if words else 0


def wait_for_step(process: subprocess.Popen[str], output: Path, step: int) -> None:
    while logged_step(output) < step:
        assert process.poll() is None, "the training ended before it could be disturbed"
        time.sleep(0.01)


def processes(folder: Path) -> list[int]:
    """The processes that have a folder, or what is in it, among their arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def trainers(output: Path) -> list[int]:
    """The processes that train the adapter, without the command that runs them."""
    return processes(output.parent / "work")


def signal_all(pids: Iterable[int], sent: signal.Signals) -> None:
    """Signal processes of which some may just have ended by the end of others."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sent)


def adapter(output: Path) -> bytes:
    return (output / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def sft(models: Path, data: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of an undisturbed vision SFT."""
    output = tmp_path_factory.mktemp("sft") / "adapter"
    finish(training("sft_vision", models / "qwen25vl", data, images, output))
    return output


def test_training_says_what_was_trained_on_what(sft: Path) -> None:
    manifest = json.loads((sft / "train.json").read_text())
    assert manifest["steps"] == STEPS
    assert manifest["settings"]["packing"] is True
    assert "packing: False instead of True: it needs flash_attn" in manifest["substitutions"]
    assert manifest["metrics"]["train"]["loss"] > 0
    assert manifest["metrics"]["validation"]["eval_loss"] > 0
    assert manifest["packages"]["ms-swift"] == "4.6.0"


def test_killed_and_stopped_training_goes_on_to_the_same_adapter(
    sft: Path, models: Path, data: Path, images: Path, tmp_path: Path
) -> None:
    output = tmp_path / "adapter"

    def go() -> subprocess.Popen[str]:
        return training("sft_vision", models / "qwen25vl", data, images, output)

    # The runner dies at once; its trainer stops by itself, and the next run waits for that.
    process = go()
    wait_for_step(process, output, 4)
    process.kill()
    process.wait()

    process = go()
    wait_for_step(process, output, 8)
    process.terminate()
    _, log = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, log
    assert "going on from" in log
    assert trainers(output) == []
    assert not output.exists()
    kept = [int(path.name.split("-")[1]) for path in output.parent.glob("work/*/*/checkpoint-*")]
    assert 8 <= max(kept) < STEPS

    assert f"checkpoint-{max(kept)}" in finish(go())
    assert adapter(output) == adapter(sft)
    assert finish(go()).count("swift.cli.sft") == 0, "a finished training was trained again"


def test_trainer_killed_outright_goes_on_to_the_same_adapter(
    sft: Path, models: Path, data: Path, images: Path, tmp_path: Path
) -> None:
    output = tmp_path / "adapter"
    process = training("sft_vision", models / "qwen25vl", data, images, output)
    wait_for_step(process, output, 7)
    signal_all(trainers(output), signal.SIGKILL)
    _, log = process.communicate()
    assert process.returncode != 0
    assert f"status -9 at step 6 of {STEPS}" in log.splitlines()[-1]
    finish(training("sft_vision", models / "qwen25vl", data, images, output))
    assert adapter(output) == adapter(sft)


def test_killed_and_stopped_dpo_goes_on_to_the_same_adapter(
    models: Path, data: Path, images: Path, tmp_path: Path
) -> None:
    whole, disturbed = tmp_path / "whole/adapter", tmp_path / "disturbed/adapter"

    def go(output: Path) -> subprocess.Popen[str]:
        return training("dpo_vision", models / "qwen25vl", data, images, output, "--adapter=best")

    finish(go(whole))
    log = [json.loads(line) for line in (whole / "logging.jsonl").read_text().splitlines()]
    assert any("rewards/margins" in row for row in log)
    kept = json.loads((whole / "train.json").read_text())["adapter"]["checkpoint"]
    losses = {row["step"]: row["eval_loss"] for row in log[-1]["log_history"] if "eval_loss" in row}
    assert kept == f"checkpoint-{min(losses, key=losses.__getitem__)}"

    process = go(disturbed)
    wait_for_step(process, disturbed, 2)
    # As a scheduler does, loaders included.
    signal_all([process.pid, *trainers(disturbed)], signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert trainers(disturbed) == []
    assert any(disturbed.parent.glob("work/*/*/checkpoint-*/trainer_state.json"))

    process = go(disturbed)
    wait_for_step(process, disturbed, 7)
    signal_all([process.pid, *trainers(disturbed)], signal.SIGKILL)
    process.communicate()

    finish(go(disturbed))
    assert adapter(disturbed) == adapter(whole)


class Workflow:
    """Snakemake, with the vision SFT as its only rule, on the data of the other tests."""

    def __init__(self, folder: Path, model: Path, data: Path, images: Path) -> None:
        self.folder, self.results = folder, folder / "results"
        self.adapter = self.results / "models/vision_sft"
        self.log = self.results / "logs/train_vision_sft.log"
        values: dict[str, Any] = yaml.safe_load(
            (ROOT / "profiles/demo/experiment.yaml").read_text()
        )
        values["results"] = str(self.results)  # for `processes` to find
        values["training"] |= {"base": str(model), "vision_sft": SETTINGS}
        (folder / "experiment.yaml").write_text(yaml.safe_dump(values))
        shutil.copytree(images, self.results / "data/pairs")
        shutil.copytree(data, self.results / "data/vision_sft")

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--configfile", "experiment.yaml", "--cores", "1", "--rerun-incomplete"),
            *("--allowed-rules", "train_vision_sft", *options, "--", "train_vision_sft"),
        ]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_workflow_that_is_ended_goes_on_to_the_same_adapter(
    sent: signal.Signals, sft: Path, models: Path, data: Path, images: Path, tmp_path: Path
) -> None:
    workflow = Workflow(tmp_path, models / "qwen25vl", data, images)
    draw = Random(sent)

    for what in ("job", "Snakemake"):
        moment = logged_step(workflow.adapter) + draw.randint(1, 3)
        process = workflow.start()
        wait_for_step(process, workflow.adapter, moment)
        if what == "job":
            signal_all(processes(workflow.results), sent)
        else:
            os.killpg(process.pid, sent)
        _, log = process.communicate()
        assert process.returncode != 0, log
        assert not workflow.adapter.exists()
    if sent == signal.SIGKILL:
        finish(workflow.start("--unlock"))

    finish(workflow.start())
    assert "going on from" in workflow.log.read_text()
    assert adapter(workflow.adapter) == adapter(sft)


def test_merged_model_is_the_base_changed_by_the_adapter(
    sft: Path, models: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForImageTextToText

    base, merged = models / "qwen25vl", tmp_path / "merged"
    options = ("--adapter", sft, "--output", merged)
    finish(start("merge_lora", "--model", base, *options))
    model = AutoModelForImageTextToText.from_pretrained(merged)
    assert model.dtype == torch.bfloat16
    old, new = (load_file(folder / "model.safetensors") for folder in (base, merged))
    assert old.keys() == new.keys()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed
    assert {name.partition(".layers.")[0] for name in changed} == {"model"}

    again = start("merge_lora", "--model", merged, "--adapter", sft, "--output", tmp_path / "twice")
    _, log = again.communicate()
    assert again.returncode == 2
    assert "was trained on another model" in log
    assert not (tmp_path / "twice").exists()


def test_trainer_that_would_not_show_the_images_is_refused(
    models: Path, data: Path, images: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(models / "qwen25vl", base)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"image_token_id": 151648}))
    process = training("sft_vision", base, data, images, tmp_path / "adapter")
    _, log = process.communicate()
    assert process.returncode == 2
    *_, reason, last = log.splitlines()
    assert re.search(r"error: the first training sample holds 0 image tokens \(id 151648\)", reason)
    assert "the trainer ended with status 1 at start" in last
