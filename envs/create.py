"""Creates .venv from the locked versions; returns at once when it is up to date.

    python3.11 envs/create.py         what `make setup` runs
    python3.11 envs/create.py --lock  what `make lock` runs: resolve pyproject.toml into the lock

uv does the work. It knows nothing of pip's configuration, so the package sources that pip is
configured with are read from pip and handed on. One package is not on PyPI in the build that the
lock names: torch `+cpu`. Where no source has it, PyPI's own build of the same version takes its
place, with the CUDA libraries that it loads even without a GPU (envs/torch-pypi.lock, 3 GB more).
The hashes in the locks hold wherever a file comes from.
"""

import ast
import ctypes
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".lock-digest"
LOCK = ROOT / "envs/cpu.lock"
PYPI_TORCH_LOCK = ROOT / "envs/torch-pypi.lock"
SHIM = ROOT / "envs/torchvision_cpu_shim.py"
TORCH_BLOCK = re.compile(r"^(torch==\S+) .*\n(?: .*\n)+", re.MULTILINE)
"""A lock's entry of torch, with its hashes."""


class SetupError(Exception):
    """The environment cannot be made; the message is one line that says why."""


def run(command: str, environment: dict[str, str] | None = None, text: str = "") -> str:
    """Run a command in the repository with `text` on its input; return its output."""
    done = subprocess.run(
        shlex.split(command), cwd=ROOT, env=environment, input=text, text=True, capture_output=True
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise SetupError(f"`{command}` ended with status {done.returncode}: {said}")
    return done.stdout


def uv_settings(pip_config: str) -> dict[str, str]:
    """Translate the output of `pip config list` into environment variables of uv.

    As in pip, the environment outranks the settings of `install`, and these the global ones.
    """
    settings: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        found = re.findall(rf"^{section}\.([\w-]+)=(.*)$", pip_config, re.MULTILINE)
        settings |= {name: ast.literal_eval(value) for name, value in found}
    named = {
        "UV_DEFAULT_INDEX": settings.get("index-url"),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        # Otherwise the first index that knows a name hides all others; the hashes make it safe.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(settings.get("find-links", "").split()),
        "SSL_CERT_FILE": settings.get("cert"),
    }
    return {name: value for name, value in named.items() if value}


def requirements(environment: dict[str, str]) -> str:
    """Return the locked packages, with the build of torch that there is a source of."""
    lock = LOCK.read_text()
    (torch,) = TORCH_BLOCK.findall(lock)
    try:
        run(".venv/bin/uv pip compile --no-deps -", environment, torch)
    except SetupError:
        print(f"no source has {torch}: taking PyPI's build, with CUDA libraries", flush=True)
        return TORCH_BLOCK.sub("", lock) + PYPI_TORCH_LOCK.read_text()
    return lock


def bootstrap() -> dict[str, str]:
    """Make a .venv with nothing but uv, unless uv is there; return the environment to run it in."""
    if not (VENV / "bin/uv").exists():
        print("creating .venv", flush=True)
        # Not sys.executable: that may be the one in .venv, which is about to be replaced.
        run(f"{shlex.quote(sys.base_prefix)}/bin/python3.11 -m venv .venv")
        (uv,) = re.findall(r"^uv==.*\n(?: .*\n)+", LOCK.read_text(), re.MULTILINE)
        run(".venv/bin/python -m pip install --no-deps --require-hashes -r /dev/stdin", text=uv)
    pip_config = run(".venv/bin/python -m pip config list")
    return {"VIRTUAL_ENV": str(VENV), **uv_settings(pip_config), **os.environ}


def digest() -> str:
    """Identify what the environment is made of; its scripts hold the path of their folder too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    files = [path.read_text() for path in (LOCK, PYPI_TORCH_LOCK, SHIM, Path(__file__))]
    return hashlib.sha256("\0".join([str(ROOT), repr(project), *files]).encode()).hexdigest()


def create() -> None:
    """Make .venv hold exactly the locked packages, this package and the torchvision shim."""
    wanted = digest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SetupError("the locked packages are for Linux on x86-64 only")
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        raise SetupError("vLLM needs libnuma.so.1 (on Debian: apt-get install libnuma1)") from None
    shutil.rmtree(VENV, ignore_errors=True)
    environment = bootstrap()
    wanted_packages = requirements(environment)
    print("installing the locked packages", flush=True)
    options = "--require-hashes --build-constraints envs/cpu.lock"
    run(f".venv/bin/uv pip sync {options} -", environment, wanted_packages)
    run(".venv/bin/uv pip install --no-deps --no-build-isolation --editable .", environment)
    (site_packages,) = VENV.glob("lib/python*/site-packages")
    shutil.copy(SHIM, site_packages)
    (site_packages / f"{SHIM.stem}.pth").write_text(f"import {SHIM.stem}\n")
    STAMP.write_text(wanted)
    print(".venv is ready", flush=True)


def lock() -> None:
    """Resolve pyproject.toml into the locks; what is locked already stays unless it must change."""
    environment = bootstrap()
    environment.pop("UV_INDEX", None)  # a mirror that holds fewer files would lock fewer hashes
    common = (
        "--override envs/cpu-overrides.txt --python-platform x86_64-manylinux_2_28"
        " --generate-hashes --custom-compile-command 'make lock'"
    )
    run(
        f".venv/bin/uv pip compile pyproject.toml --extra cpu --group dev {common}"
        " -o envs/cpu.lock",
        environment,
    )
    locked = LOCK.read_text()
    (torch,) = TORCH_BLOCK.findall(locked)
    # Of what PyPI's build needs, the lock holds all but the build itself and its CUDA libraries.
    constraints = VENV / "constraints.txt"
    constraints.write_text(TORCH_BLOCK.sub("", locked))
    environment.pop("UV_FIND_LINKS", None)
    known = re.findall(r"^([\w.-]+)==", constraints.read_text(), re.MULTILINE)
    leave_out = " ".join(f"--no-emit-package {name}" for name in known)
    needed = run(
        f".venv/bin/uv pip compile - {common} -c {shlex.quote(str(constraints))} {leave_out}",
        environment,
        torch.removesuffix("+cpu"),
    )
    PYPI_TORCH_LOCK.write_text(needed)


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"Python 3.11 is needed, and this is {platform.python_version()}")
    try:
        lock() if sys.argv[1:] == ["--lock"] else create()
    except SetupError as error:
        sys.exit(f"setup: {error}")
