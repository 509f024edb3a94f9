"""The environments of this project, and how uv is called to lock and to create them.

pyproject.toml says what is needed; envs/lock.py resolves it into a lock for each environment, and
envs/create.py installs the locks.
"""

import ast
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYPI_TORCH_LOCK = "envs/torch-pypi.lock"
ENTRY = re.compile(r"^([\w.-]+)==(\S+) .*\n(?: .*\n)+", re.MULTILINE)
"""A lock's entry of one package: its name and version, then its hashes."""

CPU_TORCH = re.compile(r"^(torch==\S+)\+cpu .*\n(?: .*\n)+", re.MULTILINE)
"""The entry of torch in its build for a CPU, which PyPI does not have."""


class SetupError(Exception):
    """The environment cannot be made; the message is one line that says why."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment: what it holds of pyproject.toml, and its files."""

    folder: str
    lock: str
    packages: str
    """Options of `uv pip compile`, as a shell takes them."""

    conda: str | None = None
    """The file that describes the same packages to conda."""

    def path(self) -> Path:
        """Return the folder of the environment."""
        return ROOT / self.folder

    def locked(self) -> str:
        """Return the text of the lock; none before the first."""
        file = ROOT / self.lock
        return file.read_text() if file.exists() else ""


CPU = Environment(
    ".venv", "envs/cpu.lock", "--extra cpu --group dev --override envs/cpu-overrides.txt"
)
GPU = Environment(".venv-gpu", "envs/gpu.lock", "--extra gpu --group setup", "envs/models.yaml")
ANALYSIS = Environment(
    ".venv-analysis", "envs/analysis.lock", "--group setup", "envs/analysis.yaml"
)
BY_NAME = {"cpu": CPU, "gpu": GPU, "analysis": ANALYSIS}


def run(command: str, variables: dict[str, str] | None = None, text: str = "") -> str:
    """Run a command in the repository with `text` on its input; return its output."""
    done = subprocess.run(
        shlex.split(command), cwd=ROOT, env=variables, input=text, text=True, capture_output=True
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


def bootstrap(environment: Environment) -> dict[str, str]:
    """Make an environment with nothing but uv, unless uv is there.

    Returns:
        The variables to run uv with. The user's own outrank what pip is configured with.
    """
    folder, programs = environment.folder, environment.path() / "bin"
    if not (programs / "uv").exists():
        print(f"creating {folder}", flush=True)
        # Not sys.executable: that may be the one in the folder, which is about to be replaced.
        run(f"{shlex.quote(sys.base_prefix)}/bin/python3.11 -m venv {folder}")
        (uv,) = [entry[0] for entry in ENTRY.finditer(environment.locked()) if entry[1] == "uv"]
        install = f"{folder}/bin/python -m pip install"
        run(f"{install} --no-deps --require-hashes -r /dev/stdin", text=uv)
    pip_config = run(f"{folder}/bin/python -m pip config list")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**uv_settings(pip_config), **os.environ, "PATH": path}
