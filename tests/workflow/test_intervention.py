"""The perception intervention as Snakemake runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.workflow.model import ModelServer, stages
from tests.workflow.project import Project, api_model, read_rows

MODELS = {"describe_for_intervention": 2, "answer_under_intervention": 2, "judge_intervention": 2}
REPORTS = {
    "compute_intervention_metrics": 1,
    "tabulate_intervention": 1,
    "plot_intervention": 1,
}
QUESTIONS = 2 * 4


@pytest.fixture
def project(server: ModelServer, tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "project", server.base_url)
    project.configure(
        teacher={**api_model(server.base_url, "teacher"), "api_key_env": None},
        intervention={"describing": {"limit": None}, "bootstrap_samples": 50},
    )
    return project


def test_from_questions_to_table_and_figure(project: Project, server: ModelServer) -> None:
    run = project.snakemake("intervention")
    assert run.status == 0, run.output
    prepared = {"validate_inputs": 1, "prepare_questions": 2}
    assert run.finished == prepared | MODELS | REPORTS
    assert stages(server.calls) == {
        "teacher_describe": QUESTIONS,
        "solve": QUESTIONS * 4,
        "judge": QUESTIONS * 4 * 2,
    }
    asked = {(stage, call.body["model"]) for call in server.calls for stage in stages([call])}
    assert asked == {("teacher_describe", "teacher"), ("solve", "policy-a"), ("judge", "verifier")}

    results = project.results("**/*")
    assert results["figures/intervention.pdf"].startswith(b"%PDF")
    assert results["figures/intervention.png"].startswith(b"\x89PNG")
    rows = list(csv.DictReader(results["tables/intervention.csv"].decode().splitlines()))
    for name in project.config["benchmarks"]:
        judged = read_rows(project.folder / f"results/intervention/judged/policy-a/{name}.jsonl")
        for condition in ("cond1", "cond2", "cond3", "cond4"):
            right = [
                row["perception_intervention_exps"][condition]["final"] == row["answer"]
                for row in judged
            ]
            key = {"benchmark": name, "condition": condition, "metric": "accuracy"}
            (row,) = [row for row in rows if key.items() <= row.items()]
            assert float(row["estimate"]) == pytest.approx(sum(right) / len(right))
            assert int(row["n_questions"]) == 4

    server.reset()
    assert project.snakemake("intervention").finished == {}
    intervention = project.config["intervention"]
    project.configure(intervention={**intervention, "judging": {"judged_with": "condition"}})
    run = project.snakemake("intervention")
    assert run.finished == {"judge_intervention": 2} | REPORTS
    assert stages(server.calls) == {"judge": QUESTIONS * 3 * 2}, "the oracle's is the oracle's"


def test_a_limit_and_a_choice_of_benchmarks(project: Project, server: ModelServer) -> None:
    project.configure(intervention={"benchmarks": ["Figures"], "describing": {"limit": 3}})
    run = project.snakemake("intervention")
    assert run.status == 0, run.output
    assert stages(server.calls)["solve"] == 3 * 4
    metrics = json.loads(
        (project.folder / "results/metrics/intervention/policy-a.json").read_text()
    )
    assert {name: part["n"] for name, part in metrics["datasources"].items()} == {
        "Figures": 3,
        "OVERALL": 3,
    }


def test_tables_and_figures_hold_the_intervention(project: Project) -> None:
    planned = project.snakemake("--dry-run", "tables").planned
    assert "tabulate_intervention" in planned
    assert "plot_intervention" not in planned
    assert "plot_intervention" in project.snakemake("--dry-run", "figures").planned
