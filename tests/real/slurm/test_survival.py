"""`snakemake --profile slurm` on a real SLURM: jobs run, end and go on as they should.

The models answer over HTTP, so that a job takes seconds; SLURM, Snakemake and the jobs are real.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.real.slurm.conftest import (
    CANDIDATES,
    PROFILE,
    QUICK,
    Strike,
    assert_paid_once,
    ended,
    finish,
    jobs,
    start,
    submitted,
    wait_until,
)
from tests.workflow.model import ModelServer
from tests.workflow.project import CANDIDATES as CANDIDATE_COUNT
from tests.workflow.project import Project

pytestmark = pytest.mark.real


def test_a_cancelled_job_is_tried_again_and_nothing_is_left_to_do(
    clone: Project, server: ModelServer
) -> None:
    # The questions have been answered by then, and their candidates are being scored.
    strike = Strike(server, 4 * CANDIDATE_COUNT + 6)
    process = start(clone, target="best_of_n")
    strike.wait(process)
    subprocess.run(["scancel", *jobs(clone.folder, "R")], check=True)
    wait_until("cancelled", lambda: ended(clone.folder)["CANCELLED"])
    strike.end()
    finish(clone, process)
    assert_paid_once(clone, server)
    again = clone.run(*PROFILE, *QUICK, "best_of_n")
    assert again.status == 0
    assert "Nothing to be done" in again.output

    disturbed = {pattern: clone.results(pattern) for pattern in ("scored/**/*", "metrics/**/*")}
    shutil.rmtree(clone.folder / "results")
    assert clone.run("snakemake", *PROFILE[3:], "--cores", "2", "best_of_n").status == 0
    assert {pattern: clone.results(pattern) for pattern in disturbed} == disturbed


def test_an_interrupted_run_cancels_its_jobs_and_goes_on(
    clone: Project, server: ModelServer
) -> None:
    strike = Strike(server, 10)
    process = start(clone)
    strike.wait(process)
    second = clone.run(*PROFILE, *QUICK, CANDIDATES)
    assert second.status != 0
    assert "locked" in second.output
    assert jobs(clone.folder, "R"), "the second run has ended the first one's jobs"
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0, output
    wait_until("the jobs of the run are gone", lambda: not jobs(clone.folder), 30)

    strike.end()
    finish(clone, start(clone))
    assert_paid_once(clone, server)


def test_a_job_that_runs_out_of_time_gets_more(clone: Project, server: ModelServer) -> None:
    strike = Strike(server, 10)
    process = start(clone, "--set-resources", "generate_candidates:runtime=attempt")
    strike.wait(process)
    wait_until("timed out", lambda: ended(clone.folder)["TIMEOUT"])
    strike.end()
    finish(clone, process)
    assert {"1", "2"} <= set(submitted(clone.folder, "TimelimitRaw"))
    assert_paid_once(clone, server)


def test_a_job_that_runs_out_of_memory_gets_more(clone: Project, server: ModelServer) -> None:
    wanted = "generate_candidates:mem_mb=150 * attempt ** 4"
    process = start(clone, "--set-resources", wanted)
    finish(clone, process)
    assert ended(clone.folder)["OUT_OF_MEMORY"] + ended(clone.folder)["FAILED"] == 1
    assert {"150M", "2400M"} <= set(submitted(clone.folder, "ReqMem"))
    assert_paid_once(clone, server)


def test_a_requeued_job_goes_on(clone: Project, server: ModelServer) -> None:
    strike = Strike(server, 10)
    process = start(clone)
    strike.wait(process)
    (job,) = jobs(clone.folder, "R")
    subprocess.run(["scontrol", "requeue", job], check=True)
    wait_until("requeued", lambda: ended(clone.folder)["REQUEUED"])
    strike.end()
    # SLURM lets a requeued job wait for two minutes.
    wait_until("pending", lambda: job in jobs(clone.folder, "PD"), 30)
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)
    finish(clone, process)
    assert not ended(clone.folder)["FAILED"] + ended(clone.folder)["CANCELLED"]
    assert_paid_once(clone, server)


@pytest.fixture
def small_disk(clone: Project) -> Iterator[Path]:
    """A disk of its own for the results, with room for them."""
    folder = clone.folder / "results"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_loses_nothing(clone: Project, server: ModelServer, small_disk: Path) -> None:
    ballast = small_disk / "ballast"

    def fill(number: int) -> None:
        if number == 10:
            with suppress(OSError), ballast.open("wb", buffering=0) as stream:
                while True:
                    stream.write(b"\0" * 1024)

    server.before_answer = fill
    run = clone.run(*PROFILE, *QUICK, "--retries", "0", CANDIDATES)
    assert run.status != 0
    assert "error: no space left for results" in run.output, run.output
    ballast.unlink()
    status = clone.run("snakemake", *PROFILE[3:], "--", "status")
    assert "results/logs/generate_candidates/policy-a/Letters/1-of-1.log" in status.output
    finish(clone, start(clone))
    assert_paid_once(clone, server)
