"""The step-level experiments as Snakemake runs them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from sklearn.metrics import f1_score

from tests.workflow.model import ModelServer, stages
from tests.workflow.project import SOLUTIONS, Project, read_rows, write_rows

JUDGED = {"validate_inputs": 1, "split_solutions": 1, "verify_steps": 4}
REPORTS = {"compute_step_metrics": 2, "tabulate_step_level": 1, "plot_step_level": 1}
TARGETS = ("validate_inputs", "tabulate_step_level", "plot_step_level")


@pytest.fixture
def project(server: ModelServer, tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "project", server.base_url)
    project.add_solutions()
    return project


def judged(project: Project, mode: str) -> list[dict]:
    folder = project.folder / "results/step_level" / mode
    return [row for file in sorted(folder.glob("*.jsonl")) for row in read_rows(file)]


def test_solutions_are_judged_with_and_without_caption(
    project: Project, server: ModelServer
) -> None:
    run = project.snakemake(*TARGETS)
    assert run.status == 0, run.output
    assert run.finished == JUDGED | REPORTS
    caption, direct = judged(project, "caption"), judged(project, "direct")
    written = read_rows(project.folder / SOLUTIONS)
    for rows in (caption, direct):
        assert [row["pid"] for row in rows] == [row["pid"] for row in written]
        assert [row["response"] for row in rows] == [row["response"] for row in written]
        assert all(row["failures"] == [] for row in rows)
    assert all(row["structured_vision"] and "local_p_score" in row for row in caption)
    assert not any(row["structured_vision"] or "local_p_score" in row for row in direct)
    assert stages(server.calls) == {
        "caption": 5,
        "judge": 5 * 2 * 2,
        "split": 5,
        "audit": sum(row["visual_step_indices"] != [] for row in caption),
    }

    server.reset()
    assert project.snakemake(*TARGETS).finished == {}
    project.configure(
        step_level={**project.config["step_level"], "judging": {"block_size": 2}, "limit": 4}
    )
    run = project.snakemake(*TARGETS)
    assert run.finished == JUDGED | REPORTS
    assert server.calls == [], "the prompts are the same in blocks"
    assert judged(project, "caption") == caption[:4]


def test_tables_and_figures_show_the_judgements(project: Project, server: ModelServer) -> None:
    planned = project.snakemake("--dry-run", "tables").planned
    assert "tabulate_step_level" in planned
    assert "plot_step_level" not in planned
    assert "plot_step_level" in project.snakemake("--dry-run", "figures").planned
    run = project.snakemake(*TARGETS)
    assert run.status == 0, run.output
    results = project.results("**/*")
    assert results["figures/step_level.pdf"].startswith(b"%PDF")
    assert results["figures/step_level.png"].startswith(b"\x89PNG")
    assert b"caption, then judge" in results["tables/step_level.md"]
    assert b"caption, then judge" in results["tables/step_level.tex"]
    rows = list(csv.DictReader(results["tables/step_level.csv"].decode().splitlines()))
    for mode, system in (("caption", "caption, then judge"), ("direct", "direct")):
        solutions = judged(project, mode)
        truth = [label for row in solutions for label in row["response"]["process_correctness"]]
        verdicts = [verdict for row in solutions for verdict in row["step_predict"]]
        key = {"system": system, "group": "all", "name": "pooled", "metric": "macro_f1"}
        (row,) = [row for row in rows if key.items() <= row.items()]
        assert float(row["estimate"]) == pytest.approx(f1_score(truth, verdicts, average="macro"))
        assert int(row["n_steps"]) == len(truth) == 10

    server.reset()
    project.configure(step_level={**project.config["step_level"], "bootstrap_samples": 50})
    run = project.snakemake(*TARGETS)
    assert run.finished == REPORTS
    assert server.calls == []


def test_a_bad_solution_stops_the_run_before_it_asks_a_model(
    project: Project, server: ModelServer
) -> None:
    rows = read_rows(project.folder / SOLUTIONS)
    rows[2]["response"]["process_correctness"] = [1]
    write_rows(project.folder / SOLUTIONS, rows)
    run = project.snakemake(*TARGETS)
    assert run.status == 1
    assert run.finished == {}
    assert server.calls == []
    log = (project.folder / "results/logs/validate_inputs.log").read_text()
    assert "line 3: response: expected one label a step, found 1 for 2 steps" in log
