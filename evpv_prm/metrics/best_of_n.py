"""Pass@k, Best-of-N and majority vote as exact expectations over all subsets of k candidates.

Arrays have one row a question and one column a candidate; results have one row a question and
column k - 1 for k = 1 … n. Nothing depends on the order of the candidates, and no tie is broken:
tied candidates share the choice equally, so BoN@1 = Pass@1 = the mean accuracy, and BoN@k ≤ Pass@k.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

NO_ANSWER = -1
"""The answer class of a candidate that gave no answer and so has no vote."""

_TIE_TOLERANCE = 1e-9  # aggregates of the same steps in another order differ by rounding alone


def pass_at_k(correct: BoolArray) -> FloatArray:
    """Return the probability that k candidates hold a right one: 1 - C(n - m, k) / C(n, k).

    Args:
        correct: which candidates are right [questions, n].
    """
    n = correct.shape[1]
    table = np.array(
        [[1 - comb(n - m, k) / comb(n, k) for k in range(1, n + 1)] for m in range(n + 1)]
    ).reshape(n + 1, n)
    result: FloatArray = table[correct.sum(axis=1)]
    return result


def best_of_n(correct: BoolArray, scores: FloatArray) -> FloatArray:
    """Return the expected accuracy of the best scored of k candidates.

    With `above` candidates better than a group of `tied`, the choice falls on the group when the
    subset holds none of the former and one of the latter, and then on each of its members alike:
    the probability of a candidate is (C(n - above, k) - C(n - above - tied, k)) / C(n, k) / tied.

    Args:
        correct: which candidates are right [questions, n].
        scores: higher is better [questions, n]; NaN, a candidate without a score, ranks below all.
            Scores that differ by less than 1e-9 are tied.
    """
    n = correct.shape[1]
    above, tied = _ranks(scores)
    table = np.zeros((n, n + 1, n))
    for a in range(n):
        for t in range(1, n - a + 1):
            for k in range(1, n + 1):
                table[a, t, k - 1] = (comb(n - a, k) - comb(n - a - t, k)) / comb(n, k) / t
    result: FloatArray = np.einsum("qi,qik->qk", correct.astype(float), table[above, tied])
    return result


def best_scored(scores: FloatArray) -> BoolArray:
    """Return which candidates the choice among all falls on; several where they are tied.

    Args:
        scores: as `best_of_n` takes them [questions, n].
    """
    above, _ = _ranks(scores)
    best: BoolArray = above == 0
    return best


def _ranks(scores: FloatArray) -> tuple[IntArray, IntArray]:
    """Return how many candidates are better than each, and how many are tied with it (itself too).

    Both are [questions, n].
    """
    values = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    with np.errstate(invalid="ignore"):  # -inf - -inf: two candidates without a score are tied
        opens_group = ranked[:, :-1] - ranked[:, 1:] > _TIE_TOLERANCE
    group = np.zeros(scores.shape, dtype=np.int64)
    group[:, 1:] = np.cumsum(opens_group, axis=1)
    groups = np.empty_like(group)
    np.put_along_axis(groups, order, group, axis=1)
    above = (groups[:, None, :] < groups[:, :, None]).sum(axis=2, dtype=np.int64)
    tied = (groups[:, None, :] == groups[:, :, None]).sum(axis=2, dtype=np.int64)
    return above, tied


def majority_vote(correct: BoolArray, answers: IntArray) -> FloatArray:
    """Return the expected accuracy of the most frequent answer among k candidates.

    Tied answers share the choice equally. A subset in which nobody answered is wrong.

    Args:
        correct: which candidates are right [questions, n].
        answers: the class of each candidate's answer [questions, n]: equal numbers for equal
            answers, `NO_ANSWER` for none.
    """
    n = correct.shape[1]
    same = (answers[:, :, None] == answers[:, None, :]) & (answers != NO_ANSWER)[:, :, None]
    sizes = same.sum(axis=2, dtype=np.int64)
    # The chances depend on the sizes of the classes alone, and few combinations of sizes exist.
    signatures, kinds = np.unique(np.sort(sizes, axis=1), axis=0, return_inverse=True)
    tables = np.zeros((len(signatures), n + 1, n))
    for table, signature in zip(tables, signatures.tolist(), strict=True):
        classes = Counter({size: held // size for size, held in Counter(signature).items() if size})
        for size in classes:
            others = tuple(sorted((classes - Counter([size])).elements()))
            table[size] = np.divide(_win_probability(size, others, n), size)
    chance = tables[kinds.reshape(-1)[:, None], sizes]
    result: FloatArray = np.einsum("qi,qik->qk", correct.astype(float), chance)
    return result


@cache
def _win_probability(size: int, others: tuple[int, ...], n: int) -> Sequence[float]:
    """Return the probability that a class of `size` wins the vote of k of n candidates, k = 1 … n.

    `others` are the sizes of the other classes; the rest of the n candidates has no vote.
    """
    silent = n - size - sum(others)
    shares = [0.0] * (n + 1)
    for votes in range(1, size + 1):
        # ways[tied, chosen]: choices from the other classes, none of them with more votes.
        ways = {(0, chosen): comb(silent, chosen) for chosen in range(silent + 1)}
        for other in others:
            extended: dict[tuple[int, int], int] = {}
            for (tied, chosen), count in ways.items():
                for more in range(min(other, votes) + 1):
                    key = (tied + (more == votes), chosen + more)
                    extended[key] = extended.get(key, 0) + count * comb(other, more)
            ways = extended
        for (tied, chosen), count in ways.items():
            shares[votes + chosen] += comb(size, votes) * count / (tied + 1)
    return [shares[k] / comb(n, k) for k in range(1, n + 1)]
