"""Jobs with GPUs on a real SLURM, whose GPUs are names without devices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.real.slurm.conftest import QUICK, make_clone
from tests.workflow.project import Project

pytestmark = pytest.mark.real

SNAKEFILE = """
from evpv_prm.site import Site, resources

rule all:
    input:
        expand("{job}.txt", job=["a", "b"]),

# A job ends when both run, each on its node's only or on different devices of one node.
rule use:
    output:
        "{job}.txt",
    threads: 4
    resources:
        **resources(Site(), 1, 10, 2),
    shell:
        "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES >> running-{wildcards.job};"
        " until [ $(ls running-* | wc -l) = 2 ]; do sleep 0.1; done;"
        " mv running-{wildcards.job} {output}; touch running-{wildcards.job}"
"""


def test_every_job_starts_once_and_has_devices_of_its_own(slurm: None, tmp_path: Path) -> None:
    make_clone(tmp_path)
    (tmp_path / "gpus.smk").write_text(SNAKEFILE)
    words = (sys.executable, "-m", "snakemake", "--profile", "slurm", "--snakefile", "gpus.smk")
    run = Project(tmp_path).run(*words, *QUICK)
    assert run.status == 0, run.output
    used = []
    for job in "ab":
        (line,) = (tmp_path / f"{job}.txt").read_text().splitlines()
        node, devices = line.split()
        assert len(devices.split(",")) == 2
        used += [(node, device) for device in devices.split(",")]
    assert len(set(used)) == 4
