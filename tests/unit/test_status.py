"""What has become of jobs: from Snakemake's log and the jobs' logs to a table and a page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.job_states import (
    JobStatus,
    State,
    clean_lines,
    count_states,
    detail_of,
    in_state,
    state_of,
)
from evpv_prm.plan.jobs import Job
from evpv_prm.run_log import Attempt, Phase, began, planned_rules, read_attempts
from evpv_prm.status import find_run, read_end
from evpv_prm.status_page import Overview, render_page, render_text

RUN = """\
Building DAG of jobs...
Job stats:
job                    count
-------------------  -------
score_candidates           4
best_of_n                  1
total                      5

Select jobs to execute...
[Sun Nov 22 16:37:15 2026]
Job 4: Score the candidates of p for A, shard 1-of-4
Reason: Missing output files: results/scored/p/A/1-of-4.jsonl
[Sun Nov 22 16:37:15 2026]
Job 5: Score the candidates of p for A, shard 2-of-4
Job 4 has been submitted with SLURM jobid 17 (log: /x/.snakemake/slurm_logs/rule_s/p_A/17.log).
Job 5 has been submitted with SLURM jobid 18 (log: /x/.snakemake/slurm_logs/rule_s/p_A/18.log).
[Sun Nov 22 16:38:15 2026]
Finished jobid: 4 (Rule: score_candidates)
1 of 5 steps (20%) done
[Sun Nov 22 16:39:15 2026]
Error in rule score_candidates:
    message: SLURM-job '18' failed, SLURM status is: 'TIMEOUT'. For further error details see
        the cluster log.
    jobid: 5
    input: results/candidates/p/A/2-of-4.jsonl
    log: results/logs/score_candidates/p/A/2-of-4.log (check log file(s) for error details)
[Sun Nov 22 16:39:16 2026]
Error in rule score_candidates:
    message: None
    jobid: 6
    output: results/scored/p/A/3-of-4.jsonl
[Sun Nov 22 16:39:16 2026]
Job 7: Score the candidates of p for A, shard 4-of-4
[Sun Nov 22 16:39:17 2026]
Error in rule score_candidates:
    message: None
    jobid: 7
