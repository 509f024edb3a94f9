"""The demo end to end with real vLLM and ms-swift, as jobs of a real SLURM; and partial reruns.

It runs beside the tests of SLURM, which wait more than they work. Where there can be no SLURM,
Snakemake runs the jobs itself.
"""

from __future__ import annotations

import json
import re

import pytest

from evpv_prm.jsonl import read_rows, write_rows
from tests.real.demo import RESULTS, check_results
from tests.real.slurm.conftest import LOCALLY, ON_SLURM, Demo, ended

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]


def test_the_demo_runs_to_its_tables_and_figures(demo: Demo) -> None:
    check_results(demo.folder, demo.values)
    if demo.profile == ON_SLURM:
        assert set(ended(demo.folder)) == {"COMPLETED"}
    # Every job that loads a model says so once: one task a job, however many GPUs it has.
    logs = [path.read_text() for path in (demo.folder / RESULTS / "logs").rglob("*.log")]
    loads = [len(re.findall(r"on GPU \d", log)) for log in logs]
    assert max(loads) == 1 <= sum(loads)


def test_each_model_is_made_from_the_one_before(demo: Demo) -> None:
    stages = {
        "vision_sft": "VisionSft",
        "vision_dpo": "VisionDpo",
        "step_judge_sft": "StepJudgeSft",
    }
    bases = [demo.values["training"]["base"]]
    for (adapter, stage), name in zip(
        stages.items(), ("described", "preferred", "verifier"), strict=True
    ):
        trained = demo.json(f"models/{adapter}/train.json")
        merged = demo.json(f"models/{name}/merge.json")
        assert trained["stage"] == stage
        assert trained["steps"] > 0
        assert trained["base"]["model"] == merged["base"]["model"] == bases[-1]
        assert merged["adapter"]["sha256"] == trained["adapter"]["sha256"]
        bases.append(f"{RESULTS}/models/{name}")


def test_the_files_hold_what_the_cards_say(demo: Demo) -> None:
    for name in ("vision_sft", "step_judge_sft", "dpo"):
        folder = demo.folder / RESULTS / "data" / name
        card = (folder / "card.md").read_text()
        for split in ("train", "validation"):
            count = sum(1 for _ in read_rows(folder / f"{split}.jsonl"))
            assert f"\n{count:,} rows" in card
        assert "length in tokens" in card
    leakage = demo.json("data/leakage.json")
    assert leakage["benchmarks"].keys() == demo.values["benchmarks"].keys()
    assert not any(found["same_image"] for found in leakage["benchmarks"].values())


def test_nothing_changed_nothing_runs(demo: Demo) -> None:
    again = demo.project.run("snakemake", *demo.profile, "--configfile", "experiment.yaml")
    assert again.status == 0
    assert "Nothing to be done" in again.output


def test_another_rank_of_the_judge_trains_the_judge_alone(demo: Demo) -> None:
    judge = demo.values["training"]["step_judge_sft"] | {"lora_rank": 4}
    with demo.changed("training", step_judge_sft=judge):
        planned = demo.planned("models")
    assert planned == {"train_step_judge", "merge_step_judge", "plot_training_curves"}


def test_another_width_draws_the_figures_alone(demo: Demo) -> None:
    with demo.changed("figures", width_in=5.0):
        planned = demo.planned("models", "data")
    assert planned == {"plot_training_curves", "plot_error_categories"}


def test_one_changed_annotation_asks_the_teacher_about_its_pair_alone(demo: Demo) -> None:
    """The last test: it changes the data."""
    folder = demo.folder / RESULTS / "visualprm/annotations"
    path = folder / "v1.1/shapes_raw.jsonl"
    annotations = [row for _, row in read_rows(path)]
    paired = (demo.folder / RESULTS / "data/pairs/Shapes/swiftdata.jsonl").read_text()
    changed = next(
        row
        for row in annotations
        if row["steps_with_score"][-1]["score"] == 0 and json.dumps(row["response"]) in paired
    )
    old = dict(changed)
    first, *others = changed["steps_with_score"]
    others = [step | {"score": 0.0} for step in others]
    changed["steps_with_score"] = [first | {"score": 1.0 - first["score"]}, *others]
    assert changed != old
    write_rows(path, annotations)
    # A rule made this folder: Snakemake looks at its mark alone.
    (folder / ".snakemake_timestamp").touch()
    planned = demo.planned("models")
    assert {"extract_pairs", "build_step_judge_sft_data", "train_step_judge"} <= planned
    assert not planned & {"expand_tiny_model", "download_model"}

    before = demo.calls()
    run = demo.project.run("snakemake", *LOCALLY, "--configfile", "experiment.yaml", "--", "data")
    assert run.status == 0, run.output
    after = demo.calls()
    assert set(before) <= set(after)
    attempts = 3
    assert 1 <= len(set(after) - set(before)) <= attempts
    assert not any(after[key] > before[key] for key in before), "a stored reply was asked for again"
