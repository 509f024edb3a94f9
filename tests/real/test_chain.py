"""The chain from annotations to the merged verifier with the real ms-swift, and partial reruns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from evpv_prm.diagrams.make_visualprm import main as make_visualprm
from evpv_prm.jsonl import read_rows, write_rows

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("chain")]

ROOT = Path(__file__).parents[2]
DATA = "results/demo/data"


class Chain:
    """A folder with the demo's experiment, whose annotations no rule makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = ["--output", str(folder / "visualprm"), "--questions-per-subset", "4"]
        assert make_visualprm(words) == 0
        self.values: dict[str, Any] = yaml.safe_load(
            (ROOT / "profiles/demo/experiment.yaml").read_text()
        )
        self.values["data_set"] = {"folder": "visualprm"}
        self.values["training"]["with_dpo"] = False

    def configure(self) -> None:
        (self.folder / "experiment.yaml").write_text(yaml.safe_dump(self.values))

    def run(self, *options: str) -> str:
        """Run Snakemake on the current values and return what it said."""
        self.configure()
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--configfile", "experiment.yaml", "--cores", "2", "--show-failed-logs", *options),
        ]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output

    def planned(self, *options: str) -> set[str]:
        """The rules that would run, without the targets."""
        table = re.search(
            r"^job +count\n-.*\n((?:\w+ +\d+\n)+)", self.run("-n", *options), re.MULTILINE
        )
        rules = re.findall(r"^(\w+) +\d+$", table[1], re.MULTILINE) if table else []
        return set(rules) - {"all", "data", "models", "figures", "total"}

    def json(self, path: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / path).read_text()))

    def calls(self) -> Counter[str]:
        """Stored replies of the teacher by their key."""
        segments = self.folder.glob("results/demo/store/*/*.jsonl")
        return Counter(row["k"] for path in segments for _, row in read_rows(path))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The finished chain. Put the values back after a change."""
    made = Chain(tmp_path_factory.mktemp("chain"))
    made.run("data", "models")
    return made


def test_each_model_is_made_from_the_one_before(chain: Chain) -> None:
    models = "results/demo/models"
    vision, described = chain.json(f"{models}/vision_sft/train.json"), f"{models}/described"
    judge = chain.json(f"{models}/step_judge_sft/train.json")
    assert vision["base"]["model"] == "results/demo/tiny/qwen25vl"
    assert judge["base"]["model"] == described
    assert (vision["stage"], judge["stage"]) == ("VisionSft", "StepJudgeSft")
    assert vision["steps"] > 0
    assert judge["steps"] > 0
    merged = [chain.json(f"{models}/{name}/merge.json") for name in ("described", "verifier")]
    assert [m["adapter"]["sha256"] for m in merged] == [
        vision["adapter"]["sha256"],
        judge["adapter"]["sha256"],
    ]
    assert merged[0]["files"]["model.safetensors"] != merged[1]["files"]["model.safetensors"]


def test_the_files_hold_what_the_cards_say(chain: Chain) -> None:
    for name in ("vision_sft", "step_judge_sft", "dpo"):
        card = (chain.folder / DATA / name / "card.md").read_text()
        for split in ("train", "validation"):
            count = sum(1 for _ in read_rows(chain.folder / DATA / name / f"{split}.jsonl"))
            assert f"\n{count} rows" in card
        assert "length in tokens" in card
    leakage = chain.json(f"{DATA}/leakage.json")
    assert leakage["benchmarks"].keys() == chain.values["benchmarks"].keys()
    assert not any(found["same_image"] for found in leakage["benchmarks"].values())


def test_nothing_changed_nothing_runs(chain: Chain) -> None:
    assert chain.planned("data", "models") == set()


def test_another_rank_of_the_judge_trains_the_judge_alone(chain: Chain) -> None:
    chain.values["training"]["step_judge_sft"]["lora_rank"] = 4
    planned = chain.planned("models")
    del chain.values["training"]["step_judge_sft"]["lora_rank"]
    assert planned == {"train_step_judge", "merge_step_judge", "plot_training_curves"}


def test_another_width_draws_the_figures_alone(chain: Chain) -> None:
    chain.values["figures"] = {"width_in": 5.0}
    planned = chain.planned("models", "data")
    del chain.values["figures"]
    assert planned == {"plot_training_curves", "plot_error_categories"}


def test_one_changed_annotation_asks_the_teacher_about_its_pair_alone(chain: Chain) -> None:
    """The last test: it changes the data."""
    path = chain.folder / "visualprm/annotations/v1.1/counts_raw.jsonl"
    annotations = [row for _, row in read_rows(path)]
    paired = (chain.folder / DATA / "pairs/Counts/swiftdata.jsonl").read_text()
    changed = next(
        row
        for row in annotations
        if row["steps_with_score"][-1]["score"] == 0 and json.dumps(row["response"]) in paired
    )
    old = dict(changed)
    changed["steps_with_score"] = [
        step | {"score": 0.0 if index else 1.0}
        for index, step in enumerate(changed["steps_with_score"])
    ]
    assert changed != old
    write_rows(path, annotations)
    planned = chain.planned("models")
    assert {"extract_pairs", "build_step_judge_sft_data", "train_step_judge"} <= planned
    assert not planned & {"build_tiny_model", "download_model"}

    before = chain.calls()
    chain.run("data")
    after = chain.calls()
    assert set(before) <= set(after)
    attempts = 3
    assert 1 <= len(set(after) - set(before)) <= attempts
    assert not any(after[key] > before[key] for key in before), "a stored reply was asked for again"
