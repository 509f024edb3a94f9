"""What the reliability gate does: its calibration, the decisions it changes, the steps it lowers.

The gate makes a visual step that was judged right worth the reliability p of its solution's visual
facts. p is taken to the nearest tenth, as the audit gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.metrics.best_of_n import BoolArray, FloatArray, IntArray, best_of_n, best_scored
from evpv_prm.metrics.step_level import FAILED, RIGHT, WRONG, StepOutcomes, step_outcomes
from evpv_prm.prompts import P_SCORES

THRESHOLD = 0.5
"""A step counts as right from this score; fixed, not tuned."""

_ROUNDING = 1e-9  # two ways to the same accuracy may differ by this much


@dataclass(frozen=True)
class GatedSteps:
    """Judged steps that are labelled right or wrong, and what the gate made of them.

    `outcomes` are without the gate. Arrays [steps], in the same order: `is_visual` says which rest
    on a visual fact, `is_known` of which this is known; `reliability` is the p of their solution
    and `final` the gated score in {-1} ∪ [0, 1], both NaN where not known.
    """

    outcomes: StepOutcomes
    is_visual: BoolArray
    is_known: BoolArray
    reliability: FloatArray
    final: FloatArray

    @property
    def gated_outcomes(self) -> StepOutcomes:
        """The same steps with the verdicts of the gated scores at `THRESHOLD`."""
        verdicts = np.where(self.final >= THRESHOLD, RIGHT, WRONG)
        return replace(self.outcomes, predicted=np.where(np.isnan(self.final), FAILED, verdicts))

    @property
    def called_right(self) -> BoolArray:
        """The visual steps that the judge called right: those that the gate weighs [steps]."""
        called: BoolArray = self.is_visual & (self.outcomes.predicted == RIGHT)
        return called


def gated_steps(records: Sequence[JudgedRecord]) -> GatedSteps:
    """Line up the gated scores of records with their labels.

    A record without gate, because nothing could be asked about it, has no known visual step.
    """
    steps = [
        (visual is not None, index in (visual or ()), record.local_p_score, final)
        for record in records
        for visual in [record.visual_step_indices]
        for index, (label, final) in enumerate(
            zip(
                record.response.process_correctness,
                record.final_step_scores or [None] * len(record.steps),
                strict=True,
            )
        )
        if label
    ]
    # None becomes NaN.
    columns = np.array(steps, dtype=np.float64).reshape(len(steps), 4).T
    return GatedSteps(
        outcomes=step_outcomes(records),
        is_known=columns[0] > 0,
        is_visual=columns[1] > 0,
        reliability=columns[2],
        final=columns[3],
    )


def reliability_index(reliability: FloatArray) -> IntArray:
    """Return the index in `prompts.P_SCORES` of the nearest one [...] for p in [0, 1] [...]."""
    index: IntArray = np.rint(reliability * (len(P_SCORES) - 1)).astype(np.int64)
    return index


def calibration_counts(steps: GatedSteps, chosen: BoolArray) -> FloatArray:
    """Count the chosen steps with a known p by record, p, and whether they are wrong or right.

    Args:
        steps: of any records.
        chosen: a mask [steps].

    Returns:
        Counts [records, reliabilities, 2].
    """
    chosen = chosen & ~np.isnan(steps.reliability)
    counts = np.zeros((steps.outcomes.n_samples, len(P_SCORES), 2))
    cell = (
        steps.outcomes.record[chosen],
        reliability_index(steps.reliability[chosen]),
        (steps.outcomes.truth[chosen] == RIGHT).astype(np.int64),
    )
    np.add.at(counts, cell, 1)
    return counts


def calibration_error(counts: FloatArray) -> FloatArray:
    """Return the expected calibration error [...] of sums of `calibration_counts` [..., p, 2].

    That is the mean distance between p and the share of right steps with this p, weighted by
    steps; NaN where there are none.
    """
    steps = counts.sum(axis=-1)
    distances = np.abs(np.asarray(P_SCORES) * steps - counts[..., 1]).sum(axis=-1)
    return _ratio(distances, steps.sum(axis=-1))


def reliability_auroc(counts: FloatArray) -> FloatArray:
    """Return the chance that a right step has a higher p than a wrong one [...], ties half.

    NaN where there is no right or no wrong step.

    Args:
        counts: sums of `calibration_counts` [..., p, 2].
    """
    wrong, right = counts[..., 0], counts[..., 1]
    below = np.cumsum(wrong, axis=-1) - wrong
    in_order = (right * (below + wrong / 2)).sum(axis=-1)
    return _ratio(in_order, right.sum(axis=-1) * wrong.sum(axis=-1))


class Choices(NamedTuple):
    """What the gate changes on each question [questions]: the choice, and its accuracy by how
    much.
    """

    changed: BoolArray
    gain: FloatArray


def compare_choices(correct: BoolArray, gated: FloatArray, raw: FloatArray) -> Choices:
    """Compare the choice among all candidates by gated scores to that by raw ones.

    A choice falls on each of the best scored candidates alike.

    Args:
        correct: which candidates are right [questions, n].
        gated, raw: as `best_of_n` takes them [questions, n].
    """
    changed = (best_scored(gated) != best_scored(raw)).any(axis=1)
    gain = best_of_n(correct, gated)[:, -1] - best_of_n(correct, raw)[:, -1]
    return Choices(changed, np.where(np.abs(gain) > _ROUNDING, gain, 0))


def sign_test(better: int, worse: int) -> float | None:
    """Return the two-sided p-value of as many for better as for worse; None without either."""
    if better + worse == 0:
        return None
    return float(binomtest(better, better + worse).pvalue)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0
    )
    return ratio
