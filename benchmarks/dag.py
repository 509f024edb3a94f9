"""Time to build the DAG of config.yaml, and of a rerun with nothing to do.

Both are whole calls of Snakemake: a dry run in an empty folder, and a real run where all results
are there. Inputs and results are empty placeholders.

Run: python -m benchmarks.dag
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from evpv_prm.config import Config
from evpv_prm.plan.jobs import list_jobs
from evpv_prm.plan.sizes import missing_inputs

REPOSITORY = Path(__file__).parents[1]
PARTS = ("Snakefile", "config.yaml", "envs", "evpv_prm", "profiles", "rules", "scripts")


def place(path: Path) -> None:
    """Make an empty file, or a folder where the name has no suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.touch()
    else:
        path.mkdir(exist_ok=True)


def place_inputs() -> None:
    for name in missing_inputs(Config()):
        place(Path(name) if Path(name).suffix else Path(name) / "placeholder.jsonl")


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def snakemake(*arguments: str) -> tuple[str, str]:
    """Run Snakemake here; return the time that it took and its output."""
    words = [sys.executable, "-m", "snakemake", *arguments]
    begun, used = time.perf_counter(), processor_seconds()
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds, used = time.perf_counter() - begun, processor_seconds() - used
    if done.returncode:
        sys.exit(done.stdout)
    return f"{seconds:.1f} s, {used:.1f} s of a processor", done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in PARTS:
            Path(name).symlink_to(REPOSITORY / name)
        place_inputs()
        building, output = snakemake("--dry-run")
        found = re.search(r"^total +(\d+)$", output, re.MULTILINE)
        print(f"DAG of {found[1] if found else 0} jobs: {building}")
        for job in list_jobs(Config()):
            for path in job.outputs:
                place(path)
        snakemake("--touch", "--cores", "1")
        nothing, output = snakemake("--cores", "1")
        assert "Nothing to be done" in output, output
        print(f"rerun with nothing to do: {nothing}")
        os.chdir(REPOSITORY)


if __name__ == "__main__":
    main()
