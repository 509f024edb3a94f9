"""The ablation suite as Snakemake runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from evpv_prm.ablations import NAMES
from tests.workflow.model import ModelServer, digest, stages
from tests.workflow.project import SOLUTIONS, Project, read_rows

ASKED = {"validate_inputs": 1, "split_solutions": 1, "ask_ablations": 2}


def test_every_request_is_paid_once_and_every_configuration_is_read_from_the_store(
    server: ModelServer, tmp_path: Path
) -> None:
    project = Project.create(tmp_path / "project", server.base_url)
    project.add_solutions(count=3)
    usual = "results/ablations/baseline.jsonl"
    run = project.snakemake(usual, "validate_inputs")
    assert run.status == 0, run.output
    assert run.finished == {**ASKED, "run_ablations": 1}
    calls = list(server.calls)
    assert len({digest(call) for call in calls}) == len(calls)
    assert stages(calls)["caption"] == 3 * 5
    reports = project.results("ablations/requests/*.json").values()
    reported = [json.loads(report) for report in reports]
    assert sum(report["engine"]["paid"] for report in reported) == len(calls)
    assert sum(report["asked"]["distinct"] for report in reported) == len(calls)

    server.reset()
    run = project.snakemake("ablations")
    assert run.status == 0, run.output
    reported = {"summarise_ablations": 1, "tabulate_ablations": 1, "plot_ablations": 1}
    assert run.finished == reported
    assert server.calls == []
    written = read_rows(project.folder / SOLUTIONS)
    for name in NAMES:
        rows = read_rows(project.folder / f"results/ablations/{name}.jsonl")
        assert [row["pid"] for row in rows] == [row["pid"] for row in written]
        assert [row["response"] for row in rows] == [row["response"] for row in written]
        assert all(row["failures"] == [] for row in rows)
    results = project.results("**/*")
    table = list(csv.DictReader(results["tables/ablations.csv"].decode().splitlines()))
    assert [row["configuration"] for row in table] == list(NAMES)
    assert sum(int(row["new"]) for row in table) == len(calls)
    assert results["figures/ablations.pdf"].startswith(b"%PDF")

    # The judgements with a caption are the baseline's.
    run = project.snakemake("results/step_level/caption/1-of-2.jsonl")
    assert run.status == 0, run.output
    assert not stages(server.calls).keys() & {"caption", "judge"}
    (judged,) = project.results("step_level/caption/*.jsonl").values()
    baseline = read_rows(project.folder / usual)
    for row, same in zip(map(json.loads, judged.splitlines()), baseline, strict=False):
        assert row["step_predict"] == same["step_predict"]
