"""Compare the models that the trainings make, on the same questions and the same solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evpv_prm.data.examined import Examined
from evpv_prm.errors import UserError
from evpv_prm.metrics.bootstrap import FloatArray, percentile_interval, resample_sums
from evpv_prm.metrics.metrics_file import Interval, rounded
from evpv_prm.metrics.stage_file import (
    PairedGain,
    StageMeasure,
    StageMetrics,
    StageName,
    StageSummary,
)
from evpv_prm.metrics.step_level import FAILED, macro_f1, record_confusions, step_outcomes


def summarise(stages: Mapping[StageName, Examined], samples: int, seed: int) -> StageMetrics:
    """Return what each model sees and how it judges, with paired differences between them.

    Intervals come from a bootstrap over images in which all models share the draws.

    Args:
        stages: in the order of the trainings, the base first.
        samples: the number of resamples.
        seed: the same seed gives the same result.

    Raises:
        UserError: the models were not asked about the same records in the same order, or no step is
            labelled right or wrong.
    """
    first = next(iter(stages.values()))
    for name, stage in stages.items():
        if _pids(stage) != _pids(first):
            raise UserError(f"{name}: expected the questions and solutions of the first model")
    outcomes = [step_outcomes(stage.solutions) for stage in stages.values()]
    if not len(outcomes[0].truth):
        raise UserError("no step is labelled right or wrong")
    facts: Sequence[StageMeasure | None] = [None] * len(stages)
    if first.questions:
        facts = _fact_measures(list(stages.values()), samples, seed)
    judged = _judging_measures(list(stages.values()), samples, seed)
    return StageMetrics(
        n_questions=len(first.questions),
        n_facts=sum(len(question.facts) for question in first.questions),
        n_solutions=len(first.solutions),
        n_steps=len(outcomes[0].truth),
        n_neutral=outcomes[0].n_neutral,
        bootstrap_samples=samples,
        seed=seed,
        stages=[
            StageSummary(
                stage=name,
                facts=seen,
                macro_f1=scores,
                n_failed_descriptions=sum(bool(each.failures) for each in stage.questions),
                n_failed_steps=int((outcome.predicted == FAILED).sum()),
            )
            for (name, stage), seen, scores, outcome in zip(
                stages.items(), facts, judged, outcomes, strict=True
            )
        ],
    )


def _pids(stage: Examined) -> tuple[list[str], list[str]]:
    return [each.pid for each in stage.questions], [each.pid for each in stage.solutions]


def _fact_measures(stages: Sequence[Examined], samples: int, seed: int) -> list[StageMeasure]:
    questions = stages[0].questions
    right = [[sum(question.facts_right) for question in stage.questions] for stage in stages]
    total = [len(question.facts) for question in questions]
    counts = np.array([*right, total], dtype=np.float64).T
    clusters = ["\n".join(question.images) for question in questions]
    resampled = resample_sums(counts, clusters, samples, np.random.default_rng(seed))
    sums = counts.sum(axis=0)
    return _measures(sums[:-1] / sums[-1], resampled[:, :-1] / resampled[:, -1:])


def _judging_measures(stages: Sequence[Examined], samples: int, seed: int) -> list[StageMeasure]:
    solutions = stages[0].solutions
    confusions = np.hstack(
        [record_confusions(step_outcomes(stage.solutions), len(solutions)) for stage in stages]
    )
    clusters = ["\n".join(solution.images) for solution in solutions]
    resampled = resample_sums(confusions, clusters, samples, np.random.default_rng(seed))
    levels = macro_f1(confusions.sum(axis=0).reshape(len(stages), 4))
    return _measures(levels, macro_f1(resampled.reshape(samples, len(stages), 4)))


def _measures(levels: FloatArray, replicates: FloatArray) -> list[StageMeasure]:
    """Return the measure of each model from its level [models] and resamples [samples, models]."""

    def gain(index: int, reference: int) -> PairedGain | None:
        if index == 0:
            return None
        change = replicates[:, index] - replicates[:, reference]
        return PairedGain(
            estimate=rounded(levels[index] - levels[reference]), ci95=_interval(change)
        )

    return [
        StageMeasure(
            estimate=rounded(level),
            ci95=_interval(replicates[:, index]),
            to_previous=gain(index, index - 1),
            to_base=gain(index, 0),
        )
        for index, level in enumerate(levels)
    ]


def _interval(replicates: FloatArray) -> Interval:
    low, high = percentile_interval(replicates)
    return rounded(low), rounded(high)
