"""From answers under the four conditions to the numbers of the metrics file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from evpv_prm.data.conditions import CONDITIONS, Condition
from evpv_prm.metrics.bootstrap import FloatArray, percentile_interval, resample_sums
from evpv_prm.metrics.intervention_file import (
    BASELINE,
    MEASURES,
    ConditionSummary,
    InterventionMetrics,
    InterventionSummary,
    Measure,
    MeasureName,
)
from evpv_prm.metrics.metrics_file import OVERALL, rounded

Values = Mapping[MeasureName, float]
"""What was measured, in [0, 1]; NaN for what could not be."""


@dataclass(frozen=True)
class Observation:
    """What became of one question under one condition.

    A question that was never put to the solver has no accuracy; a solution without a verdict on
    each of its steps, or without steps, has no scores.
    """

    values: Values
    is_answered: bool
    n_steps: int
    failures: Sequence[str]


@dataclass(frozen=True)
class Observations:
    """One question under every condition; `cluster` names its datasource and images."""

    cluster: str
    conditions: Mapping[Condition, Observation]


def summarise(
    questions: Mapping[str, Sequence[Observations]], *, samples: int, seed: int
) -> InterventionMetrics:
    """Compute means and paired differences of each datasource and of all questions pooled.

    Each datasource is resampled on its own, with draws that all conditions share; what is pooled
    adds their resamples up.

    Args:
        questions: by datasource, none of them empty.
        samples: the number of bootstrap resamples.
        seed: of the bootstrap; the intervals of a datasource do not depend on the others.
    """
    sums, resampled = {}, {}
    for name, part in questions.items():
        matrix = _matrix(part)
        sums[name] = matrix.sum(axis=0)
        rng = np.random.default_rng([seed, *name.encode()])
        clusters = [question.cluster for question in part]
        resampled[name] = resample_sums(matrix, clusters, samples, rng)
    sums[OVERALL] = np.sum(list(sums.values()), axis=0)
    resampled[OVERALL] = np.sum(list(resampled.values()), axis=0)
    everything = {**questions, OVERALL: [one for part in questions.values() for one in part]}
    return InterventionMetrics(
        bootstrap_samples=samples,
        seed=seed,
        datasources={
            name: _summary(part, sums[name], resampled[name]) for name, part in everything.items()
        },
    )


_COLUMNS = [
    (condition, measure, is_difference)
    for condition in CONDITIONS
    for measure in MEASURES
    for is_difference in ((False, True) if condition != BASELINE else (False,))
]


def _matrix(questions: Sequence[Observations]) -> FloatArray:
    """Return the columns with 0 for what is not known, then which of them are known, as 1."""
    values = np.array(
        [[_value(question, *column) for column in _COLUMNS] for question in questions]
    )
    known = ~np.isnan(values)
    return np.column_stack([np.where(known, values, 0), known])


def _value(
    question: Observations, condition: Condition, measure: MeasureName, is_difference: bool
) -> float:
    value = question.conditions[condition].values[measure]
    return value - question.conditions[BASELINE].values[measure] if is_difference else value


def _summary(
    questions: Sequence[Observations], sums: FloatArray, resampled: FloatArray
) -> InterventionSummary:
    measured = dict(zip(_COLUMNS, _measures(sums, resampled), strict=True))
    conditions = {}
    for condition in CONDITIONS:
        seen = [question.conditions[condition] for question in questions]
        failures = Counter(failure for one in seen for failure in one.failures)
        conditions[condition] = ConditionSummary(
            n_asked=_known(seen, "accuracy"),
            n_answered=sum(one.is_answered for one in seen),
            n_scored=_known(seen, "step_score"),
            n_steps=sum(one.n_steps for one in seen if not isnan(one.values["step_score"])),
            failures=dict(sorted(failures.items())),
            measures={name: measured[condition, name, False] for name in MEASURES},
            differences={
                name: measured[condition, name, True] for name in MEASURES if condition != BASELINE
            },
        )
    return InterventionSummary(n=len(questions), conditions=conditions)


def _known(observations: Iterable[Observation], measure: MeasureName) -> int:
    return sum(not isnan(one.values[measure]) for one in observations)


def _measures(sums: FloatArray, resampled: FloatArray) -> Iterable[Measure]:
    size = len(_COLUMNS)
    for column in range(size):
        n = int(sums[column + size])
        drawn = resampled[:, column + size]
        if n == 0:
            yield Measure(estimate=None, ci95=None, n=0)
            continue
        # A resample without any question that counts says nothing of the mean.
        means = resampled[drawn > 0, column] / drawn[drawn > 0]
        low, high = percentile_interval(means)
        interval = (rounded(low), rounded(high))
        yield Measure(estimate=rounded(sums[column] / n), ci95=interval, n=n)
