"""What the workflow's tests share: a model server, a finished run, folders like a fresh clone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evpv_prm.config import Config
from tests.stages import labelled
from tests.workflow.model import ModelServer
from tests.workflow.project import REPOSITORY, Project, annotations, questions, write_rows

PARTS = ("Snakefile", "config.yaml", "evpv_prm", "profiles", "rules", "scripts", "slurm")


@pytest.fixture(scope="session")
def session_server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def server(session_server: ModelServer) -> ModelServer:
    """The model server, with nothing asked so far."""
    session_server.reset()
    return session_server


@pytest.fixture(scope="session")
def finished(session_server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that Snakemake has run to its end. Copy it before you change it."""
    session_server.reset()
    project = Project.create(tmp_path_factory.mktemp("finished"), session_server.base_url)
    run = project.snakemake()
    assert run.status == 0, run.output
    return project


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    """A folder like a fresh clone."""
    for name in PARTS:
        (tmp_path / name).symlink_to(REPOSITORY / name)
    return Project(tmp_path, tmp_path)


@pytest.fixture
def paper(clone: Project) -> Project:
    """The clone with the files that the paper's configuration names."""
    for file in {benchmark.questions for benchmark in Config().benchmarks.values()}:
        write_rows(clone.folder / file, questions("MMMU", 1))
    step_level = Config().step_level
    assert step_level is not None
    write_rows(clone.folder / step_level.solutions, [labelled("s")])
    write_rows(annotations(clone) / "deep/geo170k_extracted.jsonl", [])
    return clone
