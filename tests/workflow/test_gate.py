"""The analysis of the gate as Snakemake runs it, on candidates and labelled solutions."""

from __future__ import annotations

import json
from pathlib import Path

from tests.workflow.model import ModelServer, stages
from tests.workflow.project import CANDIDATES, Project

RULES = {"compute_gate_metrics": 1, "tabulate_gate": 1, "plot_gate": 1}


def test_the_gate_is_analysed(server: ModelServer, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", server.base_url)
    project.add_solutions()
    planned = project.snakemake("--dry-run", "tables").planned
    assert "tabulate_gate" in planned
    assert "plot_gate" not in planned
    # The gallery of the figures comes with the report, which shows the tables, too.
    assert "plot_gate" in project.snakemake("--dry-run", "figures").planned
    run = project.snakemake("gate")
    assert run.status == 0, run.output
    assert run.finished.items() >= RULES.items()
    results = project.results("**/*")
    assert results["figures/gate.pdf"].startswith(b"%PDF")
    assert results["figures/gate.png"].startswith(b"\x89PNG")
    assert b"policy-a" in results["tables/gate.md"]
    assert b"policy-a" in results["tables/gate.tex"]
    found = json.loads(results["metrics/gate.json"])
    audits = stages(server.calls)["audit"]
    spreads = [found["policies"]["policy-a"]["distribution"], found["solutions"]["distribution"]]
    assert [spread["n"] for spread in spreads] == [2 * 4 * CANDIDATES, 5]
    assert sum(sum(spread["counts"].values()) for spread in spreads) == audits
    assert found["solutions"]["n_steps"] == 10

    server.reset()
    project.configure(step_level={**project.config["step_level"], "bootstrap_samples": 50})
    run = project.snakemake("gate")
    assert run.finished.items() >= RULES.items()
    assert server.calls == []
