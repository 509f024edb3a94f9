"""`snakemake --profile slurm` while parts of a real SLURM are away.

These come last: they would disturb other runs on the cluster.
"""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.real.slurm import cluster
from tests.real.slurm.conftest import (
    CANDIDATES,
    PROFILE,
    QUICK,
    Strike,
    assert_paid_once,
    ended,
    finish,
    jobs,
    output_of,
    start,
    wait_until,
)
from tests.workflow.model import ModelServer
from tests.workflow.project import Project

pytestmark = pytest.mark.real


def test_the_job_of_a_lost_node_goes_on_elsewhere(clone: Project, server: ModelServer) -> None:
    strike = Strike(server, 10)
    process = start(clone)
    strike.wait(process)
    (job,) = jobs(clone.folder, "R")
    node = output_of("squeue", "-h", "-j", job, "-o", "%N").strip()
    cluster.lose_node(node)
    try:
        wait_until("the node is missed", lambda: ended(clone.folder)["NODE_FAIL"])
        strike.end()
        wait_until("pending", lambda: job in jobs(clone.folder, "PD"), 30)
        subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)
        finish(clone, process)
    finally:
        cluster.start_node(node)
    assert_paid_once(clone, server)


def test_a_run_outlives_the_controller(clone: Project, server: ModelServer) -> None:
    strike = Strike(server, 10)
    process = start(clone)
    strike.wait(process)
    with cluster.without_controller():
        strike.end()
        time.sleep(10)  # a few questions that nobody answers
    finish(clone, process)
    assert_paid_once(clone, server, strikes=0)


def test_what_cannot_be_submitted_is_said_and_goes_on_later(
    clone: Project, server: ModelServer
) -> None:
    with cluster.without_controller():
        run = clone.run(*PROFILE, *QUICK, "--retries", "0", CANDIDATES)
    assert run.status != 0
    assert "submission failed" in run.output
    finish(clone, start(clone))
    assert_paid_once(clone, server, strikes=0)
