"""All numbers of step-level metrics files in one tidy frame, published ones beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from evpv_prm.metrics.step_file import StepMetrics, StepSummary
from evpv_prm.published import Published

THIS_RUN, PUBLISHED_RESULT = "this run", "published"
POOLED, SOURCE_WEIGHTED, UNSTATED = "pooled", "source_weighted", "unstated"
"""How all solutions are taken together; papers do not say how."""

_METRICS = ("macro_f1", "f1_correct", "f1_incorrect", "auroc", "first_error_accuracy")
_COUNTS = ("n_samples", "n_with_steps", "n_steps", "n_neutral", "n_without_probability")


def step_level_frame(
    metrics: Mapping[str, StepMetrics], published: Sequence[Published]
) -> pd.DataFrame:
    """Return every number as a row.

    Args:
        metrics: by name of the system.
        published: systems to compare with.

    Returns:
        Columns results ("this run" or "published"), system, group ("source", "policy" or "all"),
        name (of the source or policy, else "pooled", "source_weighted" or "unstated"), metric,
        estimate (a fraction in [0, 1]), ci95_low, ci95_high, the counts of `StepSummary` with
        n_failed_steps and failures ("REASON=COUNT;…"), reference and note (of published results).
    """
    rows = [
        {"results": THIS_RUN, "system": system, **row}
        for system, file in metrics.items()
        for row in _measured(file)
    ]
    rows += [
        {
            "results": PUBLISHED_RESULT,
            "system": result.system,
            "metric": "macro_f1",
            "reference": result.reference,
            **row,
        }
        for result in published
        for row in _published(result)
    ]
    frame = pd.DataFrame(rows)
    counts = [*_COUNTS, "n_failed_steps"]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def _measured(file: StepMetrics) -> Iterator[dict[str, Any]]:
    for name, summary in file.sources.items():
        yield from _summary("source", name, summary)
    for name, summary in file.policies.items():
        yield from _summary("policy", name, summary)
    yield from _summary("all", POOLED, file.overall.pooled)
    mean = file.overall.source_weighted
    counts = _counts(file.overall.pooled)
    yield _row("all", SOURCE_WEIGHTED, "macro_f1", mean.macro_f1, mean.ci95) | counts


def _summary(group: str, name: str, summary: StepSummary) -> Iterator[dict[str, Any]]:
    for metric in _METRICS:
        interval = summary.ci95 if metric == "macro_f1" else None
        yield _row(group, name, metric, getattr(summary, metric), interval) | _counts(summary)


def _counts(summary: StepSummary) -> dict[str, Any]:
    return {
        **{count: getattr(summary, count) for count in _COUNTS},
        "n_failed_steps": summary.n_failed_steps,
        "failures": ";".join(f"{kind}={n}" for kind, n in summary.failures.items()),
    }


def _published(result: Published) -> Iterator[dict[str, Any]]:
    for name, value in result.by_source.items():
        yield _row("source", name, "macro_f1", round(value / 100, 4), None)
    for value in result.macro_f1:
        yield _row("all", UNSTATED, "macro_f1", round(value / 100, 4), None) | {"note": result.note}


def _row(
    group: str,
    name: str,
    metric: str,
    estimate: float | None,
    interval: tuple[float, float] | None,
) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {
        "group": group,
        "name": name,
        "metric": metric,
        "estimate": estimate,
        "ci95_low": low,
        "ci95_high": high,
    }