Trying to restart job 7.
[Sun Nov 22 16:39:18 2026]
Job 7: Score the candidates of p for A, shard 4-of-4
"""


def message(shard: int) -> str:
    return f"Score the candidates of p for A, shard {shard}-of-4"


def job(*, shard: int = 1, is_needed: bool = True, rule: str = "score_candidates") -> Job:
    log = Path(f"results/logs/{rule}/{shard}-of-12.log")
    return Job(rule, {}, False, is_needed, 0, (), log, None, message(shard))


# Snakemake's log


def test_a_log_tells_the_last_attempt_at_each_job() -> None:
    attempts = read_attempts(RUN)
    log = "/x/.snakemake/slurm_logs/rule_s/p_A/{}.log"
    assert attempts[message(1)] == Attempt(Phase.FINISHED, log.format(17))
    timed_out = attempts[message(2)]
    assert (timed_out.phase, timed_out.slurm_log) == (Phase.FAILED, log.format(18))
    assert timed_out.slurm_state == "TIMEOUT"
    assert attempts[message(4)] == Attempt(Phase.STARTED), "it was tried again"
    assert len(attempts) == 3, "job 6 was never begun in this log"


@given(st.integers(0, len(RUN)))
def test_a_log_may_be_read_while_it_is_written(end: int) -> None:
    attempts = read_attempts(RUN[:end])
    assert set(attempts) <= {message(n)[:k] for n in (1, 2, 4) for k in range(len(message(n)) + 1)}


def test_a_log_tells_what_was_meant_to_run() -> None:
    assert planned_rules(RUN) == {"score_candidates", "best_of_n"}
    assert planned_rules("Building DAG of jobs...\nNothing to be done\n") == set()


def test_the_last_run_is_the_last_that_ran_jobs(tmp_path: Path) -> None:
    assert find_run(tmp_path) is None
    (tmp_path / "log").mkdir()
    looked = RUN.replace("score_candidates", "status").replace("best_of_n", "plan")
    logs = {"T163715.5": RUN, "T173715.5": "LockException", "T183715.5": looked}
    for time, text in logs.items():
        (tmp_path / "log" / f"2026-11-22{time}.snakemake.log").write_text(text)
    run = find_run(tmp_path)
    assert run is not None
    assert run[1] == RUN
    assert began(run[0].name) - began("2026-11-22T163700.000000.snakemake.log") == 15.5


# States


def test_a_job_is_in_the_state_that_its_run_left_it_in() -> None:
    def state(attempt: Attempt | None, *, needed: bool = True, on: bool, begun: bool = False):
        return state_of(job(is_needed=needed), attempt, is_on=on, has_begun=begun)

    started, submitted = Attempt(Phase.STARTED), Attempt(Phase.STARTED, "17.log")
    assert state(started, on=True) == State.RUNNING
    assert state(submitted, on=True, begun=True) == State.RUNNING
    assert state(submitted, on=True) == State.QUEUED
    assert state(submitted, on=False) == State.STOPPED
    assert state(Attempt(Phase.FAILED), on=True) == State.FAILED
    assert state(Attempt(Phase.FAILED), needed=False, on=False) == State.DONE, "mended since"
    assert state(None, on=True) == State.WAITING
    assert state(None, needed=False, on=True) == State.DONE
    assert state(Attempt(Phase.FINISHED), on=False) == State.WAITING, "changed since"


attempts = st.none() | st.builds(
    Attempt, st.sampled_from(Phase), st.none() | st.just("17.log"), st.none() | st.text()
)


@given(attempts, st.booleans(), st.booleans(), st.booleans())
def test_no_state_claims_more_than_is_known(
    attempt: Attempt | None, needed: bool, on: bool, begun: bool
) -> None:
    state = state_of(job(is_needed=needed), attempt, is_on=on, has_begun=begun)
    if state in (State.RUNNING, State.QUEUED):
        assert on
    if state == State.DONE:
        assert not needed
    if state in (State.FAILED, State.STOPPED):
        assert needed
        assert attempt is not None


@given(st.sampled_from(State), attempts, st.text())
def test_a_detail_is_one_short_line(state: State, attempt: Attempt | None, log: str) -> None:
    detail = detail_of(state, attempt, log)
    assert "\n" not in detail
    assert len(detail) <= 500
    if state == State.FAILED:
        assert detail


def test_a_running_job_shows_its_last_progress() -> None:
    log = "14:02:11 a: 1 of 9 steps, 2/s\n14:02:41 a: 5 of 9 steps, 2/s\n[transformers] A warning\n"
    assert detail_of(State.RUNNING, None, log) == "14:02:41 a: 5 of 9 steps, 2/s"
    assert detail_of(State.STOPPED, None, log) == "14:02:41 a: 5 of 9 steps, 2/s"
    assert detail_of(State.RUNNING, None, "14:01:00 loading m\n") == "14:01:00 loading m"
    assert detail_of(State.RUNNING, None, "") == ""


def test_a_failed_job_shows_its_error() -> None:
    failed = Attempt(Phase.FAILED)
    log = "14:02:11 a: 1 of 9 steps\nerror: q.jsonl:3: expected a text\nChild ended\n"
    assert detail_of(State.FAILED, failed, log) == "error: q.jsonl:3: expected a text"
    trace = "Traceback (most recent call last):\n  File x\nZeroDivisionError: by zero\n\n"
    assert detail_of(State.FAILED, failed, trace) == "ZeroDivisionError: by zero"
    assert detail_of(State.FAILED, failed, "") == "its log is empty"


@pytest.mark.parametrize("end", ["TIMEOUT", "OUT_OF_MEMORY", "CANCELLED", "NODE_FAIL"])
def test_slurms_word_for_a_failure_comes_first(end: str) -> None:
    failed = Attempt(Phase.FAILED, "17.log", f"SLURM-job '17' failed, SLURM status is: '{end}'.")
    assert detail_of(State.FAILED, failed, "14:02 half\n") == f"{end}: 14:02 half"
    assert end in detail_of(State.FAILED, failed, "")


def test_a_failure_that_slurm_only_repeats_is_the_jobs_own() -> None:
    failed = Attempt(Phase.FAILED, "17.log", "SLURM-job '17' failed, SLURM status is: 'FAILED'.")
    assert detail_of(State.FAILED, failed, "error: no\n") == "error: no"


def test_lines_are_those_that_a_terminal_would_show() -> None:
    assert clean_lines("a\n\n\x1b[31mred\x1b[0m\n10%\r50%\r\nend\r100%") == [
        "a", "red", "50%", "100%",
    ]  # fmt: skip


def test_a_log_of_an_earlier_run_says_nothing_of_this_one(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert read_end(log, 0) == ""
    log.write_text("x" * 100_000 + "\nerror: old\n")
    written = log.stat().st_mtime
    assert read_end(log, written).endswith("error: old\n")
    assert len(read_end(log, written)) < 70_000
    assert read_end(log, written + 1) == ""


# The table and the page


def overview(*statuses: JobStatus) -> Overview:
    return Overview(statuses, "A run began 2 min ago.", "2026-11-22 16:40:00")


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(State))))
def test_every_job_is_counted_once(pairs: list[tuple[str, State]]) -> None:
    statuses = [JobStatus(job(rule=rule), state) for rule, state in pairs]
    counts = count_states(statuses)
    assert sum(sum(counter.values()) for counter in counts.values()) == len(pairs)
    assert sum(len(in_state(statuses, state)) for state in State) == len(pairs)


def test_shards_are_listed_in_their_order() -> None:
    statuses = [JobStatus(job(shard=n), State.FAILED) for n in (10, 2, 1)]
    shards = [status.job.message.split()[-1] for status in in_state(statuses, State.FAILED)]
    assert shards == ["1-of-4", "2-of-4", "10-of-4"]


def test_the_table_names_failed_and_running_jobs_with_their_logs() -> None:
    shown = render_text(
        overview(
            JobStatus(job(shard=1), State.DONE),
            JobStatus(job(shard=2), State.FAILED, "TIMEOUT: half"),
            JobStatus(job(shard=3), State.RUNNING, "14:02:41 a: 5 of 9 steps"),
            JobStatus(job(shard=4), State.WAITING),
        )
    )
    rows = [line.split() for line in shown.splitlines()]
    assert ["rule", "done", "running", "waiting", "failed"] in rows
    assert ["score_candidates", "1", "1", "1", "1"] in rows
    assert "Failed (1)\n" in shown
    assert "results/logs/score_candidates/2-of-12.log\n    TIMEOUT: half" in shown
    assert "5 of 9 steps" in shown
    assert "1-of-12.log" not in shown


HOSTILE = "error: </code><script>alert('&')</script>"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("state", [State.FAILED, State.RUNNING])
def test_the_page_shows_what_a_log_says_as_text(state: State) -> None:
    hostile = Job("a<b>", {}, False, True, 0, (), Path("<img src=x>.log"), None, HOSTILE)
    tags = Tags()
    tags.feed(render_page(overview(JobStatus(hostile, state, HOSTILE))))
    assert tags.text.count(HOSTILE) == 2
    assert not {"script", "img", "b"} & set(tags.names)


def test_the_page_needs_nothing_else() -> None:
    tags = Tags()
    tags.feed(render_page(overview(*(JobStatus(job(), state, "x") for state in State))))
    assert not {"script", "link", "img", "iframe"} & set(tags.names)
    assert tags.links == []
    assert "1 of 6 jobs done" in tags.text
    for heading in ("Failed (1)", "Running (1)", "Queued in SLURM (1)", "Stopped with their run"):
        assert heading in tags.text


def test_a_page_of_no_jobs_is_a_page() -> None:
    assert "0 of 0 jobs done" in render_page(overview())
    assert "rule" in render_text(overview())
