"""Downloads with the hubs' real clients from servers on loopback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.hub_server import Fetch
from tests.huggingface_server import COMMIT, HuggingFaceServer
from tests.modelscope_server import ModelScopeServer

ROOT = Path(__file__).resolve().parents[2]
MODEL = ("models", "lab/tiny", "v1")
DATASET = ("datasets", "OpenGVLab/VisualPRM400K", "master")
Server = ModelScopeServer | HuggingFaceServer
LARGE = os.urandom(3_000_000)
MODEL_FILES = {"config.json": b"{}", "model.safetensors": LARGE, "sub/vocab.txt": b"a\nb\n"}


def dataset_files() -> dict[str, bytes]:
    images, annotations = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(images, "w") as archive:
        archive.writestr("images/GEOS/1.png", LARGE[:1000])
        archive.writestr("images/GEOS/2.png", LARGE[1000:3000])
    with zipfile.ZipFile(annotations, "w") as archive:
        archive.writestr("annotations/geos_prm.jsonl", "{}\n")
    content = images.getvalue()
    return {
        "README.md": b"# Data",
        "annotations.zip": annotations.getvalue(),
        "images.zip_aa": content[:1500],
        "images.zip_ab": content[1500:],
    }


def environment(server: Server, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return kept | {
        "MODELSCOPE_ENDPOINT": server.endpoint,
        "MODELSCOPE_CACHE": str(tmp_path / "cache"),
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(tmp_path / "cache"),
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
    }


def command(name: str, folder: Path, *flags: str) -> list[str]:
    return [sys.executable, str(ROOT / f"scripts/data/{name}.py"), f"--output={folder}", *flags]


def download(
    server: Server, tmp_path: Path, name: str, *flags: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(name, tmp_path / "got", *flags),
        env=environment(server, tmp_path), capture_output=True, text=True,
    )  # fmt: skip


def download_model(server: Server, tmp_path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    wanted = ("--repository=lab/tiny", "--revision=v1")
    return download(server, tmp_path, "download_model", *wanted, *flags)


def contents(folder: Path) -> Mapping[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "download.json"
    }


def test_model_is_fetched_whole_and_the_second_call_asks_for_nothing(tmp_path: Path) -> None:
    with ModelScopeServer({MODEL: MODEL_FILES}) as server:
        assert download_model(server, tmp_path).returncode == 0
        assert contents(tmp_path / "got") == MODEL_FILES
        manifest = json.loads((tmp_path / "got/download.json").read_text())
        assert manifest["files"] == {name: len(file) for name, file in MODEL_FILES.items()}
        assert manifest["commit"] == f"{len(MODEL_FILES):040x}"

        asked = server.requests
        assert download_model(server, tmp_path).returncode == 0
        assert server.requests == asked

        (tmp_path / "got/config.json").unlink()
        server.fetches.clear()
        assert download_model(server, tmp_path).returncode == 0
        assert server.fetches == [Fetch("config.json", 0)]


def test_a_file_that_is_cut_off_is_continued(tmp_path: Path) -> None:
    cut = {"model.safetensors": 2_000_000}
    with ModelScopeServer({MODEL: MODEL_FILES}, cut) as server:
        assert download_model(server, tmp_path).returncode == 0
    starts = [fetch.start for fetch in server.fetches if fetch.path == "model.safetensors"]
    assert starts[0] == 0
    assert 0 < starts[1] <= 2_000_000
    assert contents(tmp_path / "got") == MODEL_FILES


def test_a_killed_download_goes_on_where_it_was(tmp_path: Path) -> None:
    partial = tmp_path / "got/model.safetensors.incomplete"
    cut = {"model.safetensors": 2_500_000}
    with ModelScopeServer({MODEL: MODEL_FILES}, cut, hang=True) as server:
        flags = ("--repository=lab/tiny", "--revision=v1")
        process = subprocess.Popen(
            command("download_model", tmp_path / "got", *flags),
            env=environment(server, tmp_path), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not (partial.exists() and partial.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert not (tmp_path / "got/download.json").exists()
        held = partial.stat().st_size
        server.fetches.clear()
        assert download_model(server, tmp_path).returncode == 0
    assert Fetch("model.safetensors", held) in server.fetches
    assert held > 0
    assert contents(tmp_path / "got") == MODEL_FILES


def test_a_model_of_another_hub(tmp_path: Path) -> None:
    with HuggingFaceServer({("lab/tiny", "v1"): MODEL_FILES}) as server:
        assert download_model(server, tmp_path, "--hub=huggingface").returncode == 0
        assert contents(tmp_path / "got") == MODEL_FILES
        manifest = json.loads((tmp_path / "got/download.json").read_text())
        assert manifest["commit"] == COMMIT
        assert manifest["source"]["revision"] == "v1"

        asked = server.requests
        assert download_model(server, tmp_path, "--hub=huggingface").returncode == 0
        assert server.requests == asked

        # Another hub's files are another model.
        done = download_model(server, tmp_path, "--hub=modelscope")
        assert done.returncode == 2
        assert "lab/tiny, revision v1: cannot be downloaded" in done.stderr.splitlines()[-1]


def test_a_damaged_file_of_that_hub_is_fetched_again(tmp_path: Path) -> None:
    repositories = {("lab/tiny", "v1"): MODEL_FILES}
    with HuggingFaceServer(repositories, frozenset({"model.safetensors"})) as server:
        done = download_model(server, tmp_path, "--hub=huggingface")
        assert done.returncode == 2
        assert "model.safetensors: another checksum than listed" in done.stderr.splitlines()[-1]
        server.damaged = frozenset()
        server.fetches.clear()
        assert download_model(server, tmp_path, "--hub=huggingface").returncode == 0
        assert {fetch.path for fetch in server.fetches} == {"model.safetensors"}
    assert contents(tmp_path / "got") == MODEL_FILES


def test_what_is_not_on_that_hub_is_one_line(tmp_path: Path) -> None:
    with HuggingFaceServer({("lab/tiny", "v1"): MODEL_FILES}) as server:
        done = download(
            server, tmp_path, "download_model", "--repository=lab/tiny", "--hub=huggingface"
        )
    assert done.returncode == 2
    assert "model lab/tiny, revision main: cannot be downloaded" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "got/download.json").exists()


def test_dataset_is_joined_and_unpacked(tmp_path: Path) -> None:
    with ModelScopeServer({DATASET: dataset_files()}) as server:
        done = download(server, tmp_path, "download_visualprm400k")
        assert done.returncode == 0, done.stderr
        unpacked = {
            "annotations/geos_prm.jsonl": b"{}\n",
            "images/GEOS/1.png": LARGE[:1000],
            "images/GEOS/2.png": LARGE[1000:3000],
        }
        assert contents(tmp_path / "got") == unpacked
        manifest = json.loads((tmp_path / "got/download.json").read_text())
        assert manifest["unpacked"] == {"annotations": 1, "images": 2}
        assert "README.md" not in {fetch.path for fetch in server.fetches}

        asked = server.requests
        assert download(server, tmp_path, "download_visualprm400k").returncode == 0
        assert server.requests == asked


def test_chosen_files_and_kept_archives(tmp_path: Path) -> None:
    flags = ("--files", "annotations.zip", "README.md", "--keep-archives", "--workers=1")
    with ModelScopeServer({DATASET: dataset_files()}) as server:
        assert download(server, tmp_path, "download_visualprm400k", *flags).returncode == 0
    names = {"README.md", "annotations.zip", "annotations/geos_prm.jsonl"}
    assert set(contents(tmp_path / "got")) == names


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("download_model", ["--repository=lab/none"], "model lab/none, revision master: cannot be"),
        ("download_model", ["--repository=tiny"], "--repository: 'tiny'"),
        (
            "download_visualprm400k",
            ["--files", "no.zip"],
            "revision master: no file matches no.zip",
        ),
    ],
)
def test_what_is_not_there_is_one_line(
    tmp_path: Path, name: str, flags: list[str], message: str
) -> None:
    with ModelScopeServer({DATASET: dataset_files()}) as server:
        done = download(server, tmp_path, name, *flags)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "got/download.json").exists()


def test_a_file_of_another_size_than_listed_is_an_error(tmp_path: Path) -> None:
    class ShortServer(ModelScopeServer):
        def _send_file(self, handler, path, content):  # type: ignore[no-untyped-def]
            super()._send_file(handler, path, content[:-1])

    with ShortServer({MODEL: {"config.json": b"{}"}}) as server:
        done = download_model(server, tmp_path)
    assert done.returncode == 2
    assert "config.json" in done.stderr.splitlines()[-1]
    assert contents(tmp_path / "got") == {}
