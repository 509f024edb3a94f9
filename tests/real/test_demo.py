"""The demo's whole DAG with real vLLM, on fewer questions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.demo import ROOT, check_results, write_experiment
from tests.real.slurm import cluster

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        cluster.missing() is None, reason="runs as jobs of SLURM: slurm/test_demo.py"
    ),
]


def snakemake(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--configfile", "experiment.yaml", "--cores", "2", "--show-failed-logs", *options),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_demo_runs_to_its_tables_and_figures(tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path)
    run = snakemake(tmp_path)
    assert run.returncode == 0, run.stderr
    check_results(tmp_path, experiment)
    again = snakemake(tmp_path)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr
