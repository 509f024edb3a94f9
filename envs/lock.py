"""Resolves pyproject.toml into the locks, and writes them down for conda: `make lock`.

What is locked stays unless it must change; to renew a package, take its entry out of the locks. The
locks agree wherever they can: the versions that the tests run with are the first choice for GPUs.
"""

import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from environments import (
    ANALYSIS,
    CPU,
    CPU_TORCH,
    ENTRY,
    GPU,
    PYPI_TORCH_LOCK,
    ROOT,
    Environment,
    SetupError,
    bootstrap,
    run,
)

SUBMITTER = "snakemake-executor-plugin-slurm"
"""The one package that conda is not told of; see the text that stands in its files."""

CONDA_HEAD = f"""\
# For `snakemake --sdm conda`; written by `make lock` from {{lock}}.
# {SUBMITTER} is not here: it submits the jobs and runs in none, and it asks
# for a numpy that vLLM does not allow, which pip, unlike uv, cannot overrule.
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def resolve(
    packages: str,
    variables: dict[str, str],
    *,
    preferred: str = "",
    constraints: str = "",
    text: str = "",
) -> str:
    """Resolve into a lock, from the index.

    Args:
        packages: what to resolve, as `uv pip compile` takes it.
        variables: environment of uv.
        preferred: a lock whose versions are taken where they will do, the newest first.
        constraints: a lock whose versions are taken and no others.
        text: the input of the command.
    """
    with TemporaryDirectory() as folder:
        resolved, constraining = Path(folder) / "resolved.lock", Path(folder) / "constraints.txt"
        resolved.write_text(preferred)
        constraining.write_text(constraints)
        options = f"--python {shlex.quote(sys.executable)} --python-platform x86_64-manylinux_2_28"
        files = f"-c {shlex.quote(str(constraining))} -o {shlex.quote(str(resolved))}"
        command = "--generate-hashes --custom-compile-command 'make lock'"
        run(f"uv pip compile {packages} {options} {command} {files}", variables, text)
        return resolved.read_text()


def locked_anew(environment: Environment, variables: dict[str, str]) -> str:
    """Return the lock of an environment, from what is locked and what the tests run with."""
    tested = CPU_TORCH.sub("", CPU.locked()) if environment is not CPU else ""
    preferred = environment.locked() + tested
    return resolve(f"pyproject.toml {environment.packages}", variables, preferred=preferred)


def conda(lock: str, name: str) -> str:
    """Return the description for conda of what a lock of this name holds."""
    pins = [f"{entry[1]}=={entry[2]}" for entry in ENTRY.finditer(lock) if entry[1] != SUBMITTER]
    return CONDA_HEAD.format(lock=name) + "".join(f"      - {pin}\n" for pin in pins)


def lock_pypi_torch(variables: dict[str, str]) -> None:
    """Lock PyPI's build of torch and its CUDA libraries: what .venv needs where `+cpu` is not."""
    torch = CPU_TORCH.search(CPU.locked())
    assert torch is not None, "pyproject.toml names torch's build for a CPU"
    rest = CPU_TORCH.sub("", CPU.locked())
    leave_out = " ".join(f"--no-emit-package {entry[1]}" for entry in ENTRY.finditer(rest))
    needed = resolve(
        f"- --override envs/cpu-overrides.txt {leave_out}",
        variables,
        preferred=GPU.locked(),
        constraints=rest,
        text=torch[1],
    )
    (ROOT / PYPI_TORCH_LOCK).write_text(needed)


def main() -> None:
    """Write all locks."""
    variables = bootstrap(CPU)
    variables.pop("UV_INDEX", None)  # a mirror that holds fewer files would lock fewer hashes
    for environment in (CPU, GPU, ANALYSIS):
        if environment is not CPU:
            variables.pop("UV_FIND_LINKS", None)  # where torch's build for a CPU may be
        lock = locked_anew(environment, variables)
        (ROOT / environment.lock).write_text(lock)
        if environment.conda:
            (ROOT / environment.conda).write_text(conda(lock, environment.lock))
    lock_pypi_torch(variables)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"lock: {error}")
