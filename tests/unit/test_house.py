"""The repository itself: its files, its commands, its metadata."""

from __future__ import annotations

import re
import stat
import subprocess
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked_files() -> list[Path]:
    # A clone that belongs to another user is refused without the setting.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listing.stdout.splitlines()]


def test_tracked_files_hold_no_path_of_a_machine() -> None:
    absolute = re.compile(
        rf"(?<![\w.}}])(?:{re.escape(str(ROOT))}\b|/(?:home|root|work|opt|Users)/)"
    )
    files = [
        path
        for path in tracked_files()
        if path.suffix not in {".png", ".pdf", ".jpg", ".safetensors"}
    ]
    assert files
    found = [str(path) for path in files if path.is_file() and absolute.search(path.read_text())]
    assert found == []


def test_setup_and_package_settings_name_only_the_public_hosts() -> None:
    settings = [
        ROOT / "pyproject.toml",
        ROOT / "Makefile",
        ROOT / ".ci/run",
        *ROOT.glob("envs/*.*"),
    ]
    hosts = {host for path in settings for host in re.findall(r"://([^/\s\"']+)", path.read_text())}
    assert hosts == set()


def test_versions_agree() -> None:
    version = PYPROJECT["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([], [version])


def test_ci_runs_the_tests_that_a_developer_runs() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text().splitlines()[-1] == "make test"


def test_make_without_a_target_lists_every_target() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (phony,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert re.findall(r"^make ([\w-]+) +\w", shown, re.M) == phony.split()


def test_make_without_python_says_so_in_one_line() -> None:
    done = subprocess.run(["make", "PYTHON=", "setup"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.11 is not on the PATH" in done.stderr
    assert len(done.stderr.splitlines()) == 1
