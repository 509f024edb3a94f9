"""What Snakemake's log of a run says of its jobs (`.snakemake/log/*.snakemake.log`, version 9)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto

_STATS = re.compile(r"^job +count\n-.*\n((?:\w+ +\d+\n)+)", re.MULTILINE)
_EVENT = re.compile(
    r"^Job (?P<submitted>\d+) has been submitted with SLURM jobid (?P<number>\S+)"
    r" \(log: (?P<log>.+)\)\.$"
    r"|^Job (?P<started>\d+): (?P<message>.+)$"
    r"|^Finished jobid: (?P<finished>\d+)\b"
    r"|^Error in rule \w+:\n(?:    message: (?P<error>.*(?:\n(?!    jobid:).*)*)\n)?"
    r"    jobid: (?P<failed>\d+)$",
    re.MULTILINE,
)
_SLURM_STATE = re.compile(r"SLURM status is: '([A-Z_]+)")


class Phase(StrEnum):
    """How far a run has come with a job."""

    STARTED = auto()
    FINISHED = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Attempt:
    """The last attempt of a run at a job."""

    phase: Phase
    slurm_log: str | None = None
    """The file that SLURM writes from the start of the job on; None: it was not submitted."""

    error: str | None = None
    """What Snakemake says of a failure, if anything."""

    @property
    def slurm_state(self) -> str | None:
        """Return how SLURM names the end of a job that failed, such as "TIMEOUT"."""
        found = _SLURM_STATE.search(self.error or "")
        return found[1] if found else None


def planned_rules(text: str) -> set[str]:
    """Return the rules that a run meant to run; none: it was refused, or had nothing to do."""
    table = _STATS.search(text)
    return {line.split()[0] for line in table[1].splitlines()} - {"total"} if table else set()


def read_attempts(text: str) -> dict[str, Attempt]:
    """Return the last attempt at each job by its message; a job has a number in the log alone."""
    messages: dict[str, str] = {}
    attempts: dict[str, Attempt] = {}
    for event in _EVENT.finditer(text):
        if event["started"]:
            messages[event["started"]] = event["message"]
            attempts[event["message"]] = Attempt(Phase.STARTED)
            continue
        number = event["submitted"] or event["finished"] or event["failed"]
        message = messages.get(number)
        if message is None:
            continue
        slurm_log = attempts[message].slurm_log
        if event["submitted"]:
            attempts[message] = Attempt(Phase.STARTED, event["log"])
        elif event["finished"]:
            attempts[message] = Attempt(Phase.FINISHED, slurm_log)
        else:
            error = " ".join((event["error"] or "").split())
            known = None if error in ("", "None") else error
            attempts[message] = Attempt(Phase.FAILED, slurm_log, known)
    return attempts


def began(name: str) -> float:
    """Return when a run began, in seconds since the epoch, by the name of its log."""
    return datetime.strptime(name.removesuffix(".snakemake.log"), "%Y-%m-%dT%H%M%S.%f").timestamp()
