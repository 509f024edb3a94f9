"""The demo's whole DAG as jobs of a real SLURM, with real vLLM and ms-swift."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.real.demo import check_results, write_experiment
from tests.real.slurm.conftest import QUICK, ended, make_clone, now
from tests.workflow.project import Project

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]


def test_the_demo_runs_to_its_tables_and_figures(slurm: None, tmp_path: Path) -> None:
    make_clone(tmp_path)
    experiment = write_experiment(tmp_path)
    project = Project(tmp_path, tmp_path)
    words = ("snakemake", "--profile", "slurm", "--configfile", "experiment.yaml", *QUICK)
    started = now()
    # No more at a time than this machine really has cores for.
    process = project.start(*words, "--jobs", "3")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    check_results(tmp_path, experiment)
    assert set(ended(started)) == {"COMPLETED"}
    # Every job that loads a model says so once: one task a job, however many GPUs it has.
    logs = [path.read_text() for path in (tmp_path / "results/demo/logs").rglob("*.log")]
    loads = [len(re.findall(r"on GPU \d", log)) for log in logs]
    assert max(loads) == 1 <= sum(loads)
    again = project.run(*words)
    assert again.status == 0
    assert "Nothing to be done" in again.output
