"""Step-level metrics of judgements against labels: macro-F1, AUROC, first errors, paired tests.

A step labelled neutral (0) enters nothing. A step is judged right or wrong by the verdict itself:
there is no threshold to tune.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.metrics.bootstrap import percentile_interval, resample_sums
from evpv_prm.records import failure_reason

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
TextArray = NDArray[np.str_]

RIGHT, WRONG, FAILED = 1, -1, 0

_ROUNDING = 1e-12  # two ways to the same F1 may differ by this much
_SWAPS_AT_ONCE = 2_000_000  # bounds the memory of one block of swaps to 16 MB


@dataclass(frozen=True)
class StepOutcomes:
    """What was said of the steps that are labelled right or wrong, in order of record and step.

    Arrays [steps]: `record` is the index of a step's record, `truth` is RIGHT or WRONG, `predicted`
    is RIGHT, WRONG or FAILED, `probability` is p of "right", NaN where it is not known.

    Arrays [records], of all records, even those without such a step: `pids`, `sources`, `policies`,
    `neutral` (how many steps of a record are neutral), and `failed_requests`, each as "STAGE:KIND".
    """

    record: IntArray
    truth: IntArray
    predicted: IntArray
    probability: FloatArray
    pids: TextArray
    sources: TextArray
    policies: TextArray
    neutral: IntArray
    failed_requests: tuple[tuple[str, ...], ...]

    @property
    def n_samples(self) -> int:
        """All records."""
        return len(self.pids)

    @property
    def n_neutral(self) -> int:
        """Steps that are left out."""
        return int(self.neutral.sum())

    @property
    def failures(self) -> Counter[str]:
        """Failed requests by "STAGE:KIND", those for neutral steps included."""
        return Counter(name for names in self.failed_requests for name in names)

    def select(self, records: BoolArray) -> StepOutcomes:
        """Return the outcomes of some records, given as a mask [records], in the same order."""
        steps = records[self.record]
        index = np.cumsum(records) - 1
        return StepOutcomes(
            record=index[self.record[steps]],
            truth=self.truth[steps],
            predicted=self.predicted[steps],
            probability=self.probability[steps],
            pids=self.pids[records],
            sources=self.sources[records],
            policies=self.policies[records],
            neutral=self.neutral[records],
            failed_requests=tuple(self.failed_requests[i] for i in np.flatnonzero(records)),
        )


def step_outcomes(records: Sequence[JudgedRecord]) -> StepOutcomes:
    """Line up the judgements of records with their labels."""
    steps = [
        (index, label, verdict, probability)
        for index, record in enumerate(records)
        for label, verdict, probability in zip(
            record.response.process_correctness,
            record.step_predict,
            record.step_probabilities,
            strict=True,
        )
        if label
    ]
    return StepOutcomes(
        record=np.array([index for index, *_ in steps], dtype=np.int64),
        truth=np.array([label for _, label, _, _ in steps], dtype=np.int64),
        predicted=np.array([verdict or FAILED for _, _, verdict, _ in steps], dtype=np.int64),
        probability=np.array([p for *_, p in steps], dtype=np.float64),  # None becomes NaN
        pids=np.array([record.pid for record in records], dtype=np.str_),
        sources=np.array([record.data_source for record in records], dtype=np.str_),
        policies=np.array([record.policy_model for record in records], dtype=np.str_),
        neutral=np.array(
            [record.response.process_correctness.count(0) for record in records], dtype=np.int64
        ),
        failed_requests=tuple(
            tuple(failure_reason(failure) for failure in record.failures) for record in records
        ),
    )


def record_confusions(outcomes: StepOutcomes, n_records: int) -> FloatArray:
    """Count the steps of each record by truth and verdict.

    A failed prediction counts against both classes: it is the wrong answer, whatever the truth.

    Returns:
        Right called right, right called wrong, wrong called wrong, wrong called right
        [records, 4].
    """
    missed = outcomes.predicted != outcomes.truth
    cell = 2 * (outcomes.truth == WRONG) + missed
    counts = np.bincount(4 * outcomes.record + cell, minlength=4 * n_records)
    return counts.reshape(n_records, 4).astype(np.float64)


def class_f1(confusions: FloatArray) -> FloatArray:
    """Return F1 of the right and of the wrong steps [..., 2].

    A class that is neither there nor predicted has F1 = 0, as in scikit-learn.

    Args:
        confusions: sums of what `record_confusions` returns [..., 4].
    """
    hits = confusions[..., [0, 2]]
    misses = confusions[..., [1]] + confusions[..., [3]]
    total = 2 * hits + misses
    f1: FloatArray = np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)
    return f1


def macro_f1(confusions: FloatArray) -> FloatArray:
    """Return the mean of F1(right) and F1(wrong) [...] of confusions [..., 4]; see `class_f1`."""
    mean: FloatArray = class_f1(confusions).mean(axis=-1)
    return mean


def auroc(outcomes: StepOutcomes) -> float | None:
    """Return the chance that a right step has a higher p than a wrong one, ties half.

    Steps without a known probability are left out (`unknown_probabilities` counts them). None where
    no right or no wrong step is left.
    """
    known = ~np.isnan(outcomes.probability)
    is_right = outcomes.truth[known] == RIGHT
    if is_right.all() or not is_right.any():
        return None
    return float(roc_auc_score(is_right, outcomes.probability[known]))


def unknown_probabilities(outcomes: StepOutcomes) -> int:
    """Return how many steps have no probability, because the judge failed or gave none."""
    return int(np.isnan(outcomes.probability).sum())


def first_error_hits(outcomes: StepOutcomes) -> FloatArray:
    """Return 1 for each record whose first error was found where it is, else 0 [records].

    The first step that was called wrong must be the first that is wrong, or there is none of
    either. A failed judgement before that point, or at it, is a miss: nobody can say what it hid.
    One behind it does not matter. NaN stands for a record without a step that is right or wrong.
    """
    n_records, n_steps = outcomes.n_samples, len(outcomes.truth)
    wrong = np.flatnonzero(outcomes.truth == WRONG)
    first_wrong = np.full(n_records, n_steps)
    np.minimum.at(first_wrong, outcomes.record[wrong], wrong)
    until_first_error = np.arange(n_steps) <= first_wrong[outcomes.record]
    missed = until_first_error & (outcomes.predicted != outcomes.truth)
    misses = np.bincount(outcomes.record[missed], minlength=n_records)
    has_steps = np.bincount(outcomes.record, minlength=n_records) > 0
    return np.where(has_steps, misses == 0, np.nan)


class PairedDifference(NamedTuple):
    """A difference of macro-F1, its 95 % interval, and the p-value of no difference."""

    estimate: float
    ci95: tuple[float, float]
    p_value: float


def paired_difference(a: FloatArray, b: FloatArray, samples: int, seed: int) -> PairedDifference:
    """Compare two judgements of the same records: macro-F1 of `a` less that of `b`, steps pooled.

    The interval comes from a bootstrap over records in which both sides share the draws. The
    p-value is that of a two-sided randomisation test: without a difference, it is chance which side
    a record's predictions stand on, so both sides are swapped record by record; of n swaps, #
    differ at least as much as what was observed, and p = (1 + #) / (1 + n).

    Args:
        a, b: confusions of the same records in the same order [records, 4].
        samples: the number of resamples, and of swaps.
        seed: the same seed gives the same result, and `b` against `a` the mirrored one.

    Raises:
        ValueError: the sides have different numbers of records, or none.
    """
    if a.shape != b.shape:
        raise ValueError(f"expected the same records on both sides, found {len(a)} and {len(b)}")
    rng = np.random.default_rng(seed)
    sums = resample_sums(np.hstack([a, b]), np.arange(len(a)), samples, rng)
    replicates = macro_f1(sums[:, :4]) - macro_f1(sums[:, 4:])
    low, high = percentile_interval(replicates).tolist()

    total_a, total_b = a.sum(axis=0), b.sum(axis=0)
    estimate = float(macro_f1(total_a) - macro_f1(total_b))
    moved = _random_subset_sums(b - a, samples, rng)
    swapped = macro_f1(total_a + moved) - macro_f1(total_b - moved)
    extreme = int((np.abs(swapped) >= abs(estimate) - _ROUNDING).sum())
    return PairedDifference(estimate, (low, high), (1 + extreme) / (1 + samples))


def _random_subset_sums(values: FloatArray, samples: int, rng: np.random.Generator) -> FloatArray:
    """Sum the rows of random subsets, each row in or out by a fair coin [samples, quantities]."""
    values = values[values.any(axis=1)]  # to swap equals changes nothing
    sums = np.empty((samples, values.shape[1]))
    for block in np.array_split(sums, -(-samples * max(len(values), 1) // _SWAPS_AT_ONCE)):
        coins = rng.integers(2, size=(len(block), len(values)), dtype=np.int8)
        np.matmul(coins.astype(np.float64), values, out=block)
    return sums
