"""The metrics file of the perception intervention (`M.json`): its schema, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from evpv_prm.data.conditions import Condition
from evpv_prm.jsonl import read_document
from evpv_prm.metrics.metrics_file import Interval, Strict

MeasureName = Literal["accuracy", "step_score", "step_probability"]
MEASURES: tuple[MeasureName, ...] = get_args(MeasureName)
"""Right answers; steps judged right; the judge's p of "right": fractions in [0, 1]."""

BASELINE: Condition = "cond1"


class Measure(Strict):
    """A mean over `n` questions with its 95 % interval; both None where there is no question."""

    estimate: float | None
    ci95: Interval | None
    n: int


class ConditionSummary(Strict):
    """What is measured under one condition.

    `n_asked` questions were put to the solver and `n_answered` got an answer; `n_scored` of these
    have a verdict on each of their steps, `n_steps` in all. `failures` counts the conditions that
    could not be had and the requests that failed, as "STAGE:KIND". `differences` are those to
    the baseline, `cond1`, over the questions that have both; the baseline itself has none.
    """

    n_asked: int
    n_answered: int
    n_scored: int
    n_steps: int
    failures: dict[str, int]
    measures: dict[MeasureName, Measure]
    differences: dict[MeasureName, Measure]


class InterventionSummary(Strict):
    """The conditions over the `n` questions of one datasource, or of all."""

    n: int
    conditions: dict[Condition, ConditionSummary]


class InterventionMetrics(Strict):
    """One metrics file: `datasources` holds each datasource and `OVERALL`, all questions pooled."""

    bootstrap_samples: int
    seed: int
    datasources: dict[str, InterventionSummary]


def read_intervention_metrics(files: Mapping[str, Path]) -> dict[str, InterventionMetrics]:
    """Read the metrics files of several policies, by name and in the order given.

    Raises:
        InputError: a file cannot be read or is not a metrics file.
    """
    return {name: read_document(path, InterventionMetrics) for name, path in files.items()}
