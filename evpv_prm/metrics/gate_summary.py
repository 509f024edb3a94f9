"""From audits, choices and gated steps to the numbers of the gate analysis' file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from evpv_prm.data.audits import Audit, solution_audit
from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.metrics.best_of_n import BoolArray, FloatArray, IntArray
from evpv_prm.metrics.bon_file import Estimate
from evpv_prm.metrics.bon_summary import Outcomes
from evpv_prm.metrics.bon_summary import summarise as summarise_bon
from evpv_prm.metrics.bootstrap import percentile_interval, resample_sums
from evpv_prm.metrics.gate import (
    THRESHOLD,
    GatedSteps,
    calibration_counts,
    calibration_error,
    compare_choices,
    gated_steps,
    reliability_auroc,
    reliability_index,
    sign_test,
)
from evpv_prm.metrics.gate_file import (
    Calibration,
    Decisions,
    Distribution,
    Lowered,
    PolicyGate,
    Reranking,
    Share,
    SolutionGate,
)
from evpv_prm.metrics.metrics_file import OVERALL, Interval, rounded
from evpv_prm.metrics.shares import clustered_share
from evpv_prm.metrics.step_level import (
    FAILED,
    RIGHT,
    WRONG,
    StepOutcomes,
    macro_f1,
    paired_difference,
    record_confusions,
)
from evpv_prm.prompts import P_SCORES


def policy_gate(
    audits: Iterable[Audit],
    outcomes: Mapping[str, Outcomes],
    aggregations: Sequence[str],
    *,
    samples: int,
    seed: int,
) -> PolicyGate:
    """Summarise the gate on the candidates of one policy.

    Args:
        audits: of all its candidates.
        outcomes: as `bon_summary.summarise` takes them, with which the gains agree.
        aggregations: those in `Outcomes.scores`.
        samples: the number of bootstrap resamples.
        seed: of the bootstrap.
    """
    metrics = summarise_bon(outcomes, aggregations, samples=samples, seed=seed)
    counts = {
        name: {aggregation: _changes(part, aggregation) for aggregation in aggregations}
        for name, part in outcomes.items()
    }
    counts[OVERALL] = {
        aggregation: sum((part[aggregation] for part in counts.values()), Counter())
        for aggregation in aggregations
    }
    datasources = {}
    for name, changes in counts.items():
        summary = metrics.datasources[name]
        decisions = {
            aggregation: Decisions(
                n_changed=change["changed"],
                n_better=change["better"],
                n_worse=change["worse"],
                gain=summary.gate_gain[aggregation],
                p_value=_rounded(sign_test(change["better"], change["worse"])),
            )
            for aggregation, change in changes.items()
        }
        datasources[name] = Reranking(
            n=summary.n,
            n_scored=summary.n_scored,
            n_unscored_candidates=summary.n_unscored_candidates,
            failures=summary.failures,
            decisions=decisions,
        )
    return PolicyGate(
        num_candidates=metrics.num_candidates,
        distribution=distribution(audits),
        datasources=datasources,
    )


def solution_gate(records: Iterable[JudgedRecord], *, samples: int, seed: int) -> SolutionGate:
    """Summarise the gate on labelled solutions; the order of the records does not matter.

    Args:
        records: with a gate; at least one step is labelled right or wrong.
        samples: the number of bootstrap resamples, over solutions.
        seed: of the bootstrap.
    """
    records = sorted(records, key=lambda record: record.pid)
    steps = gated_steps(records)
    ungated, gated = steps.outcomes, steps.gated_outcomes
    confusions = {"ungated": _confusions(ungated), "gated": _confusions(gated)}
    gain = paired_difference(confusions["gated"], confusions["ungated"], samples, seed)
    return SolutionGate(
        distribution=distribution(map(solution_audit, records)),
        n_steps=len(ungated.truth),
        n_neutral=ungated.n_neutral,
        n_visual=int(steps.is_visual.sum()),
        n_visual_without_reliability=int((steps.is_visual & np.isnan(steps.reliability)).sum()),
        n_unknown=int((~steps.is_known).sum()),
        calibration={
            "all": _calibration(steps, steps.is_visual, samples, seed),
            "called_right": _calibration(steps, steps.called_right, samples, seed),
        },
        lowered={"right": _lowered(steps, RIGHT), "wrong": _lowered(steps, WRONG)},
        macro_f1={
            "ungated": rounded(float(macro_f1(confusions["ungated"].sum(axis=0)))),
            "gated": rounded(float(macro_f1(confusions["gated"].sum(axis=0)))),
        },
        n_without_verdict={"ungated": _n_failed(ungated), "gated": _n_failed(gated)},
        gain=Estimate(estimate=rounded(gain.estimate), ci95=_interval(*gain.ci95)),
        p_value=rounded(gain.p_value),
    )


def distribution(audits: Iterable[Audit]) -> Distribution:
    """Count audits by their reliability."""
    counts = [0] * len(P_SCORES)
    failures: Counter[str] = Counter()
    n_without_facts = 0
    for audit in audits:
        if audit.reliability is None:
            failures[str(audit.failure)] += 1
        elif audit.has_facts:
            counts[int(reliability_index(np.array(audit.reliability)))] += 1
        else:
            n_without_facts += 1
    return Distribution(
        n=sum(counts) + n_without_facts + failures.total(),
        n_without_facts=n_without_facts,
        n_failed=failures.total(),
        failures=dict(sorted(failures.items())),
        counts=dict(zip(map(str, P_SCORES), counts, strict=True)),
    )


def _changes(part: Outcomes, aggregation: str) -> Counter[str]:
    choices = compare_choices(
        part.correct, part.scores["gated", aggregation], part.scores["raw", aggregation]
    )
    return Counter(
        changed=int(choices.changed.sum()),
        better=int((choices.gain > 0).sum()),
        worse=int((choices.gain < 0).sum()),
    )


def _calibration(steps: GatedSteps, chosen: BoolArray, samples: int, seed: int) -> Calibration:
    counts = calibration_counts(steps, chosen)
    total = counts.sum(axis=0)
    rng = np.random.default_rng(seed)
    resampled = resample_sums(
        counts.reshape(len(counts), -1), np.arange(len(counts)), samples, rng
    ).reshape(samples, *total.shape)
    areas = reliability_auroc(resampled)
    # A resample without a right or without a wrong step says nothing of how they are told apart.
    areas = areas[~np.isnan(areas)]
    return Calibration(
        n_samples=int(counts.any(axis=(1, 2)).sum()),
        n_steps=int(total.sum()),
        right={
            str(p): _share(by_record[:, 1], by_record.sum(axis=1))
            for p, by_record in zip(P_SCORES, np.moveaxis(counts, 1, 0), strict=True)
        },
        calibration_error=_rounded(float(calibration_error(total))),
        auroc=Estimate(
            estimate=_rounded(float(reliability_auroc(total))),
            ci95=_interval(*percentile_interval(areas)) if len(areas) else None,
        ),
    )


def _lowered(steps: GatedSteps, label: int) -> Lowered:
    visual = steps.is_visual & (steps.outcomes.truth == label)
    predicted = steps.outcomes.predicted
    called_right = visual & (predicted == RIGHT)
    scored = called_right & ~np.isnan(steps.final)
    below = scored & (steps.final < THRESHOLD)
    n_records = steps.outcomes.n_samples
    hits, totals = (
        np.bincount(steps.outcomes.record[mask], minlength=n_records) for mask in (below, scored)
    )
    return Lowered(
        n_called_wrong=int((visual & (predicted == WRONG)).sum()),
        n_without_verdict=int((visual & (predicted == FAILED)).sum()),
        n_unscored=int((called_right & ~scored).sum()),
        below=_share(hits, totals),
    )


def _share(hits: FloatArray | IntArray, totals: FloatArray | IntArray) -> Share:
    """Return a share with an interval over clusters, of hits and totals [records]."""
    n, n_hits = int(totals.sum()), int(hits.sum())
    if n == 0:
        return Share(n=0, n_hits=0, estimate=None, ci95=None)
    found = clustered_share(hits[totals > 0], totals[totals > 0])
    interval = _interval(found.low, found.high)
    return Share(n=n, n_hits=n_hits, estimate=rounded(found.estimate), ci95=interval)


def _confusions(outcomes: StepOutcomes) -> FloatArray:
    return record_confusions(outcomes, outcomes.n_samples)


def _n_failed(outcomes: StepOutcomes) -> int:
    return int((outcomes.predicted == FAILED).sum())


def _interval(low: float, high: float) -> Interval:
    return rounded(low), rounded(high)


def _rounded(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else rounded(value)
