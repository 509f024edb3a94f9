"""Intervals by a bootstrap over clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.metrics.bootstrap import percentile_interval, resample_sums


def resample_means(values, clusters, samples, rng):
    sums = resample_sums(np.column_stack([values, np.ones(len(values))]), clusters, samples, rng)
    return sums[:, :-1] / sums[:, -1:]


def interval(values, clusters, samples=2000, seed=0):
    column = np.asarray(values, dtype=float)[:, None]
    means = resample_means(column, clusters, samples, np.random.default_rng(seed))
    return percentile_interval(means)[:, 0]


def test_interval_has_the_width_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(3, 2, size=2000)

    low, high = interval(values, np.arange(2000))

    half = 1.96 * values.std() / np.sqrt(2000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 10)


def test_questions_of_one_image_are_drawn_together():
    values = np.random.default_rng(2).random(300)
    repeated = np.tile(values, 4)

    as_clusters = interval(repeated, np.tile(np.arange(300), 4))
    as_if_independent = interval(repeated, np.arange(1200))

    assert as_clusters == pytest.approx(interval(values, np.arange(300)))
    assert np.ptp(as_clusters) == pytest.approx(2 * np.ptp(as_if_independent), rel=0.1)


def test_one_cluster_leaves_no_spread():
    assert interval([0.0, 1.0, 1.0], ["a", "a", "a"]) == pytest.approx([2 / 3, 2 / 3])


def test_gains_are_paired():
    rng = np.random.default_rng(3)
    base = rng.random(500)
    both = np.column_stack([base + 0.1, base, np.full(500, 0.1)])

    means = resample_means(both, np.arange(500), 200, np.random.default_rng(0))

    assert means[:, 0] - means[:, 1] == pytest.approx(means[:, 2])
    assert np.ptp(means[:, 1]) > 0.01


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=12))
def test_order_of_questions_is_of_no_account(questions):
    clusters, values = zip(*questions, strict=True)
    forth = interval(values, clusters, samples=50)
    back = interval(values[::-1], clusters[::-1], samples=50)

    assert forth == pytest.approx(back)


def test_blocks_of_draws_cover_all_samples():
    ones = np.ones((50_000, 1))

    sums = resample_sums(ones, np.arange(50_000), 90, np.random.default_rng(0))

    assert sums.ravel().tolist() == [50_000.0] * 90


def test_nothing_cannot_be_resampled():
    with pytest.raises(ValueError, match="nothing"):
        resample_sums(np.empty((0, 1)), [], 10, np.random.default_rng(0))
