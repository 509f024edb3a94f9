"""Jobs with GPUs on a real SLURM, whose GPUs are names without devices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.real.slurm.conftest import QUICK, make_clone
from tests.workflow.project import Project

pytestmark = pytest.mark.real

GPUS = {"a": 3, "b": 3, "c": 2}
"""GPUs of each job: while two of them run, each of two nodes with four has too few for the third,
and both together have enough."""

SNAKEFILE = f"""
from evpv_prm.site import Site, resources

GPUS = {GPUS}

rule all:
    input:
        expand("{{job}}.txt", job=GPUS),

# A job ends when two run and the third has been submitted.
rule use:
    output:
        "{{job}}.txt",
    threads: 4
    resources:
        **resources(Site(), 1, 10, lambda wildcards: GPUS[wildcards.job]),
    shell:
        "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES $(ls go) >> running-{{wildcards.job}};"
        " until [ -e go ]; do"
        ' [ $(ls running-* | wc -l) = 2 ] && [ $(squeue -h -t all -o %Z | grep -cx "$PWD") = 3 ] &&'
        " touch go; sleep 0.2; done;"
        " cp running-{{wildcards.job}} {{output}}"
"""


def test_every_job_starts_once_on_one_node_and_has_devices_of_its_own(
    slurm: None, tmp_path: Path
) -> None:
    make_clone(tmp_path)
    (tmp_path / "gpus.smk").write_text(SNAKEFILE)
    words = (sys.executable, "-m", "snakemake", "--profile", "slurm", "--snakefile", "gpus.smk")
    run = Project(tmp_path).run(*words, *QUICK, "--retries", "0")
    assert run.status == 0, run.output
    used = []
    for job, count in GPUS.items():
        (line,) = (tmp_path / f"{job}.txt").read_text().splitlines()
        node, devices, *came_last = line.split()
        assert len(devices.split(",")) == count
        used += [(node, device) for device in devices.split(",") if not came_last]
    assert len(set(used)) == len(used) > 0
