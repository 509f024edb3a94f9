"""What has become of the jobs of a workflow, as a page and as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from tabulate import tabulate

from evpv_prm.job_states import JobStatus, State, count_states, in_state

TEMPLATE = Path(__file__).with_name("status_page.html")
LISTED = {
    State.FAILED: "Failed",
    State.STOPPED: "Stopped with their run",
    State.RUNNING: "Running",
    State.QUEUED: "Queued in SLURM",
}
"""States whose jobs are named one by one, with the heading of each, in this order."""


@dataclass(frozen=True)
class Overview:
    """The jobs, and the run that was the last to touch them."""

    statuses: Sequence[JobStatus]
    run: str
    """The last run in a sentence."""

    written: str
    """The time at which this was found."""


def render_page(overview: Overview) -> str:
    """Return the page: HTML that needs no other file and no network."""
    # Autoescape: lines of logs are anybody's text.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(
        overview=overview,
        states=list(State),
        rules=count_states(overview.statuses),
        totals={state: len(in_state(overview.statuses, state)) for state in State},
        sections=[(head, state, in_state(overview.statuses, state)) for state, head in _listed()],
    )


def render_text(overview: Overview) -> str:
    """Return the same for a terminal."""
    rules = count_states(overview.statuses)
    shown = [state for state in State if in_state(overview.statuses, state)]
    rows = [[rule, *(counts[state] or "" for state in shown)] for rule, counts in rules.items()]
    total = ["total", *(len(in_state(overview.statuses, state)) for state in shown)]
    headers = ["rule", *shown]
    parts = [overview.run, tabulate([*rows, total], headers)]
    for state, heading in _listed():
        members = in_state(overview.statuses, state)
        if members:
            lines = [line for status in members for line in _lines(status)]
            parts.append("\n".join([f"{heading} ({len(members):,})", *lines]))
    return "\n\n".join(parts)


def _listed() -> list[tuple[State, str]]:
    return list(LISTED.items())


def _lines(status: JobStatus) -> list[str]:
    where = f"  {status.job.message}: {status.job.log or 'no log'}"
    return [where, *([f"    {status.detail}"] if status.detail else [])]
