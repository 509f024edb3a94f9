"""The quick demo's experiment, and what a finished run of it must hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

PROFILE = Path(__file__).parents[2] / "profiles/demo"
RESULTS = "results/demo-quick"
# Enough to run every part of it; the demo itself does without.
DPO = {"num_train_epochs": 0.4, "learning_rate": 1e-5}


def demo_experiment(*files: str) -> dict[str, Any]:
    """Read files of the demo's profile, the later ones laid over the earlier."""
    values: dict[str, Any] = {}
    for name in files:
        update_config(values, yaml.safe_load((PROFILE / name).read_text()))
    return values


def write_experiment(folder: Path) -> dict[str, Any]:
    """Write experiment.yaml: the quick demo, with a DPO between its fine-tunings."""
    values = demo_experiment("experiment.yaml", "quick.yaml")
    training = values["training"]
    brief = training["vision_sft"] | DPO
    values["training"] = training | {"with_dpo": True, "vision_dpo": brief}
    (folder / "experiment.yaml").write_text(yaml.safe_dump(values))
    return values


def check_results(folder: Path, experiment: dict[str, Any]) -> None:
    """Assert that a folder holds all that a run of the experiment makes."""
    results = folder / RESULTS
    questions = 5 * experiment["diagrams"]["questions_per_datasource"]
    metrics = json.loads((results / "metrics/best_of_n/tiny-InternVL2.5.json").read_text())
    overall = metrics["datasources"]["OVERALL"]
    assert overall["n"] == overall["n_scored"] == questions
    assert overall["n_candidates"] == 8 * questions
    for kind in ("gated", "raw"):
        for rates in overall["bon_at_k"][kind].values():
            assert all(rates[k] <= overall["pass_at_k"][k] + 1e-9 for k in rates)
    scored = [
        json.loads(line)
        for path in results.glob("scored/*/*/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    evaluations = [row[f"vlmresponse{n}"].get("eval") for row in scored for n in range(1, 9)]
    probabilities = [p for e in evaluations if e for p in e["step_probabilities"]]
    assert probabilities
    assert all(p is None or 0 < p < 1 for p in probabilities)

    for mode in ("caption", "direct"):
        judged = [
            json.loads(line)
            for path in (results / "step_level" / mode).glob("*.jsonl")
            for line in path.read_text().splitlines()
        ]
        assert len(judged) == experiment["diagrams"]["solutions"]
        assert all(len(row["step_predict"]) == len(row["response"]["steps"]) for row in judged)
        assert all((row["structured_vision"] is not None) == (mode == "caption") for row in judged)

    answered = [
        json.loads(line)
        for path in (results / "intervention/judged").rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert len(answered) == questions
    judged = [
        outcome["prm_eval"]
        for row in answered
        for outcome in row["perception_intervention_exps"].values()
        if "prm_eval" in outcome
    ]
    assert judged
    assert all(len(e["step_scores"]) == len(e["steps"]) > 0 for e in judged)

    note = experiment["diagrams"]["note"]
    assert note in (results / "tables/best_of_n.md").read_text()
    figures = ("bon_curves", "training_curves", "error_categories")
    files = (f"figures/{figure}{suffix}" for figure in figures for suffix in (".pdf", ".png"))
    for name in (*files, "tables/best_of_n.tex"):
        assert (results / name).stat().st_size > 0
    provenance = json.loads((results / "tables/provenance.json").read_text())
    assert len(provenance["verifier"]["model"]) == 64
    assert provenance["verifier"]["name"] == f"{RESULTS}/trimmed/verifier"
    merged = json.loads((results / "models/verifier/merge.json").read_text())
    assert merged["base"]["model"] == f"{RESULTS}/models/preferred"
