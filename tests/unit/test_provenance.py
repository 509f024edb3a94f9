"""Provenance: what made a run's results."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import cli, prompts, provenance
from evpv_prm.config import Config


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "code.py").write_text("x = 1\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder


def write(output: Path, values: dict[str, Any]) -> dict[str, Any]:
    models = {"verifier": {"model": "owner/verifier"}, "policies": {"p": {"model": "owner/policy"}}}
    values = models | values
    words = ["--config-json", json.dumps(values), "--output", str(output)]
    assert cli.run(lambda: provenance.main(words)) == 0
    read: dict[str, Any] = json.loads(output.read_text())
    return read


def test_the_commit_and_whether_files_differ_from_it(repository: Path) -> None:
    revision = git(repository, "rev-parse", "HEAD")
    (repository / "untracked.txt").write_text("results are no change of the code")
    assert provenance.git_state(repository).model_dump() == {"revision": revision, "dirty": False}
    (repository / "code.py").write_text("x = 2\n")
    assert provenance.git_state(repository).model_dump() == {"revision": revision, "dirty": True}


def test_a_folder_without_a_repository_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state(tmp_path).model_dump() == {"revision": None, "dirty": None}
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert provenance.git_state(tmp_path).model_dump() == {"revision": None, "dirty": None}


def test_a_run_is_described(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "CODE", repository)
    model = tmp_path / "verifier"
    model.mkdir()
    (model / "config.json").write_text("{}")
    values = {"seed": 7, "verifier": {"model": str(model), "revision": "v1"}}
    found = write(tmp_path / "p.json", values)
    assert found["git"] == {"revision": git(repository, "rev-parse", "HEAD"), "dirty": False}
    assert found["seed"] == 7
    assert found["prompts"] == prompts.VERSION
    assert found["config"]["verifier"]["model"] == str(model)
    assert found["policies"]["p"]["name"] == "owner/policy"
    assert found["verifier"]["name"] == str(model)
    assert found["verifier"]["revision"] == "v1"
    assert found["packages"]["numpy"] == metadata.version("numpy")
    assert found["hardware"]["cores"] >= 1
    assert found["hardware"]["memory_gib"] > 0
    (model / "config.json").write_text('{"changed": 1}')
    again = write(tmp_path / "p.json", values)
    assert again["verifier"]["model"] != found["verifier"]["model"]
    assert again["config_sha256"] == found["config_sha256"]


def test_the_digest_of_a_configuration_tells_values_and_not_spelling(tmp_path: Path) -> None:
    def digest(values: dict[str, Any]) -> str:
        return str(write(tmp_path / "p.json", values)["config_sha256"])

    default = digest({})
    assert digest({"shards": 2, "seed": Config().seed}) == default
    assert digest({"seed": Config().seed, "shards": 2}) == default
    assert digest({"shards": 9}) != default
    assert digest({"scoring": {"judge": {"top_p": 0.5}}}) != default


def test_of_a_download_the_commit_is_recorded(tmp_path: Path) -> None:
    model = tmp_path / "verifier"
    model.mkdir()
    (model / "config.json").write_text("{}")
    source = {"kind": "model", "repository": "lab/verifier", "revision": "master", "patterns": []}
    manifest = {"source": source | {"hub": "huggingface"}, "commit": "c0ffee", "files": {}}
    (model / "download.json").write_text(json.dumps(manifest))
    found = write(tmp_path / "p.json", {"verifier": {"model": str(model)}})["verifier"]
    assert found["name"] == str(model)
    downloaded = [found[name] for name in ("hub", "repository", "revision")]
    assert downloaded == ["huggingface", "lab/verifier", "c0ffee"]


def test_a_key_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVPV_TEACHER_API_KEY", "secret-value")
    write(tmp_path / "p.json", {})
    assert "secret-value" not in (tmp_path / "p.json").read_text()


def test_a_bad_configuration_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "p.json"
    words = ["--config-json", '{"sharts": 1}', "--output", str(output)]
    assert cli.run(lambda: provenance.main(words)) == 2
    assert capsys.readouterr().err.startswith("error: config: sharts: unknown key")
    words[1] = "{"
    with pytest.raises(SystemExit) as caught:
        provenance.main(words)
    assert caught.value.code == 2
    assert not output.exists()
