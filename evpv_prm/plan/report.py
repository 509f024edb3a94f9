"""A plan as text: jobs and costs by rule, and what the numbers rest on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from evpv_prm.plan.cost import Cost
from evpv_prm.plan.jobs import Job

HEADERS = (
    "rule",
    "runs as",
    "jobs",
    "GPU-hours",
    "calls",
    "prompt tokens",
    "new tokens",
    "disk",
)
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Group:
    """The jobs of one rule that run in the same way."""

    rule: str
    kind: str
    jobs: int
    cost: Cost


def group_jobs(costs: Iterable[tuple[Job, Cost]]) -> list[Group]:
    """Add up jobs by rule and kind, in the order in which they come first."""
    jobs: Counter[tuple[str, str]] = Counter()
    totals: defaultdict[tuple[str, str], Cost] = defaultdict(Cost)
    for job, cost in costs:
        key = job.rule, job.kind
        jobs[key] += 1
        totals[key] += cost
    return [Group(rule, kind, jobs[rule, kind], totals[rule, kind]) for rule, kind in jobs]


def render(groups: Sequence[Group], done: int, notes: Iterable[str]) -> str:
    """Return a plan.

    Args:
        groups: what is to be done.
        done: the number of jobs whose results are there.
        notes: what the numbers rest on, a line each.
    """
    lines = [f"- {note}" for note in notes]
    total = sum((group.cost for group in groups), Cost())
    if total.is_estimate:
        lines.append("- ~ rests on an estimate: a rate or a size that was never measured")
    if total.is_partial:
        lines.append("- ? is not counted, or not all of it: a rate or a size is missing")
    if total.gpu_hours or total.calls:
        lines.append(
            "- counted as if the response store were empty; what it holds is not paid again"
        )
    return "\n".join([_table(groups, total), "", *lines, _last_line(groups, done)])


def short(number: float) -> str:
    """Return a number with three digits and a letter: 1.23M for 1,234,567."""
    for size, letter in UNITS:
        # 999,600 has three digits as 1.00M, not as 1000k.
        if float(f"{number:.3g}") >= size:
            digits = float(f"{number / size:.3g}")
            return f"{digits:.{max(0, 3 - len(str(int(digits))))}f}{letter}"
    return f"{number:.3g}"


def _table(groups: Sequence[Group], total: Cost) -> str:
    rows = [[g.rule, g.kind, g.jobs, *_columns(g.cost)] for g in groups]
    rows.append(["total", "", sum(group.jobs for group in groups), *_columns(total)])
    aligned = ("left", "left", *["right"] * 6)
    return tabulate(rows, HEADERS, tablefmt="simple", colalign=aligned, disable_numparse=True)


def _columns(cost: Cost) -> list[str]:
    values = [
        f"{cost.gpu_hours:.3g}" if 0 < cost.gpu_hours < 100 else short(cost.gpu_hours),
        short(cost.calls),
        short(cost.prompt_tokens),
        short(cost.completion_tokens),
        f"{short(cost.bytes)}B",
    ]
    shown = (cost.gpu_hours, cost.calls, cost.prompt_tokens, cost.completion_tokens, cost.bytes)
    mark = "~" if cost.is_estimate else ""
    empty = "?" if cost.is_partial else "-"
    more = "+?" if cost.is_partial else ""
    return [
        f"{mark}{text}{more}" if value else empty for text, value in zip(values, shown, strict=True)
    ]


def _last_line(groups: Sequence[Group], done: int) -> str:
    kinds: Counter[str] = Counter()
    for group in groups:
        kinds[group.kind] += group.jobs
    submitted = kinds["GPU"] + kinds["CPU"]
    return (
        f"{done} jobs are done, {kinds.total()} to do: {kinds['local']} where Snakemake runs; "
        f"{submitted} submitted on a cluster, {kinds['GPU']} of them with GPUs"
    )
