"""The rules that download, against a server that speaks what the modelscope client asks for."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.modelscope_server import ModelScopeServer
from tests.workflow.project import Project

MODEL = ("models", "lab/tiny", "v1")
DATASET = ("datasets", "OpenGVLab/VisualPRM400K", "master")


def archive(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return content.getvalue()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelScopeServer]:
    annotations = archive(**{"annotations/geos_prm.jsonl": "{}\n"})
    images = archive(**{"images/GEOS/1.png": "picture"})
    repositories = {
        MODEL: {"config.json": b"{}"},
        DATASET: {"annotations.zip": annotations, "images.zip": images},
    }
    with ModelScopeServer(repositories) as running:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", running.endpoint)
        monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield running


def test_downloads_give_what_the_chain_begins_with(
    server: ModelScopeServer, tmp_path: Path
) -> None:
    project = Project.create(tmp_path / "project", "http://127.0.0.1:1/v1", count=1)
    project.configure(downloads={"tiny": {"repository": "lab/tiny", "revision": "v1"}})
    run = project.snakemake("download_visualprm400k", "data/models/tiny/download.json")
    assert run.status == 0, run.output
    assert run.finished == {"download_visualprm400k": 1, "download_model": 1}
    assert (project.folder / "data/models/tiny/config.json").read_bytes() == b"{}"
    assert (project.folder / "data/VisualPRM400K/images/GEOS/1.png").is_file()
    assert project.snakemake("-n", "extract_pairs").planned == {"extract_pairs": 1}

    project.configure(training={"base": "data/models/tiny"})
    planned = project.snakemake("-n", "data").planned
    assert {"extract_pairs", "describe_images"} <= planned.keys()
    assert "download_model" not in planned
    asked = server.requests
    assert project.snakemake("download_visualprm400k").finished == {}
    assert server.requests == asked


def test_an_interrupted_download_keeps_what_it_has(
    server: ModelScopeServer, tmp_path: Path
) -> None:
    """A folder that the rule declared would be deleted with the failed job."""
    project = Project.create(tmp_path / "project", "http://127.0.0.1:1/v1", count=1)
    project.configure(downloads={"tiny": {"repository": "lab/gone", "revision": "v1"}})
    kept = project.folder / "data/models/tiny/part"
    kept.parent.mkdir(parents=True)
    kept.write_text("half a file")
    run = project.snakemake("data/models/tiny/download.json", "--show-failed-logs")
    assert run.status != 0
    assert "lab/gone, revision v1: cannot be downloaded" in run.output
    assert kept.read_text() == "half a file"
