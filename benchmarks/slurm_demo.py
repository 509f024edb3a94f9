"""The demo as jobs of a real SLURM, against the demo as `make demo` runs it.

    python -m benchmarks.slurm_demo [--quick] [--folder DIR]

Both run from nothing, one after the other; SLURM has this machine's cores to give. What they
measure is compared byte by byte. Needs what its tests need: root, and Debian 12's packages.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.real.slurm import cluster
from tests.real.slurm.conftest import make_clone

CHECKS_S = 5
"""How soon Snakemake looks at the queue; jobs of the demo take seconds."""
OPTIONS = {
    "locally": ("--profile", "profiles/demo"),
    "on SLURM": (
        *("--profile", "slurm", "--max-threads", "1"),
        *("--slurm-init-seconds-before-status-checks", str(CHECKS_S)),
    ),
}
MEASURED = ("candidates", "scored", "step_level", "corruption", "intervention", "stages", "metrics")
"""Folders without times and costs."""


def run(folder: Path, size: str, *options: str) -> tuple[float, int]:
    """Run the demo; return its time in seconds and how many jobs were submitted."""
    experiment = [f"profiles/demo/{name}.yaml" for name in ("experiment", size)]
    words = [sys.executable, "-m", "snakemake", *options, "--configfile", *experiment]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder)}
    start = time.monotonic()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    jobs = len(re.findall(r"has been submitted with SLURM jobid", done.stdout + done.stderr))
    return time.monotonic() - start, jobs


def measured(folder: Path) -> dict[str, bytes]:
    """Return the files of a run that say what was measured, by their path in the results."""
    (results,) = (folder / "results").iterdir()
    return {
        str(path.relative_to(results)): path.read_bytes()
        for name in MEASURED
        for path in (results / name).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="run `make demo-quick` instead")
    parser.add_argument(
        "--folder", type=Path, help="where both run, and what they make stays (default: nowhere)"
    )
    arguments = parser.parse_args()
    size = "quick" if arguments.quick else "full"
    shape = cluster.Shape(cpus=os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as name, cluster.running(shape):
        seconds, found = [], []
        for how, options in OPTIONS.items():
            folder = (arguments.folder or Path(name)) / how.replace(" ", "-")
            folder.mkdir(parents=True)
            make_clone(folder)
            taken, jobs = run(folder, size, *options)
            seconds.append(taken)
            found.append(measured(folder))
            print(f"{how}: {taken:.0f} s{f', {jobs} jobs submitted' if jobs else ''}", flush=True)
    print(f"SLURM takes {seconds[1] / seconds[0]:.2f} times the local time")
    first, second = found
    differing = [path for path in sorted(first | second) if first.get(path) != second.get(path)]
    print(f"{len(first | second) - len(differing)} measured files are the same in both")
    for path in differing:
        print(f"differs: {path}")


if __name__ == "__main__":
    main()
