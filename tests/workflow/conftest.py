"""What the workflow's tests share: a model server, and one finished run of the whole DAG."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workflow.model import ModelServer
from tests.workflow.project import Project


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
