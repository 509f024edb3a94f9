"""`snakemake status` beside a run and after it: it says what is so, and disturbs nothing."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

from evpv_prm.progress import PROGRESS_LINE
from tests.workflow.model import UNUSABLE, ModelServer, stage
from tests.workflow.project import CANDIDATES, Project

BROKEN = "results/logs/generate_candidates/policy-a/Letters/1-of-2.log"


@pytest.fixture
def project(server: ModelServer, tmp_path: Path) -> Project:
    """A project whose first shard of Letters fails: a question of it gets no usable answer."""
    project = Project.create(tmp_path / "project", server.base_url)
    project.edit("Letters", 0, question=f"{UNUSABLE} <script>")
    project.configure(max_failures=0.0)
    return project


def counts(output: str) -> dict[str, dict[str, int]]:
    """The table of a status: jobs by rule and state."""
    lines = output[output.index("\nrule ") + 1 :].splitlines()
    edges = [match.span() for match in re.finditer("-+", lines[1])]
    table = [[line[start:end].strip() for start, end in edges] for line in lines]
    states = table[0][1:]
    rows = table[2 : lines.index("")] if "" in lines else table[2:]
    return {row[0]: dict(zip(states, (int(n or 0) for n in row[1:]), strict=True)) for row in rows}


def wait_for_failure(project: Project) -> None:
    """Wait until Snakemake has written that the job failed."""
    (log,) = (project.folder / ".snakemake/log").iterdir()
    end = time.monotonic() + 120
    while "Error in rule" not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_run_is_seen_while_it_goes_on_and_after(project: Project, server: ModelServer) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if stage(server.calls[number - 1]) == "judge":
            held.set()
            assert go_on.wait(180)

    server.before_answer = hold
    words = ["--keep-going", "--cores", "64", "best_of_n"]  # room for others beside what is held
    run = project.start(*project.snakemake_words(*words))
    try:
        assert held.wait(120)
        wait_for_failure(project)
        beside = project.snakemake("status")
        locks = list((project.folder / ".snakemake/locks").iterdir())
        second = project.snakemake("best_of_n")
    finally:
        go_on.set()
        output, _ = run.communicate(timeout=240)
    assert beside.status == 0, beside.output
    seen = counts(beside.output)
    assert seen["split_questions"]["done"] == 2
    assert seen["generate_candidates"]["failed"] == 1
    assert seen["score_candidates"]["running"] >= 1
    assert seen["compute_bon_metrics"] == {**dict.fromkeys(seen["total"], 0), "waiting": 1}
    assert "plot_bon_curves" not in seen, "the run was asked for Best-of-N alone"
    assert "has not ended" in beside.output
    assert f"{BROKEN}\n    error: {CANDIDATES} of 6 candidates failed" in beside.output
    assert locks, "the lock of the run is still there"
    assert second.status != 0
    assert "cannot be locked" in second.output

    assert run.returncode == 1, output
    after = project.snakemake("status")
    assert counts(after.output)["total"] == {"done": 11, "waiting": 2, "failed": 1}
    assert "has ended" in after.output
    page = (project.folder / "results/status.html").read_text()
    assert "11 of 14 jobs done" in page
    assert BROKEN in page


def test_before_any_run_everything_waits(project: Project) -> None:
    run = project.snakemake("status")
    assert run.status == 0, run.output
    total = counts(run.output)["total"]
    assert set(total) == {"waiting"}
    assert total["waiting"] == sum(project.snakemake("--dry-run").planned.values())
    assert "Nothing has run here yet" in run.output


def test_the_log_of_a_job_tells_its_progress_in_lines(finished: Project) -> None:
    log = finished.folder / "results/logs/score_candidates/policy-a/Letters/1-of-2.log"
    lines = log.read_text().splitlines()
    assert all("\r" not in line for line in lines)
    told = [line for line in lines if PROGRESS_LINE.match(line)]
    assert [line.split(": ")[1] for line in told] == ["describe", "audit and judge"]
    assert "results/scored/policy-a/Letters/1-of-2.jsonl: describe: 2 of 2 replies" in told[0]
