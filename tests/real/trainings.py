"""Trainings with the real ms-swift on a CPU, alone and as a rule, that tests disturb."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tests.real.demo import demo_experiment

Running = subprocess.Popen[str]

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, EPOCHS = 6, 2
STEPS = SAMPLES * EPOCHS
SETTINGS: dict[str, Any] = {
    "num_train_epochs": EPOCHS,
    "learning_rate": 1e-3,
    "gradient_accumulation_steps": 1,
    "logging_steps": 1,
    "checkpoints": 4,
    "validations": 4,
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


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    values = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    values |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    return values


def start(script: str, *options: str | Path) -> Running:
    command = [sys.executable, str(ROOT / "scripts/train" / f"{script}.py"), *map(str, options)]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)


def finish(process: Running) -> str:
    _, log = process.communicate()
    assert process.returncode == 0, log
    return log


def training(
    script: str, model: Path, data: Path, images: Path, output: Path, *options: str
) -> Running:
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


def validated_steps(adapter: Path) -> list[int]:
    """The steps after which a finished training was validated."""
    log = [json.loads(line) for line in (adapter / "logging.jsonl").read_text().splitlines()]
    return [row["step"] for row in log[-1]["log_history"] if "eval_loss" in row]


def cached_data(output: Path) -> dict[str, int]:
    """When each file was written in which a training, done or not, has its prepared data."""
    files = output.parent.glob("work/*/cache/**/*.arrow")
    return {str(file): file.stat().st_mtime_ns for file in files}


def wait_for_step(process: Running, output: Path, step: int) -> None:
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


class Workflow:
    """Snakemake, with the vision SFT as its only rule, on the data of the other tests."""

    def __init__(self, folder: Path, model: Path, data: Path, images: Path) -> None:
        self.folder, self.results = folder, folder / "results"
        self.adapter = self.results / "models/vision_sft"
        self.log = self.results / "logs/train_vision_sft.log"
        values = demo_experiment("experiment.yaml")
        values["results"] = str(self.results)  # for `processes` to find
        values["stages"] = None  # they need the verifier of these results
        values["training"] |= {"base": str(model), "vision_sft": SETTINGS}
        (folder / "experiment.yaml").write_text(yaml.safe_dump(values))
        shutil.copytree(images, self.results / "data/pairs")
        shutil.copytree(data, self.results / "data/vision_sft")

    def start(self, *options: str, how: tuple[str, ...] = ("--cores", "1")) -> Running:
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *how),
            *("--configfile", "experiment.yaml", "--rerun-incomplete"),
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
