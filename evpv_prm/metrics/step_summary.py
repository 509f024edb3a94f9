"""From the judgements of labelled solutions to the numbers of the step-level metrics file."""

from __future__ import annotations

import numpy as np

from evpv_prm.metrics.bootstrap import percentile_interval, resample_sums
from evpv_prm.metrics.metrics_file import Interval, rounded
from evpv_prm.metrics.step_file import (
    Overall,
    SourceMean,
    StepMetrics,
    StepSummary,
    Verdicts,
)
from evpv_prm.metrics.step_level import (
    FAILED,
    RIGHT,
    WRONG,
    FloatArray,
    StepOutcomes,
    TextArray,
    auroc,
    class_f1,
    first_error_hits,
    macro_f1,
    record_confusions,
    unknown_probabilities,
)


def summarise(outcomes: StepOutcomes, *, samples: int, seed: int) -> StepMetrics:
    """Compute the metrics of each source, each policy model and all solutions.

    Each source is resampled on its own, record by record, and so is each policy model; what
    combines the sources combines their resamples. Nothing depends on the order of the records.

    Args:
        outcomes: at least one step is labelled right or wrong.
        samples: the number of bootstrap resamples.
        seed: of the bootstrap; the intervals of a source do not depend on the others.
    """
    sources = _groups(outcomes, outcomes.sources)
    policies = _groups(outcomes, outcomes.policies)
    replicates = {name: _resample(part, name, samples, seed) for name, part in sources.items()}
    stacked = np.stack(list(replicates.values()))
    totals = np.stack([_confusions(part).sum(axis=0) for part in sources.values()])
    return StepMetrics(
        bootstrap_samples=samples,
        seed=seed,
        sources={name: _summary(part, replicates[name]) for name, part in sources.items()},
        policies={
            name: _summary(part, _resample(part, name, samples, seed))
            for name, part in policies.items()
        },
        overall=Overall(
            pooled=_summary(outcomes, stacked.sum(axis=0)),
            source_weighted=SourceMean(
                macro_f1=rounded(float(_step_weighted_mean(totals))),
                ci95=_interval(_step_weighted_mean(stacked)),
            ),
        ),
    )


def _groups(outcomes: StepOutcomes, names: TextArray) -> dict[str, StepOutcomes]:
    return {str(name): outcomes.select(names == name) for name in np.unique(names)}


def _confusions(outcomes: StepOutcomes) -> FloatArray:
    return record_confusions(outcomes, outcomes.n_samples)


def _resample(part: StepOutcomes, name: str, samples: int, seed: int) -> FloatArray:
    """Return the confusions of each resample [samples, 4].

    Draws are over pids, so that they do not depend on the order of the records.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    return resample_sums(_confusions(part), part.pids, samples, rng)


def _step_weighted_mean(confusions: FloatArray) -> FloatArray:
    """Return the mean of the sources' macro-F1 [...] of confusions [sources, ..., 4]."""
    steps = confusions.sum(axis=-1)
    weighted = (macro_f1(confusions) * steps).sum(axis=0)
    mean: FloatArray = weighted / np.maximum(steps.sum(axis=0), 1)  # a resample may have no steps
    return mean


def _summary(part: StepOutcomes, replicates: FloatArray) -> StepSummary:
    confusions = _confusions(part).sum(axis=0)
    hits = first_error_hits(part)
    n_steps, n_with_steps = len(part.truth), int(np.isfinite(hits).sum())
    f1_correct, f1_incorrect = class_f1(confusions)
    area = auroc(part)

    def if_measured(value: float) -> float | None:
        return rounded(value) if n_steps else None

    return StepSummary(
        n_samples=part.n_samples,
        n_with_steps=n_with_steps,
        n_steps=n_steps,
        n_neutral=part.n_neutral,
        n_without_probability=unknown_probabilities(part),
        confusion={"right": _verdicts(part, RIGHT), "wrong": _verdicts(part, WRONG)},
        failures=dict(sorted(part.failures.items())),
        f1_correct=if_measured(f1_correct),
        f1_incorrect=if_measured(f1_incorrect),
        macro_f1=if_measured(float(macro_f1(confusions))),
        ci95=_interval(macro_f1(replicates)) if n_steps else None,
        auroc=None if area is None else rounded(area),
        first_error_accuracy=if_measured(np.nansum(hits) / max(n_with_steps, 1)),
    )


def _verdicts(part: StepOutcomes, label: int) -> Verdicts:
    predicted = part.predicted[part.truth == label]
    right, wrong, failed = (int((predicted == value).sum()) for value in (RIGHT, WRONG, FAILED))
    return Verdicts(right=right, wrong=wrong, failed=failed)


def _interval(replicates: FloatArray) -> Interval:
    low, high = percentile_interval(replicates)
    return rounded(low), rounded(high)
