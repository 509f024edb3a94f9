"""The repository itself: its lock, its environment, its metadata."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "envs/cpu.lock").read_text()
PIP_CONFIG = """\
:env:.find-links='https://wheels.example/torch'
global.cert='/etc/ssl/ca.pem'
global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
global.find-links='/srv/wheels'
global.index-url='https://mirror.example/simple'
global.timeout='60'
install.index-url='https://install.example/simple'
"""


@pytest.fixture
def create() -> ModuleType:
    """Load envs/create.py afresh: it belongs to no package."""
    spec = spec_from_file_location("create", ROOT / "envs/create.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def uv(create: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand a uv that fails in .venv/bin of an empty repository; tests write what it does."""
    program = tmp_path / ".venv/bin/uv"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr(create, "ROOT", tmp_path)
    return program


def direct_requirements() -> list[Requirement]:
    """Every requirement that pyproject.toml names, but for the package's own extras."""
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["models"], *extras["cpu"]]
    lines += [*PYPROJECT["dependency-groups"]["dev"], *PYPROJECT["build-system"]["requires"]]
    requirements = [Requirement(line) for line in lines]
    return [each for each in requirements if each.name != project["name"]]


def tracked_files() -> list[Path]:
    # A clone that belongs to another user is refused without the setting.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listing.stdout.splitlines()]


def test_every_locked_package_has_a_version_and_a_hash() -> None:
    entries = [entry for entry in re.split(r"^(?=[^\s#])", LOCK, flags=re.M)[1:] if entry]
    assert len(entries) > 100
    bare = [
        e for e in entries if not re.match(r"[\w.-]+==\S+.*\n(    --hash=sha256:[0-9a-f]{64})", e)
    ]
    assert bare == []


def test_lock_satisfies_every_requirement_of_the_project() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.M))
    for requirement in direct_requirements():
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(Version(pin), prereleases=True), (requirement, pin)


def test_torch_is_locked_in_its_cpu_build_alone() -> None:
    (torch,) = re.findall(r"^torch==\S+ \\\n(?:    --hash.*\n)+", LOCK, re.M)
    assert torch.startswith("torch==2.13.0+cpu ")
    assert not re.search(r"^(nvidia-|triton|torchaudio|torchcodec)", LOCK, re.M)


def test_lock_tells_nothing_of_the_machine_that_it_was_made_on() -> None:
    assert not re.search(r"^--|file:|://", LOCK, re.M)


def test_tracked_files_hold_no_path_of_a_machine() -> None:
    absolute = re.compile(
        rf"(?<![\w.}}])(?:{re.escape(str(ROOT))}\b|/(?:home|root|work|opt|Users)/)"
    )
    files = [path for path in tracked_files() if path.suffix not in {".png", ".pdf", ".jpg"}]
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
    assert hosts <= {"download.pytorch.org"}


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


def test_setup_hands_the_sources_of_pip_on_to_uv(create: ModuleType) -> None:
    assert create.uv_settings(PIP_CONFIG) == {
        "UV_DEFAULT_INDEX": "https://install.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "https://wheels.example/torch",
        "SSL_CERT_FILE": "/etc/ssl/ca.pem",
    }


@pytest.mark.parametrize(
    ("succeeds", "option"),
    [("true", ""), ('[[ "$*" == *pytorch.org* ]]', "--find-links {TORCH_CPU_WHEELS}")],
)
def test_torch_comes_from_pytorch_only_if_no_configured_source_has_it(
    create: ModuleType, uv: Path, succeeds: str, option: str
) -> None:
    uv.write_text(f"#!/bin/bash\n{succeeds}\n")
    expected = option.format(TORCH_CPU_WHEELS=create.TORCH_CPU_WHEELS)
    assert create.torch_option("torch==2.13.0+cpu", dict(os.environ)) == expected


def test_torch_that_is_nowhere_is_one_line(create: ModuleType, uv: Path) -> None:
    uv.write_text("#!/bin/bash\nprintf 'error: no such\\n  version' >&2\nexit 1\n")
    with pytest.raises(create.SetupError, match=r"neither in .* error: no such version") as caught:
        create.torch_option("torch==2.13.0+cpu", dict(os.environ))
    assert "\n" not in str(caught.value)


@pytest.mark.real
def test_torchvision_imports_beside_the_cpu_build_of_torch() -> None:
    code = (
        "import sys; assert 'torch' not in sys.modules\n"
        "import torch, torchvision\n"
        "assert torch.version.cuda is None\n"
        "from torchvision.transforms.v2.functional import resize\n"
        "print(tuple(resize(torch.zeros(3, 8, 8), [4, 4]).shape))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(3, 4, 4)"
