"""What each training adds, and the method's claims, as Snakemake puts them to the test."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from evpv_prm.config import Config
from tests.workflow.model import ModelServer, stages
from tests.workflow.project import (
    BENCHMARKS,
    CANDIDATES,
    Project,
    api_model,
    read_rows,
    write_rows,
)

FACTS = "data/facts.jsonl"
FACT = {"name": "fact", "value": 3, "statement": "Fact 3."}
STAGES = {
    "base": Config().training.base,
    "vision_sft": "results/models/described",
    "step_judge_sft": "results/models/verifier",
}
SOLUTIONS, QUESTIONS = 5, 2 * 4
REPORTS = {"compute_stage_gains": 1, "tabulate_stage_gains": 1, "plot_stage_gains": 1}
CLAIMS = {"examine_claims": 1, "tabulate_claims": 1, "plot_claims": 1}


@pytest.fixture
def project(server: ModelServer, tmp_path: Path) -> Project:
    """A project whose trained models, the verifier among them, stand behind the server."""
    project = Project.create(tmp_path / "project", server.base_url)
    project.add_solutions(SOLUTIONS)
    rows = [
        {**row, "facts": [FACT]}
        for file in BENCHMARKS.values()
        for row in read_rows(project.folder / file)
    ]
    write_rows(project.folder / FACTS, rows)
    project.configure(
        verifier=api_model(server.base_url, STAGES["step_judge_sft"]),
        stages={"facts": FACTS, "images": "data/images", "bootstrap_samples": 50},
        step_level={**project.config["step_level"], "corruption": {"ratios": [0.5, 1.0]}},
    )
    return project


def metrics(project: Project, name: str) -> dict[str, Any]:
    return json.loads((project.folder / f"results/metrics/{name}.json").read_text())


def test_the_models_of_the_trainings_are_compared(project: Project, server: ModelServer) -> None:
    run = project.snakemake("stages")
    assert run.status == 0, run.output
    prepared = {"validate_inputs": 1, "split_solutions": 1}
    assert run.finished == prepared | {"examine_stage": len(STAGES)} | REPORTS
    for model in STAGES.values():
        asked = [call for call in server.calls if call.body["model"] == model]
        assert stages(asked) == {
            "describe": QUESTIONS,
            "caption": SOLUTIONS,
            "judge": SOLUTIONS * 2,
        }
    found = metrics(project, "stages")
    assert [stage["stage"] for stage in found["stages"]] == list(STAGES)
    assert (found["n_facts"], found["n_steps"]) == (QUESTIONS, SOLUTIONS * 2)
    assert found["bootstrap_samples"] == 50
    results = project.results("**/*")
    assert results["figures/stage_gains.pdf"].startswith(b"%PDF")
    assert b"Facts right" in results["tables/stage_gains.md"]

    # What the verifier judged here, nobody pays for again.
    server.reset()
    run = project.snakemake("results/step_level/caption/1-of-2.jsonl")
    assert run.status == 0, run.output
    assert set(stages(server.calls)) <= {"split", "audit"}


def test_fewer_records_and_no_facts(project: Project, server: ModelServer) -> None:
    project.configure(stages={"limit": 2})
    run = project.snakemake("stages")
    assert run.status == 0, run.output
    assert stages(server.calls) == {"caption": 3 * 2, "judge": 3 * 2 * 2}
    found = metrics(project, "stages")
    assert (found["n_questions"], found["n_solutions"]) == (0, 2)
    assert all(stage["facts"] is None for stage in found["stages"])


def test_claims_are_put_to_the_test(project: Project, server: ModelServer) -> None:
    run = project.snakemake("claims")
    assert run.status == 0, run.output
    assert run.finished.items() >= {"compute_stage_gains": 1, **CLAIMS}.items()
    report = metrics(project, "claims")
    topics = [claim["topic"] for claim in report["claims"]]
    assert set(topics) >= {"best_of_n", "gate", "corruption", "stages"}
    assert [each["reason"] for each in report["not_run"]] == ["intervention is null"] * 4

    # The claims are what the metrics say, of the questions that the facts choose.
    pooled = metrics(project, "best_of_n/policy-a")["datasources"]["OVERALL"]
    [found] = report["claims"][0]["differences"]
    gain = pooled["bon_gain"]["gated"]["geometric_mean"]
    assert (found["estimate"], found["ci95"]) == (gain["estimate"], gain["ci95"])
    chosen = [
        row["pid"]
        for file in sorted((project.folder / "results/scored").rglob("*.jsonl"))
        for row in read_rows(file)
        if any(misread(row[f"vlmresponse{n + 1}"]) for n in range(CANDIDATES))
    ]
    errors = [claim for claim in report["claims"] if "errors are common" in claim["statement"]]
    assert [claim["differences"][0]["n"] for claim in errors] == ([len(chosen)] if chosen else [])

    results = project.results("**/*")
    assert results["figures/claims.png"].startswith(b"\x89PNG")
    assert b"Not run: A right description helps to answer" in results["tables/claims.md"]
    rows = list(csv.DictReader(results["tables/claims.csv"].decode().splitlines()))
    assert {row["subject"] for row in rows if row["topic"] == "best_of_n"} == {"policy-a"}


def test_a_run_of_everything_ends_with_the_claims_if_asked(
    server: ModelServer, tmp_path: Path
) -> None:
    project = Project.create(tmp_path / "project", server.base_url)
    planned = project.snakemake("--dry-run").planned
    assert "write_report" in planned
    assert not planned.keys() & CLAIMS.keys()
    project.configure(claims=True)
    run = project.snakemake()
    assert run.status == 0, run.output
    assert run.finished.items() >= CLAIMS.items()
    results = project.results("**/*")
    assert b"The method's claims" in results["report.html"].replace(b"&#39;", b"'")
    assert b"claims.png" in results["figures/index.html"]


def misread(candidate: dict[str, Any]) -> bool:
    """Tell whether a candidate names a fact with a number that is not the true one."""
    steps = candidate.get("reasoningprocess", [])
    named = [step["visualdependency"] or "" for step in steps]
    return any(
        word.isdecimal() and word != "3"
        for text in named
        for word in [text.removeprefix("Fact ").removesuffix(".")]
    )


def test_trainings_of_another_verifier_are_refused(project: Project, server: ModelServer) -> None:
    project.configure(verifier=api_model(server.base_url, "verifier"))
    run = project.snakemake("stages")
    assert run.status != 0
    assert "only results/models/verifier has trainings to compare" in run.output
