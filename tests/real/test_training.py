"""The real ms-swift on a CPU: trainings that are killed and go on, and merging."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from random import Random

import pytest
from safetensors.torch import load_file

from tests.real.trainings import (
    SETTINGS,
    STEPS,
    Running,
    Workflow,
    adapter,
    cached_data,
    finish,
    logged_step,
    processes,
    signal_all,
    start,
    trainers,
    training,
    validated_steps,
    wait_for_step,
)

pytestmark = pytest.mark.real


def test_training_says_what_was_trained_on_what(sft: Path) -> None:
    manifest = json.loads((sft / "train.json").read_text())
    assert manifest["steps"] == STEPS
    assert manifest["settings"]["packing"] is True
    assert any("packing: False instead of True" in line for line in manifest["substitutions"])
    assert manifest["metrics"]["train"]["loss"] > 0
    assert manifest["metrics"]["validation"]["eval_loss"] > 0
    assert manifest["packages"]["ms-swift"] == "4.6.0"
    validations = SETTINGS["validations"]
    assert validated_steps(sft) == list(range(0, STEPS + 1, STEPS // validations))[1:]


def test_killed_and_stopped_training_goes_on_to_the_same_adapter(
    sft: Path, models: Path, data: Path, images: Path, tmp_path: Path
) -> None:
    output = tmp_path / "adapter"

    def go() -> Running:
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
    cached = cached_data(output)
    assert cached
    finish(training("sft_vision", models / "qwen25vl", data, images, output))
    assert adapter(output) == adapter(sft)
    assert cached_data(output) == cached, "the data was prepared again"
    assert validated_steps(output) == validated_steps(sft)


def test_killed_and_stopped_dpo_goes_on_to_the_same_adapter(
    models: Path, data: Path, images: Path, tmp_path: Path
) -> None:
    whole, disturbed = tmp_path / "whole/adapter", tmp_path / "disturbed/adapter"

    def go(output: Path) -> Running:
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


def test_workflow_that_is_killed_goes_on_to_the_same_adapter(
    sft: Path, models: Path, data: Path, images: Path, tmp_path: Path
) -> None:
    # SIGTERM is what SLURM's tests send.
    workflow = Workflow(tmp_path, models / "qwen25vl", data, images)
    draw = Random(9)

    for what in ("job", "Snakemake"):
        moment = logged_step(workflow.adapter) + draw.randint(1, 3)
        process = workflow.start()
        wait_for_step(process, workflow.adapter, moment)
        if what == "job":
            signal_all(processes(workflow.results), signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL)
        _, log = process.communicate()
        assert process.returncode != 0, log
        assert not workflow.adapter.exists()
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
