"""A real SLURM for the tests, and a fresh clone in which Snakemake is started."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.real.slurm import cluster
from tests.workflow.model import ModelServer
from tests.workflow.project import REPOSITORY, Project

PARTS = ("Snakefile", "config.yaml", "envs", "evpv_prm", "profiles", "rules", "scripts", "slurm")
"""What of the repository a run needs."""

PROFILE = ("snakemake", "--profile", "slurm", "--configfile", "mine.yaml")
# Sooner than a real cluster likes it, and when a short job has just ended: the
# next look comes late.
QUICK = ("--slurm-init-seconds-before-status-checks", "8", "--latency-wait", "5")


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """Two nodes with two GPUs each."""
    if reason := cluster.missing():
        pytest.skip(f"no SLURM: {reason}")
    with cluster.running(cluster.Shape(nodes=2, gpus=2)):
        yield


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def make_clone(folder: Path) -> None:
    """Make a folder like a fresh clone."""
    for name in PARTS:
        (folder / name).symlink_to(REPOSITORY / name)


@pytest.fixture
def clone(slurm: None, server: ModelServer, tmp_path: Path) -> Project:
    """A fresh clone, with a small experiment in mine.yaml whose models answer over HTTP."""
    project = Project.create(tmp_path, server.base_url)
    (tmp_path / "config.yaml").rename(tmp_path / "mine.yaml")
    make_clone(tmp_path)
    project.repository = tmp_path
    letters = {"Letters": project.config["benchmarks"]["Letters"]}
    project.config |= {"shards": 1, "max_failures": 0, "benchmarks": letters}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(project.config))
    return project


class Strike:
    """The model server holds one request, and all after it, until the strike is over."""

    def __init__(self, server: ModelServer, request: int) -> None:
        self._held = threading.Event()
        self._over = threading.Event()

        def hold(number: int) -> None:
            if number >= request and not self._over.is_set():
                self._held.set()
                self._over.wait(300)

        server.before_answer = hold

    def wait(self, process: subprocess.Popen[str]) -> None:
        """Wait until a job of a run waits for a reply."""
        while not self._held.wait(1):
            assert process.poll() is None, process.communicate()[0]

    def end(self) -> None:
        """Answer what is held and all that comes."""
        self._over.set()


def wait_until(what: str, is_so: Callable[[], object], seconds: float = 150) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"not so after {seconds:g} s: {what}"
        time.sleep(0.5)


def output_of(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def jobs(*states: str) -> list[str]:
    """The numbers of this user's jobs in the queue, of all states unless some are named."""
    return output_of(
        "squeue", "-h", "-o", "%A", *(["-t", ",".join(states)] if states else [])
    ).split()


def ended(since: str) -> Counter[str]:
    """The jobs submitted since a time, by state; one that was requeued counts at each end."""
    lines = output_of("sacct", "-n", "-X", "-P", "-D", "-o", "State", "-S", since).splitlines()
    return Counter(line.split()[0] for line in lines)


def now() -> str:
    time.sleep(1.1)  # sacct counts in seconds
    return time.strftime("%Y-%m-%dT%H:%M:%S")
