"""The step-level experiments as Snakemake runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.model import ModelServer, stages
from tests.workflow.project import SOLUTIONS, Project, read_rows, write_rows


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
    run = project.snakemake("step_level")
    assert run.status == 0, run.output
    assert run.finished == {"validate_inputs": 1, "split_solutions": 1, "verify_steps": 4}
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
    assert project.snakemake("step_level").finished == {}
    project.configure(
        step_level={**project.config["step_level"], "judging": {"block_size": 2}, "limit": 4}
    )
    run = project.snakemake("step_level")
    assert run.finished == {"validate_inputs": 1, "split_solutions": 1, "verify_steps": 4}
    assert server.calls == [], "the prompts are the same in blocks"
    assert judged(project, "caption") == caption[:4]


def test_a_bad_solution_stops_the_run_before_it_asks_a_model(
    project: Project, server: ModelServer
) -> None:
    rows = read_rows(project.folder / SOLUTIONS)
    rows[2]["response"]["process_correctness"] = [1]
    write_rows(project.folder / SOLUTIONS, rows)
    run = project.snakemake("step_level")
    assert run.status == 1
    assert run.finished == {}
    assert server.calls == []
    log = (project.folder / "results/logs/validate_inputs.log").read_text()
    assert "line 3: response: expected one label a step, found 1 for 2 steps" in log
