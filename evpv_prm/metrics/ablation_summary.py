"""From the judgements of the ablation suite to the numbers of its metrics file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evpv_prm.ablations import SUITE, Ablation, find, is_compared
from evpv_prm.data.ablated_records import AblatedRecord
from evpv_prm.errors import UserError
from evpv_prm.metrics.ablation_file import (
    AblationMetrics,
    Asked,
    Comparison,
    ConfigurationSummary,
)
from evpv_prm.metrics.bootstrap import percentile_interval, resample_sums
from evpv_prm.metrics.metrics_file import Interval, rounded
from evpv_prm.metrics.step_level import (
    FAILED,
    FloatArray,
    PairedDifference,
    StepOutcomes,
    TextArray,
    macro_f1,
    paired_difference,
    record_confusions,
    step_outcomes,
)


def summarise(
    judged: Mapping[str, Sequence[AblatedRecord]],
    asked: Mapping[str, Asked],
    *,
    samples: int,
    seed: int,
) -> AblationMetrics:
    """Compare every configuration with its reference, on the same solutions.

    The repetitions of a solution are one draw of the bootstrap and one swap of the test.

    Args:
        judged: the records by configuration; with a configuration, the one that it is compared
            with.
        asked: what the configurations asked for, where that is known, and "" for all together.
        samples: the number of resamples behind an interval, and of swaps behind a p-value.
        seed: of both; the same for all, so that a comparison does not depend on the others.

    Raises:
        UserError: a reference is missing or has other solutions; no step is labelled right or
            wrong.
    """
    ablations = [ablation for ablation in SUITE if ablation.name in judged]
    outcomes = {ablation.name: step_outcomes(judged[ablation.name]) for ablation in ablations}
    confusions = {name: _by_solution(found) for name, found in outcomes.items()}
    differences = {
        ablation.name: _difference(ablation, confusions, samples, seed)
        for ablation in ablations
        if ablation.compared_with is not None
    }
    family = [name for name in differences if is_compared(find(name))]
    corrected = dict(zip(family, holm([differences[name].p_value for name in family]), strict=True))
    return AblationMetrics(
        bootstrap_samples=samples,
        seed=seed,
        repetitions=len({r.ablation_meta.seed for records in judged.values() for r in records}),
        n_compared=len(family),
        configurations=[
            ConfigurationSummary(
                name=name,
                group=ablation.group,
                differs_in=ablation.differs_in(judged[name][0].ablation_meta.model_extra or {}),
                n_samples=outcomes[name].n_samples,
                n_steps=len(outcomes[name].truth),
                n_failed=int((outcomes[name].predicted == FAILED).sum()),
                n_imputed=sum(len(r.ablation_meta.imputed_steps) for r in judged[name]),
                failures=dict(sorted(outcomes[name].failures.items())),
                macro_f1=rounded(float(macro_f1(confusions[name][1].sum(axis=0)))),
                ci95=_interval(confusions[name][1], samples, seed),
                comparison=_comparison(ablation, differences.get(name), corrected.get(name)),
                asked=asked.get(name),
            )
            for ablation in ablations
            for name in [ablation.name]
        ],
        asked=asked.get(""),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that all together err with the stated chance at most.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(factors * np.asarray(p_values)[order]).clip(max=1)
    return corrected.tolist()


def _by_solution(outcomes: StepOutcomes) -> tuple[TextArray, FloatArray]:
    """Return the solutions' pids, sorted, and their confusions over all repetitions."""
    if not len(outcomes.truth):
        raise UserError("no step is labelled right or wrong")
    pids, index = np.unique(outcomes.pids, return_inverse=True)
    sums = np.zeros((len(pids), 4))
    np.add.at(sums, index, record_confusions(outcomes, outcomes.n_samples))
    return pids, sums


def _difference(
    ablation: Ablation,
    confusions: Mapping[str, tuple[TextArray, FloatArray]],
    samples: int,
    seed: int,
) -> PairedDifference:
    reference = str(ablation.compared_with)
    if reference not in confusions:
        raise UserError(f"{ablation.name} is compared with {reference}, which is missing")
    pids, changed = confusions[ablation.name]
    other_pids, usual = confusions[reference]
    if not np.array_equal(pids, other_pids) or changed.sum() != usual.sum():
        raise UserError(f"{ablation.name} and {reference} judge different solutions")
    return paired_difference(changed, usual, samples, seed)


def _comparison(
    ablation: Ablation, found: PairedDifference | None, corrected: float | None
) -> Comparison | None:
    if found is None:
        return None
    low, high = found.ci95
    return Comparison(
        reference=str(ablation.compared_with),
        estimate=rounded(found.estimate),
        ci95=(rounded(low), rounded(high)),
        p_value=rounded(found.p_value),
        p_corrected=None if corrected is None else rounded(corrected),
    )


def _interval(confusions: FloatArray, samples: int, seed: int) -> Interval:
    rng = np.random.default_rng(seed)
    sums = resample_sums(confusions, np.arange(len(confusions)), samples, rng)
    low, high = percentile_interval(macro_f1(sums))
    return rounded(low), rounded(high)
