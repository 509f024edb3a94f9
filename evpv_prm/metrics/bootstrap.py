"""Percentile intervals by a bootstrap over clusters of questions.

Questions on one image are not independent, so clusters are drawn, not questions. Columns that are
resampled together share their draws: the interval of a column of differences is a paired one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_WEIGHTS_AT_ONCE = 2_000_000  # bounds the memory of one block of resamples to 16 MB


def resample_sums(
    values: FloatArray, clusters: ArrayLike, samples: int, rng: np.random.Generator
) -> FloatArray:
    """Draw as many clusters as there are, with replacement, and sum what they hold.

    Args:
        values: one row a question, one column a quantity [questions, quantities]; a column of ones
            counts the questions of a resample, for rates.
        clusters: the cluster of each question [questions], of any sortable type.
        samples: the number of resamples.
        rng: the source of the draws; the same state gives the same result.

    Returns:
        The sums over each resample [samples, quantities].

    Raises:
        ValueError: there are no questions.
    """
    if len(values) == 0:
        raise ValueError("cannot resample nothing")
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    count = int(index.max()) + 1
    totals = np.zeros((count, values.shape[1]))
    np.add.at(totals, index, values)
    sums = np.empty((samples, values.shape[1]))
    for block in np.array_split(sums, -(-samples * count // _WEIGHTS_AT_ONCE)):
        weights = np.empty((len(block), count))
        for row in weights:
            row[:] = np.bincount(rng.integers(count, size=count), minlength=count)
        np.matmul(weights, totals, out=block)
    return sums


def percentile_interval(replicates: FloatArray, confidence: float = 0.95) -> FloatArray:
    """Return the central interval of resampled statistics, low and high [2, quantities]."""
    tail = (1 - confidence) / 2
    interval: FloatArray = np.quantile(replicates, [tail, 1 - tail], axis=0)
    return interval
