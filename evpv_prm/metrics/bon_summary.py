"""From the outcomes of candidates to the numbers of the metrics file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from evpv_prm.metrics.best_of_n import (
    BoolArray,
    FloatArray,
    IntArray,
    best_of_n,
    majority_vote,
    pass_at_k,
)
from evpv_prm.metrics.bon_file import BonMetrics, Scores, Summary
from evpv_prm.metrics.bootstrap import percentile_interval, resample_sums
from evpv_prm.metrics.metrics_file import OVERALL, rounded

SCORES: tuple[Scores, ...] = get_args(Scores)

_Path = tuple[str, ...]
"""Where a number stands in a `Summary`."""


@dataclass(frozen=True)
class Outcomes:
    """What is known of the questions of one datasource and their candidates.

    `n` counts all questions and `failures` what went wrong, by reason. The arrays have a row for
    each question that enters the rates: `clusters` names its datasource and images; `correct` and
    `answers` [questions, candidates] are as `majority_vote` takes them, and so is each of `scores`
    as `best_of_n` does, by kind of scores and aggregation.
    """

    n: int
    failures: Mapping[str, int]
    clusters: NDArray[np.str_]
    correct: BoolArray
    answers: IntArray
    scores: Mapping[tuple[Scores, str], FloatArray]


def summarise(
    outcomes: Mapping[str, Outcomes],
    aggregations: Sequence[str],
    *,
    samples: int,
    seed: int,
) -> BonMetrics:
    """Compute the metrics of each datasource, of all questions pooled, and the datasources' mean.

    Each datasource is resampled on its own; what combines them combines their resamples.

    Args:
        outcomes: by datasource, all with the same number of candidates, at least one.
        aggregations: those in `Outcomes.scores`.
        samples: the number of bootstrap resamples.
        seed: of the bootstrap; the intervals of a datasource do not depend on the others.
    """
    values = {name: _values(part, aggregations) for name, part in outcomes.items()}
    paths = list(next(iter(values.values())))
    means, replicates = {}, {}
    totals, resampled_totals = np.zeros(len(paths) + 1), np.zeros((samples, len(paths) + 1))
    for name, part in outcomes.items():
        # A last column of ones counts the questions.
        matrix = np.column_stack([*values[name].values(), np.ones(len(part.correct))])
        if not len(matrix):
            means[name] = np.full(len(paths), np.nan)
            replicates[name] = np.full((samples, len(paths)), np.nan)
            continue
        rng = np.random.default_rng([seed, *name.encode()])
        sums, resampled = matrix.sum(axis=0), resample_sums(matrix, part.clusters, samples, rng)
        means[name], replicates[name] = _ratio(sums), _ratio(resampled)
        totals += sums
        resampled_totals += resampled
    macro_mean = np.mean(list(means.values()), axis=0)
    macro_replicates = np.mean(list(replicates.values()), axis=0)
    means[OVERALL], replicates[OVERALL] = _ratio(totals), _ratio(resampled_totals)

    counts = {name: _counts(part) for name, part in outcomes.items()}
    counts[OVERALL] = _total(list(counts.values()))
    datasources = {
        name: _summary(counts[name], paths, means[name], replicates[name]) for name in counts
    }
    return BonMetrics(
        num_candidates=next(iter(outcomes.values())).correct.shape[1],
        aggregations=list(aggregations),
        bootstrap_samples=samples,
        seed=seed,
        datasources=datasources,
        macro_average=_summary(counts[OVERALL], paths, macro_mean, macro_replicates),
    )


def _ratio(sums: FloatArray) -> FloatArray:
    """Divide the columns by the last one, the number of questions."""
    ratio: FloatArray = sums[..., :-1] / sums[..., -1:]
    return ratio


def _values(part: Outcomes, aggregations: Sequence[str]) -> dict[_Path, FloatArray]:
    """Return one column a number [questions]; gains are differences within the question."""
    columns: dict[_Path, FloatArray] = {}

    def add_rates(path: _Path, rates: FloatArray) -> FloatArray:
        for k, column in enumerate(rates.T, start=1):
            columns[(*path, str(k))] = column
        last: FloatArray = rates[:, -1]
        return last

    passed = pass_at_k(part.correct)
    add_rates(("pass_at_k",), passed)
    random_choice = columns[("random_choice",)] = passed[:, 0]
    majority = add_rates(("majority_vote",), majority_vote(part.correct, part.answers))
    for name in aggregations:
        best = {}
        for kind in SCORES:
            rates = best_of_n(part.correct, part.scores[kind, name])
            best[kind] = add_rates(("bon_at_k", kind, name), rates)
            columns[("bon_gain", kind, name)] = best[kind] - random_choice
            columns[("bon_gain_over_majority_vote", kind, name)] = best[kind] - majority
        columns[("gate_gain", name)] = best["gated"] - best["raw"]
    return columns


def _counts(part: Outcomes) -> dict[str, Any]:
    unscored = {
        kind: int(next(np.isnan(array).sum() for (k, _), array in part.scores.items() if k == kind))
        for kind in SCORES
    }
    return {
        "n": part.n,
        "n_scored": len(part.correct),
        "n_candidates": part.correct.size,
        "n_unscored_candidates": unscored,
        "failures": dict(sorted(part.failures.items())),
    }


def _total(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up counts; a table of counts adds up by its keys, zeros included."""
    total: dict[str, Any] = {}
    for key, value in counts[0].items():
        parts = [part[key] for part in counts]
        if isinstance(value, dict):
            names = sorted(set().union(*parts))
            total[key] = {name: sum(part.get(name, 0) for part in parts) for name in names}
        else:
            total[key] = sum(parts)
    return total


def _summary(
    counts: Mapping[str, Any], paths: Sequence[_Path], means: FloatArray, replicates: FloatArray
) -> Summary:
    intervals = percentile_interval(replicates).T
    content: dict[str, Any] = {**counts, "intervals": {}}
    for path, mean, (low, high) in zip(paths, means, intervals, strict=True):
        estimate = _number(mean)
        interval = None if estimate is None else (_number(low), _number(high))
        if path[0].endswith(("gain", "gain_over_majority_vote")):
            _place(content, path, {"estimate": estimate, "ci95": interval})
        else:
            _place(content, path, estimate)
            if path != ("random_choice",):
                _place(content["intervals"], path, interval)
    return Summary.model_validate(content)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else rounded(value)


def _place(tree: dict[str, Any], path: _Path, value: Any) -> None:
    *parents, leaf = path
    for key in parents:
        tree = tree.setdefault(key, {})
    tree[leaf] = value
