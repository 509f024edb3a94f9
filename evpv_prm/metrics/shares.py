"""Intervals of shares that are counted over clusters."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from evpv_prm.metrics.bootstrap import FloatArray


@dataclass(frozen=True)
class Share:
    """A fraction in [0, 1] and its 95 % interval."""

    estimate: float
    low: float
    high: float


def clustered_share(hits: ArrayLike, totals: ArrayLike) -> Share:
    """Return the share of the hits with Wilson's interval for the effective number of observations.

    Observations of one cluster are alike, so that they tell less than as many independent ones;
    Wilson's interval of the raw numbers would be too short. The effective number is the one of
    independent observations with the variance that is found between clusters (the linearised one
    of a ratio), but no more than there are: Korn and Graubard (1998), "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data". Where
    that variance says nothing, because all observations are hits or none is, a cluster counts as
    one. Unlike the percentiles of a bootstrap this holds for rare hits, and for none.

    Args:
        hits: the hits of each cluster [clusters].
        totals: the observations of each cluster, at least one [clusters].

    Raises:
        ValueError: there are no clusters.
    """
    hit, total = np.asarray(hits, dtype=float), np.asarray(totals, dtype=float)
    if len(total) == 0:
        raise ValueError("no share of nothing")
    n = float(total.sum())
    estimate = float(hit.sum()) / n
    size = _effective_number(hit, total, estimate)
    z = NormalDist().inv_cdf(0.975)
    centre = (estimate + z**2 / (2 * size)) / (1 + z**2 / size)
    variance = estimate * (1 - estimate) / size + z**2 / (4 * size**2)
    half = z * float(np.sqrt(variance)) / (1 + z**2 / size)
    # At the ends, rounding alone would leave the estimate outside.
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Share(estimate, min(low, estimate), max(high, estimate))


def _effective_number(hit: FloatArray, total: FloatArray, estimate: float) -> float:
    clusters, n = len(total), float(total.sum())
    if clusters == 1 or estimate in (0, 1):
        return clusters
    residuals = hit - estimate * total
    variance = clusters / (clusters - 1) * float(residuals @ residuals) / n**2
    return min(n, estimate * (1 - estimate) / variance) if variance > 0 else n
