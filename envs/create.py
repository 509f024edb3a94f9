"""Creates an environment from its lock; returns at once when it is up to date.

    python3.11 envs/create.py           what `make setup` runs: .venv, for the demo and the tests
    python3.11 envs/create.py gpu       .venv-gpu: all that the paper's experiment needs
    python3.11 envs/create.py analysis  .venv-analysis: Snakemake and the rules without models

uv does the work. It knows nothing of pip's configuration, so the package sources that pip is
configured with are read from pip and handed on. One package is not on PyPI in the build that the
lock of .venv names: torch `+cpu`. Where no source has it, PyPI's own build of the same version
takes its place, with the CUDA libraries that it loads even without a GPU (envs/torch-pypi.lock,
3 GB more). The hashes in the locks hold wherever a file comes from.
"""

import ctypes
import hashlib
import platform
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

from environments import (
    BY_NAME,
    CPU,
    CPU_TORCH,
    ENTRY,
    PYPI_TORCH_LOCK,
    ROOT,
    Environment,
    SetupError,
    bootstrap,
    run,
)

SHIM = ROOT / "envs/torchvision_cpu_shim.py"


def requirements(lock: str, variables: dict[str, str]) -> str:
    """Return what to install for a lock, with the build of torch that there is a source of."""
    torch = CPU_TORCH.search(lock)
    if torch:
        try:
            run(
                f"uv pip compile --no-deps --python {shlex.quote(sys.executable)} -",
                variables,
                torch[0],
            )
        except SetupError:
            print(f"no source has {torch[1]}+cpu: taking PyPI's, with CUDA libraries", flush=True)
            lock = CPU_TORCH.sub("", lock) + (ROOT / PYPI_TORCH_LOCK).read_text()
    # To `==`, a build such as 2.13.0+cpu is a 2.13.0, and a better one than that without a label.
    return ENTRY.sub(lambda entry: entry[0].replace("==", "===", 1), lock)


def digest(environment: Environment) -> str:
    """Identify what the environment is made of; its scripts hold the path of their folder too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    code = Path(__file__).parent
    files = [code / "create.py", code / "environments.py", ROOT / environment.lock]
    if environment is CPU:
        files += [ROOT / PYPI_TORCH_LOCK, SHIM]
    parts = [str(ROOT), repr(project), *(file.read_text() for file in files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def create(environment: Environment) -> None:
    """Make the environment hold exactly the locked packages and this one; .venv, the shim too."""
    folder, path = environment.folder, environment.path()
    stamp, wanted = path / ".lock-digest", digest(environment)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SetupError("the locked packages are for Linux on x86-64 only")
    if environment is CPU:
        require_libnuma()
    shutil.rmtree(path, ignore_errors=True)
    variables = bootstrap(environment)
    packages = requirements(environment.locked(), variables)
    print("installing the locked packages", flush=True)
    # Told by name: else an environment that is active, or a setting of uv, would be filled.
    python = f"--python {folder}/bin/python"
    options = f"--require-hashes --build-constraints {environment.lock}"
    run(f"uv pip sync {python} {options} -", variables, packages)
    run(f"uv pip install {python} --no-deps --no-build-isolation --editable .", variables)
    if environment is CPU:
        (site_packages,) = path.glob("lib/python*/site-packages")
        shutil.copy(SHIM, site_packages)
        (site_packages / f"{SHIM.stem}.pth").write_text(f"import {SHIM.stem}\n")
    stamp.write_text(wanted)
    print(f"{folder} is ready", flush=True)


def require_libnuma() -> None:
    """Raise unless the library is there that vLLM's CPU build loads."""
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        raise SetupError("vLLM needs libnuma.so.1 (on Debian: apt-get install libnuma1)") from None


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"Python 3.11 is needed, and this is {platform.python_version()}")
    try:
        create(BY_NAME[sys.argv[1] if sys.argv[1:] else "cpu"])
    except SetupError as error:
        sys.exit(f"setup: {error}")
