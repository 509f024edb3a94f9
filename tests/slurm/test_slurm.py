"""`snakemake --profile slurm` on a real SLURM: jobs run, end and go on as they should.

The models answer over HTTP, so that a job takes seconds; SLURM, Snakemake and the jobs are real.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.slurm import cluster
from tests.workflow.model import ModelServer
from tests.workflow.project import REPOSITORY, Project

pytestmark = [
    pytest.mark.skipif(cluster.missing() is not None, reason=f"no SLURM: {cluster.missing()}"),
]

PROFILE = ["snakemake", "--profile", "slurm", "--configfile", "mine.yaml"]
# Sooner than a real cluster likes it.
QUICK = ["--slurm-init-seconds-before-status-checks", "4", "--latency-wait", "5"]
TARGET = "best_of_n"


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    with cluster.running(cluster.Shape()):
        yield


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def clone(slurm: None, server: ModelServer, tmp_path: Path) -> Project:
    """A folder like a fresh clone, with a small experiment in mine.yaml."""
    project = Project.create(tmp_path, server.base_url)
    (tmp_path / "config.yaml").rename(tmp_path / "mine.yaml")
    for name in ("Snakefile", "config.yaml", "evpv_prm", "profiles", "rules", "scripts", "slurm"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    project.repository = tmp_path
    project.config |= {"shards": 1, "max_failures": 0}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(project.config))
    return project


def jobs(*states: str) -> list[str]:
    """The numbers of this user's jobs in the queue, of all states unless some are named."""
    words = ["squeue", "-h", "-o", "%A", *(["-t", ",".join(states)] if states else [])]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def submitted(since: str) -> Counter[str]:
    """The jobs submitted since a time, by state at their end."""
    words = ["sacct", "-n", "-X", "-P", "-o", "State", "-S", since]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return Counter(line.split()[0] for line in lines)


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S")


def assert_paid_once(project: Project) -> None:
    keys = project.stored_keys()
    assert len(keys) == len(set(keys)) > 0


def strike_once(server: ModelServer, request: int, strike: threading.Event) -> None:
    """Set an event as the server holds a request, and hold it and all later ones until it acts."""

    def hold(number: int) -> None:
        if number == request:
            strike.set()
        if number >= request and strike.is_set():
            time.sleep(2)

    server.before_answer = hold


def test_a_cancelled_job_is_tried_again_and_nothing_is_left_to_do(
    clone: Project, server: ModelServer
) -> None:
    started, strike = now(), threading.Event()
    strike_once(server, 10, strike)
    process = clone.start(*PROFILE, *QUICK, TARGET)
    assert strike.wait(240)
    subprocess.run(["scancel", *jobs("R")], check=True)
    server.before_answer = lambda _: None
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    ends = submitted(started)
    # Two benchmarks: prepared, divided, answered, scored; the check of the inputs; the metrics.
    assert ends["COMPLETED"] == 2 * 4 + 2
    assert ends["CANCELLED"] >= 1
    assert clone.results("metrics/best_of_n/*.json")
    assert_paid_once(clone)
    again = clone.run(*PROFILE, *QUICK, TARGET)
    assert again.status == 0
    assert "Nothing to be done" in again.output


def test_an_interrupted_run_cancels_its_jobs_and_goes_on(
    clone: Project, server: ModelServer
) -> None:
    strike = threading.Event()
    strike_once(server, 10, strike)
    process = clone.start(*PROFILE, *QUICK, TARGET)
    assert strike.wait(240)
    assert jobs("R")
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0, output
    end = time.monotonic() + 30
    while jobs() and time.monotonic() < end:
        time.sleep(0.5)
    assert not jobs(), "the jobs of the run are still there"

    server.before_answer = lambda _: None
    again = clone.run(*PROFILE, *QUICK, TARGET)
    assert again.status == 0, again.output
    assert_paid_once(clone)
