"""Constraint corruption as Snakemake runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from evpv_prm.data.constraint_records import ConstraintRecord
from tests.workflow.model import ModelServer, stages
from tests.workflow.project import SOLUTIONS, Project, read_rows

REPORTS = {"summarise_corruption": 1, "tabulate_corruption": 1, "plot_corruption": 1}
TARGETS = ("tabulate_corruption", "plot_corruption")
RATIOS = [0.5, 1.0]


@pytest.fixture
def project(server: ModelServer, tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "project", server.base_url)
    project.add_solutions()
    corrupt(project, ratios=RATIOS)
    return project


def corrupt(project: Project, **values: object) -> None:
    project.configure(step_level={**project.config["step_level"], "corruption": values})


def judged(project: Project) -> list[ConstraintRecord]:
    files = sorted((project.folder / "results/corruption").glob("*.jsonl"))
    return [ConstraintRecord.model_validate(row) for file in files for row in read_rows(file)]


def test_solutions_are_judged_with_corrupted_captions(
    project: Project, server: ModelServer
) -> None:
    run = project.snakemake(*TARGETS)
    assert run.status == 0, run.output
    assert run.finished == {"split_solutions": 1, "corrupt_constraints": 2, **REPORTS}
    records = judged(project)
    assert [r.pid for r in records] == [r["pid"] for r in read_rows(project.folder / SOLUTIONS)]
    assert all(len(list(record.passes())) == 2 * (1 + 2 * len(RATIOS)) for record in records)
    assert all(each.failures == [] for record in records for each in record.passes())

    results = project.results("**/*")
    assert results["figures/corruption.pdf"].startswith(b"%PDF")
    rows = list(csv.DictReader(results["tables/corruption.csv"].decode().splitlines()))
    assert {(row["view"], row["mode"], row["ratio"]) for row in rows} == {
        (view, mode, ratio)
        for view in ("with_image", "without_image")
        for mode in ("drop", "flip")
        for ratio in ("0.0", "0.5", "1.0")
    }
    metrics = json.loads(results["metrics/corruption.json"])
    assert metrics["bootstrap_samples"] == 2000
    assert metrics["views"]["with_image"]["drop"]["1.0"]["realised"] == 1.0

    server.reset()
    assert project.snakemake(*TARGETS).finished == {}
    project.configure(figures={"width_in": 5.0})
    assert project.snakemake("--dry-run", *TARGETS).planned == {"plot_corruption": 1}
    corrupt(project, ratios=[0.5])
    run = project.snakemake(*TARGETS)
    assert run.status == 0, run.output
    assert run.finished == {"corrupt_constraints": 2, **REPORTS}
    assert server.calls == [], "the replies of the other passes are stored"
    first, second = judged(project)[0].constraint_experiments, records[0].constraint_experiments
    assert first.drop == {"0.5": second.drop["0.5"]}


def test_the_baseline_is_the_step_verifiers(project: Project, server: ModelServer) -> None:
    run = project.snakemake("tabulate_step_level")
    assert run.status == 0, run.output
    server.reset()
    run = project.snakemake(*TARGETS)
    assert run.status == 0, run.output
    assert set(stages(server.calls)) == {"judge"}
    files = sorted((project.folder / "results/step_level/caption").glob("*.jsonl"))
    verified = [row for file in files for row in read_rows(file)]
    for record, row in zip(judged(project), verified, strict=True):
        assert record.step_predict == row["step_predict"]
        assert record.step_probabilities == row["step_probabilities"]
