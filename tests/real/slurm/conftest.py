"""A real SLURM for the tests, and a fresh clone in which Snakemake is started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from evpv_prm.jsonl import read_rows
from tests.real.demo import RESULTS, write_experiment
from tests.real.slurm import cluster
from tests.workflow.model import ModelServer
from tests.workflow.project import IN_FLIGHT, REPOSITORY, Project

PARTS = ("Snakefile", "config.yaml", "envs", "evpv_prm", "profiles", "rules", "scripts", "slurm")
"""What of the repository a run needs."""

PROFILE = ("snakemake", "--profile", "slurm", "--configfile", "mine.yaml")
# Sooner than a real cluster likes it, and when a short job has just ended: the
# next look comes late.
QUICK = ("--slurm-init-seconds-before-status-checks", "8", "--latency-wait", "5")
ON_SLURM = ("--profile", "slurm", *QUICK)
LOCALLY = ("--cores", "2")
CANDIDATES = "results/candidates/policy-a/Letters/1-of-1.jsonl"
"""What one job makes that asks a model often enough to be struck."""


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """Two nodes with four GPUs each."""
    if reason := cluster.missing():
        pytest.skip(f"no SLURM: {reason}")
    with cluster.running(cluster.Shape(nodes=2, gpus=4)):
        yield


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@dataclass
class RunningDemo:
    """The demo on few questions, in a folder like a fresh clone."""

    project: Project
    values: dict[str, Any]
    profile: tuple[str, ...]
    process: subprocess.Popen[str]
    log: Path


@pytest.fixture(scope="session")
def running_demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDemo]:
    with_slurm = cluster.missing() is None
    if with_slurm:
        request.getfixturevalue("slurm")
    folder = tmp_path_factory.mktemp("demo")
    make_clone(folder)
    values = write_experiment(folder)
    project = Project(folder, folder)
    profile = ON_SLURM if with_slurm else LOCALLY
    # No more at a time than this machine really has cores for.
    few = ("--max-threads", "1", *(("--jobs", "3") if with_slurm else ()))
    words = (*profile, *few, "--configfile", "experiment.yaml")
    log = folder / "snakemake.txt"
    with log.open("wb") as stream:
        process = project.start("snakemake", *words, output=stream)
    yield RunningDemo(project, values, profile, process, log)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()


@pytest.fixture(scope="session", autouse=True)
def _start_demo_first(request: pytest.FixtureRequest) -> None:
    """Start the demo with the first test here, if its own tests are to run at all."""
    if any(
        item.path.name in ("test_demo.py", "test_learning.py") for item in request.session.items
    ):
        request.getfixturevalue("running_demo")


class Demo:
    """A finished run."""

    def __init__(self, run: RunningDemo) -> None:
        self.project, self.values, self.profile = run.project, run.values, run.profile
        self.folder = run.project.folder

    def planned(self, *targets: str) -> set[str]:
        """The rules that would run now."""
        words = ("--configfile", "experiment.yaml", "--dry-run", "--", *targets)
        run = self.project.run("snakemake", *LOCALLY, *words)
        assert run.status == 0, run.output
        return set(run.planned)

    @contextmanager
    def changed(self, section: str, **fields: Any) -> Iterator[None]:
        """Change values of the experiment for a while."""
        values = self.values | {section: self.values.get(section, {}) | fields}
        self._write(values)
        yield
        self._write(self.values)

    def _write(self, values: dict[str, Any]) -> None:
        (self.folder / "experiment.yaml").write_text(yaml.safe_dump(values))

    def json(self, path: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / RESULTS / path).read_text()))

    def calls(self) -> Counter[str]:
        """Stored replies by their key."""
        segments = self.folder.glob(f"{RESULTS}/store/*/*.jsonl")
        return Counter(row["k"] for path in segments for _, row in read_rows(path))


@pytest.fixture(scope="session")
def demo(running_demo: RunningDemo) -> Demo:
    running_demo.process.wait()
    assert running_demo.process.returncode == 0, running_demo.log.read_text()
    return Demo(running_demo)


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


def jobs(folder: Path, *states: str) -> list[str]:
    """The numbers of a folder's jobs in the queue, of all states unless some are named."""
    wanted = ("-t", ",".join(states)) if states else ()
    return _of(folder, output_of("squeue", "-h", "-o", "%Z|%A", *wanted))


def submitted(folder: Path, field: str) -> list[str]:
    """A field of sacct for all jobs of a folder; one that was requeued counts at each end."""
    # By default sacct begins at midnight: a test may run across it.
    words = ("-n", "-X", "-P", "-D", "-S", "now-1day", "-o", f"WorkDir,{field}")
    return _of(folder, output_of("sacct", *words))


def _of(folder: Path, text: str) -> list[str]:
    """The values of lines "WORKDIR|VALUE" of a folder: other runs have jobs, too."""
    pairs = (line.split("|", 1) for line in text.splitlines())
    return [value for where, value in pairs if where == str(folder)]


def ended(folder: Path) -> Counter[str]:
    """A folder's jobs by state; one that was requeued counts at each end."""
    return Counter(state.split()[0] for state in submitted(folder, "State"))


def start(clone: Project, *options: str, target: str = CANDIDATES) -> subprocess.Popen[str]:
    return clone.start(*PROFILE, *QUICK, target, *options)


def finish(clone: Project, process: subprocess.Popen[str]) -> str:
    """Wait for a run that must succeed; return what it said."""
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    assert (clone.folder / CANDIDATES).exists()
    return output


def assert_paid_once(clone: Project, server: ModelServer, strikes: int = 1) -> None:
    """No stored reply was asked for again; what was in flight at a strike is lost."""
    keys = clone.stored_keys()
    assert len(keys) == len(set(keys)) > 0
    assert len(keys) <= len(server.calls) <= len(keys) + strikes * IN_FLIGHT
