"""A training as a SLURM job, ended by a user and by its time limit."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.slurm.conftest import QUICK, ended, jobs, make_clone, wait_until
from tests.real.trainings import (
    Workflow,
    adapter,
    finish,
    signal_all,
    trainers,
    wait_for_step,
)

pytestmark = pytest.mark.real


def cancel(workflow: Workflow) -> None:
    """End the job as its user does."""
    subprocess.run(["scancel", *jobs(workflow.folder, "R")], check=True)


def let_time_run_out(workflow: Workflow) -> None:
    """Leave the job less time than SLURM warns ahead; the training rests until the warning."""
    frozen = trainers(workflow.adapter)
    signal_all(frozen, signal.SIGSTOP)
    (job,) = jobs(workflow.folder, "R")
    subprocess.run(["scontrol", "update", f"JobId={job}", "TimeLimit=3"], check=True)
    warned = "SIGTERM: waiting for a checkpoint"
    wait_until("the job is warned", lambda: warned in workflow.log.read_text())
    signal_all(frozen, signal.SIGCONT)


@pytest.mark.parametrize(("end", "state"), [(cancel, "CANCELLED"), (let_time_run_out, "FAILED")])
def test_an_ended_training_goes_on_to_the_same_adapter(
    end: Callable[[Workflow], None],
    state: str,
    slurm: None,
    sft: Path,
    models: Path,
    data: Path,
    images: Path,
    tmp_path: Path,
) -> None:
    make_clone(tmp_path)
    workflow = Workflow(tmp_path, models / "qwen25vl", data, images)
    options = (
        # As a job with GPUs is warned.
        *("--set-resources", "train_vision_sft:slurm_extra='--signal=TERM@170'"),
        # As the other training: the order of sums depends on it.
        *("--set-threads", "train_vision_sft=1"),
    )
    process = workflow.start(*options, how=("--profile", "slurm", *QUICK))
    wait_for_step(process, workflow.adapter, 4)
    end(workflow)
    finish(process)
    assert ended(workflow.folder) == {state: 1, "COMPLETED": 1}
    assert "going on from" in workflow.log.read_text()
    assert adapter(workflow.adapter) == adapter(sft)
