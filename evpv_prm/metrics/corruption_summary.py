"""Summarise judgements with corrupted captions against those with whole ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import permutation_test, rankdata

from evpv_prm.data.constraint_corruption import MODES, DropMeta, FlipMeta, Mode
from evpv_prm.data.constraint_records import (
    ConstraintExperiments,
    ConstraintRecord,
    JudgedPass,
    JudgeView,
)
from evpv_prm.errors import UserError
from evpv_prm.metrics.bootstrap import percentile_interval, resample_sums
from evpv_prm.metrics.corruption_file import (
    CorruptionMetrics,
    Difference,
    Scores,
    Trend,
    ViewSummary,
)
from evpv_prm.metrics.metrics_file import rounded
from evpv_prm.metrics.step_level import (
    RIGHT,
    FloatArray,
    StepOutcomes,
    auroc,
    macro_f1,
    paired_difference,
    record_confusions,
    step_outcomes,
)

_MOST_ORDERS = 50_000  # up to 8 points all orders are tried, of more so many random ones


def summarise(records: Sequence[ConstraintRecord], samples: int, seed: int) -> CorruptionMetrics:
    """Return the metrics of all passes; a failed judgement counts as the wrong answer.

    Args:
        records: all with the same ratios.
        samples: bootstrap resamples of the records.
        seed: the same seed gives the same result.

    Raises:
        UserError: no step is labelled right or wrong.
    """
    baseline = step_outcomes(records)
    if not len(baseline.truth):
        raise UserError("no step is labelled right or wrong")
    views: tuple[JudgeView, ...] = ("with_image", "without_image")
    return CorruptionMetrics(
        n_samples=len(records),
        n_steps=len(baseline.truth),
        n_neutral=baseline.n_neutral,
        bootstrap_samples=samples,
        seed=seed,
        views={
            view: _summarise_view(records, [r.experiments[view] for r in records], samples, seed)
            for view in views
        },
    )


def _summarise_view(
    records: Sequence[ConstraintRecord],
    experiments: Sequence[ConstraintExperiments],
    samples: int,
    seed: int,
) -> ViewSummary:
    whole = _outcomes(records, [each.baseline for each in experiments])

    def corrupted(mode: Mode) -> dict[str, Scores]:
        found = {}
        previous = whole
        for ratio in experiments[0].corrupted(mode):
            passes = [each.corrupted(mode)[ratio] for each in experiments]
            metas = [each.meta for each in passes if each.meta is not None]
            outcomes = _outcomes(records, passes)
            differences = {
                "difference": _difference(outcomes, whole, samples, seed),
                "to_previous": _difference(outcomes, previous, samples, seed),
            }
            scores = _scores(outcomes, float(ratio), metas, samples, seed)
            found[ratio] = scores.model_copy(update=differences)
            previous = outcomes
        return found

    drop, flip = (corrupted(mode) for mode in MODES)
    baseline = _scores(whole, 0.0, [], samples, seed)
    baseline = baseline.model_copy(update={"items": next(iter(drop.values())).items})
    trends = {
        mode: trend(
            [0.0, *(scores.realised for scores in by_ratio.values())],
            [baseline.macro_f1, *(scores.macro_f1 for scores in by_ratio.values())],
            seed,
        )
        for mode, by_ratio in zip(MODES, (drop, flip), strict=True)
    }
    return ViewSummary(baseline=baseline, drop=drop, flip=flip, trend=trends)


def _outcomes(records: Sequence[ConstraintRecord], passes: Sequence[JudgedPass]) -> StepOutcomes:
    """Line up the judgements of one pass over the records with their labels."""
    names = ("step_predict", "step_probabilities", "failures")
    return step_outcomes(
        [
            record.model_copy(update={name: getattr(judged, name) for name in names})
            for record, judged in zip(records, passes, strict=True)
        ]
    )


def _scores(
    outcomes: StepOutcomes,
    ratio: float,
    metas: Sequence[DropMeta | FlipMeta],
    samples: int,
    seed: int,
) -> Scores:
    """Score one pass, as yet without differences."""
    confusions = record_confusions(outcomes, outcomes.n_samples)
    rng = np.random.default_rng(seed)
    sums = resample_sums(confusions, outcomes.pids, samples, rng)
    area = auroc(outcomes)
    items, changed = sum(meta.items for meta in metas), sum(meta.changed for meta in metas)
    return Scores(
        ratio=ratio,
        items=items,
        changed=changed,
        unchangeable=sum(meta.unchangeable for meta in metas if isinstance(meta, FlipMeta)),
        realised=rounded(changed / items) if items else 0.0,
        macro_f1=rounded(float(macro_f1(confusions.sum(axis=0)))),
        ci95=_interval(macro_f1(sums)),
        difference=None,
        to_previous=None,
        auroc=None if area is None else rounded(area),
        auroc_ci95=None if area is None else _interval(_auroc_replicates(outcomes, samples, seed)),
        failures=dict(sorted(outcomes.failures.items())),
    )


def _difference(
    corrupted: StepOutcomes, whole: StepOutcomes, samples: int, seed: int
) -> Difference:
    a, b = (record_confusions(side, side.n_samples) for side in (corrupted, whole))
    found = paired_difference(a, b, samples, seed)
    low, high = map(rounded, found.ci95)
    return Difference(estimate=rounded(found.estimate), ci95=(low, high), p_value=found.p_value)


def _interval(replicates: FloatArray) -> tuple[float, float]:
    low, high = percentile_interval(replicates)
    return rounded(low), rounded(high)


def _auroc_replicates(outcomes: StepOutcomes, samples: int, seed: int) -> FloatArray:
    """Return AUROC on resamples of the records [up to samples]; those of one class have none."""
    known = ~np.isnan(outcomes.probability)
    record, is_right = outcomes.record[known], outcomes.truth[known] == RIGHT
    values, place = np.unique(outcomes.probability[known], return_inverse=True)
    rng = np.random.default_rng(seed)
    areas = np.empty(samples)
    for index in range(samples):
        drawn = np.bincount(rng.integers(outcomes.n_samples, size=outcomes.n_samples))
        weight = np.pad(drawn, (0, outcomes.n_samples - len(drawn)))[record]
        right = np.bincount(place, weight * is_right, len(values))
        wrong = np.bincount(place, weight * ~is_right, len(values))
        pairs = right.sum() * wrong.sum()
        won = (right * (np.cumsum(wrong) - wrong / 2)).sum()
        areas[index] = won / pairs if pairs else np.nan
    replicates: FloatArray = areas[~np.isnan(areas)]
    return replicates


def trend(rates: Sequence[float], scores: Sequence[float], seed: int) -> Trend:
    """Test whether scores rise or fall with the rates, from their ranks alone.

    The p-value is the share of all orders of the scores that correlate at least as strongly in the
    same direction, doubled for both directions.
    """
    x, y = rankdata(rates), rankdata(scores)
    if len(set(x)) == 1 or len(set(y)) == 1:
        return Trend(spearman=None, p_value=None)
    x, y = ((ranks - ranks.mean()) / ranks.std() for ranks in (x, y))

    def correlation(order: FloatArray, axis: int) -> FloatArray:
        found: FloatArray = np.mean(order * y, axis=axis)
        return found

    test = permutation_test(
        (x,), correlation, permutation_type="pairings", vectorized=True,
        n_resamples=_MOST_ORDERS, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return Trend(spearman=rounded(test.statistic), p_value=rounded(test.pvalue))
