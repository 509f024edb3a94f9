"""The demo as jobs of a real SLURM, against the demo as `make demo` runs it.

    python -m benchmarks.slurm_demo [--quick]

Both run from nothing, one after the other, on this machine's cores; SLURM may have as many jobs at
once as there are cores. Needs what its tests need: root, and Debian 12's packages.
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

LOCALLY = ("--profile", "profiles/demo")
ON_SLURM = ("--profile", "slurm", "--jobs", str(os.cpu_count()))
CHECKS_S = "8"
"""How soon Snakemake looks at the queue; jobs of the demo take seconds."""


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="run `make demo-quick` instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, cluster.running(cluster.Shape()):
        seconds = []
        for number, options in enumerate((LOCALLY, ON_SLURM)):
            folder = Path(name) / str(number)
            folder.mkdir()
            make_clone(folder)
            on_slurm = options is ON_SLURM
            checks = ("--slurm-init-seconds-before-status-checks", CHECKS_S) if on_slurm else ()
            taken, jobs = run(folder, "quick" if arguments.quick else "full", *options, *checks)
            seconds.append(taken)
            how = f"on SLURM, {jobs} jobs submitted" if on_slurm else "locally"
            print(f"{how}: {taken:.0f} s", flush=True)
    print(f"SLURM takes {seconds[1] / seconds[0]:.2f} times the local time")


if __name__ == "__main__":
    main()
