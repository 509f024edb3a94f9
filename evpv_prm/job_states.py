"""From what is known of the jobs of a workflow to what a user wants to know."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from evpv_prm.plan.jobs import Job
from evpv_prm.progress import PROGRESS_LINE
from evpv_prm.run_log import Attempt, Phase

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ERROR = re.compile(r"(?:\d\d:\d\d:\d\d )?error: ")
LONGEST_LINE = 500


class State(StrEnum):
    """What has become of a job."""

    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    """Submitted to SLURM, which has not started it."""

    WAITING = "waiting"
    FAILED = "failed"
    STOPPED = "stopped"
    """It was running when its run ended; the next run goes on with it."""


@dataclass(frozen=True)
class JobStatus:
    """A job and what has become of it; `detail` is its last progress, or why it failed."""

    job: Job
    state: State
    detail: str = ""


def state_of(job: Job, attempt: Attempt | None, *, is_on: bool, has_begun: bool) -> State:
    """Return the state of a job.

    Args:
        job: the job.
        attempt: what the last run did with it; None: nothing.
        is_on: the last run is still going on.
        has_begun: SLURM has started it; of no account where it was not submitted.
    """
    if attempt is not None and attempt.phase == Phase.STARTED and is_on:
        return State.QUEUED if attempt.slurm_log and not has_begun else State.RUNNING
    if not job.is_needed:
        return State.DONE
    if attempt is None or attempt.phase == Phase.FINISHED:
        return State.WAITING
    return State.FAILED if attempt.phase == Phase.FAILED else State.STOPPED


def detail_of(state: State, attempt: Attempt | None, log: str) -> str:
    """Return the line that says most about a job: its progress, or why it failed.

    `log` is the end of what the job has written.
    """
    lines = clean_lines(log)
    if state in (State.RUNNING, State.STOPPED):
        progress = [line for line in lines if PROGRESS_LINE.match(line)]
        return _short((progress or lines or [""])[-1])
    if state != State.FAILED:
        return ""
    errors = [line for line in lines if _ERROR.match(line)]
    said = (errors or lines or [""])[-1]
    ended = attempt.slurm_state if attempt else None
    if not said:
        said = (attempt.error if attempt else None) or "its log is empty"
    elif ended and ended != "FAILED":  # FAILED says only that it did
        said = f"{ended}: {said}"
    return _short(said)


def clean_lines(text: str) -> list[str]:
    """Return the lines that a terminal would show of a text, without the blank ones."""
    shown = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    plain = (_TERMINAL_CODES.sub("", line).strip() for line in shown)
    return [line for line in plain if line]


def count_states(statuses: Iterable[JobStatus]) -> dict[str, Counter[State]]:
    """Return the number of jobs in each state by rule, in the order in which rules come first."""
    counts: dict[str, Counter[State]] = {}
    for status in statuses:
        counts.setdefault(status.job.rule, Counter())[status.state] += 1
    return counts


def in_state(statuses: Sequence[JobStatus], *states: State) -> list[JobStatus]:
    """Return the jobs in these states, by rule and log."""
    chosen = [status for status in statuses if status.state in states]
    return sorted(chosen, key=lambda status: (status.job.rule, _natural(status.job.log)))


def _natural(path: Path | None) -> list[tuple[int, str]]:
    """Order 10-of-12 after 2-of-12."""
    parts = re.split(r"(\d+)", str(path or ""))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
