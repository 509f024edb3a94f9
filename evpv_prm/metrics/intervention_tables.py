"""Tables of a perception intervention for reading, and all of its numbers in one tidy frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from evpv_prm.data.conditions import SETTINGS
from evpv_prm.metrics.intervention_file import (
    MEASURES,
    ConditionSummary,
    InterventionMetrics,
    InterventionSummary,
    Measure,
    MeasureName,
)
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.metrics.rendering import MISSING, Table, gain_with_interval, with_interval

POOLED_LABEL = "All questions pooled"
MEASURE_LABELS: Mapping[MeasureName, str] = {
    "accuracy": "Accuracy",
    "step_score": "Steps judged right",
    "step_probability": "Mean p of a step",
}


def intervention_tables(metrics: Mapping[str, InterventionMetrics]) -> list[Table]:
    """Lay out the metrics for reading, in percent and percentage points.

    Args:
        metrics: by policy; a single policy named "" gets no column.
    """
    first = next(iter(metrics.values()))
    labels = ["Benchmark", "Condition"]
    if list(metrics) != [""]:
        labels = ["Policy", *labels]

    def table(
        title: str, columns: Mapping[str, Callable[[ConditionSummary], str]], notes: list[str]
    ) -> Table:
        rows = [
            [policy, label, SETTINGS[condition].label][-len(labels) :]
            + [text(summary) for text in columns.values()]
            for policy, file in metrics.items()
            for label, part in _for_reading(file)
            for condition, summary in part.conditions.items()
        ]
        return Table(title, [*labels, *columns], rows, len(labels), notes)

    return [
        table(
            "Perception intervention: means (%) with 95 % interval",
            {label: partial(_mean, name) for name, label in MEASURE_LABELS.items()},
            [
                "Accuracy is over the questions that were put to the solver; an answer that could "
                "not be made is wrong. Steps judged right, and the judge's mean p of it: the mean "
                "over a solution's steps, then over the solutions with a verdict on each step.",
                f"Intervals: bootstrap over questions clustered by image within each benchmark, "
                f"{first.bootstrap_samples} resamples, seed {first.seed}.",
            ],
        ),
        table(
            "Perception intervention: differences to the image alone, percentage points with 95 % "
            "interval",
            {label: partial(_gain, name) for name, label in MEASURE_LABELS.items()},
            ["Paired: over the questions that have both, with shared resamples."],
        ),
        table(
            "Perception intervention: questions, answers and steps behind the means",
            {
                "Asked": lambda s: str(s.n_asked),
                "Answered": lambda s: str(s.n_answered),
                "Scored": lambda s: str(s.n_scored),
                "Steps": lambda s: str(s.n_steps),
                "Failures": lambda s: str(sum(s.failures.values())),
            },
            [*_question_notes(metrics), *_failure_notes(metrics)],
        ),
    ]


def intervention_frame(metrics: Mapping[str, InterventionMetrics]) -> pd.DataFrame:
    """Return every number as a row.

    Args:
        metrics: by policy.

    Returns:
        Columns policy, benchmark, condition ("cond1" … "cond4"), setting, metric (a measure, or
        "MEASURE_difference" for the one to condition 1), estimate (a fraction in [0, 1] or a
        difference of fractions), ci95_low, ci95_high, n (questions behind it), and the counts
        n_questions, n_asked, n_answered, n_scored, n_steps and failures ("REASON=COUNT;…").
    """
    return pd.DataFrame(
        {"policy": policy, "benchmark": benchmark, **row}
        for policy, file in metrics.items()
        for benchmark, part in file.datasources.items()
        for row in _rows(part)
    )


def _rows(part: InterventionSummary) -> Iterator[dict[str, Any]]:
    for condition, summary in part.conditions.items():
        numbers: dict[str, Measure] = {name: summary.measures[name] for name in MEASURES}
        numbers |= {f"{name}_difference": gain for name, gain in summary.differences.items()}
        for metric, number in numbers.items():
            low, high = number.ci95 or (None, None)
            yield {
                "condition": condition,
                "setting": SETTINGS[condition].label,
                "metric": metric,
                "estimate": number.estimate,
                "ci95_low": low,
                "ci95_high": high,
                "n": number.n,
                "n_questions": part.n,
                "n_asked": summary.n_asked,
                "n_answered": summary.n_answered,
                "n_scored": summary.n_scored,
                "n_steps": summary.n_steps,
                "failures": ";".join(f"{kind}={n}" for kind, n in summary.failures.items()),
            }


def _for_reading(metrics: InterventionMetrics) -> Iterator[tuple[str, InterventionSummary]]:
    """Yield the datasources by label; all pooled only where there are several."""
    several = len(metrics.datasources) > 2
    for name, part in metrics.datasources.items():
        if several or name != OVERALL:
            yield POOLED_LABEL if name == OVERALL else name, part


def _question_notes(metrics: Mapping[str, InterventionMetrics]) -> Iterator[str]:
    first = next(iter(metrics.values()))
    counts = ", ".join(f"{name} {part.n}" for name, part in _for_reading(first))
    yield f"Questions: {counts}."


def _failure_notes(metrics: Mapping[str, InterventionMetrics]) -> Iterator[str]:
    for policy, file in metrics.items():
        parts = [
            f"{SETTINGS[condition].label}: {', '.join(f'{k} {n}' for k, n in failures.items())}"
            for condition, summary in file.datasources[OVERALL].conditions.items()
            if (failures := summary.failures)
        ]
        if parts:
            yield f"Failures{f' of {policy}' if policy else ''} by reason. {'; '.join(parts)}."


def _mean(name: MeasureName, summary: ConditionSummary) -> str:
    measure = summary.measures[name]
    return with_interval(measure.estimate, measure.ci95)


def _gain(name: MeasureName, summary: ConditionSummary) -> str:
    gain = summary.differences.get(name)
    return MISSING if gain is None else gain_with_interval(gain.estimate, gain.ci95)
