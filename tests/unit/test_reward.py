"""The checklist, the gate and the aggregations."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.reward import AGGREGATIONS, checklist, gate

verdicts = st.lists(st.sampled_from([1, -1]), min_size=1, max_size=12)
gated = st.lists(st.just(-1.0) | st.floats(0, 1), min_size=1, max_size=12)


def reference_aggregates(s: list[int]) -> dict[str, float]:
    """Write down the reference implementation's formulas, which know only ±1."""
    n, t = len(s), len(s) * (len(s) + 1) / 2
    run = streak = 0
    for value in s:
        run = run + 1 if value == 1 else 0
        streak += run if value == 1 else -1
    return {
        "correctness_rate": s.count(1) / n,
        "weighted_correctness": (sum(i * v for i, v in enumerate(s, 1)) + t) / (2 * t),
        "streak_score": (streak + n) / (t + n),
        "geometric_mean": math.prod(1 if v == 1 else 0.1 for v in s) ** (1 / n),
        "first_error_position": s.index(-1) / n if -1 in s else 1,
    }


def test_checklist_keeps_first_use_order_and_drops_exact_repeats():
    text, indices = checklist([" AB = 5 ", None, "C is right", "AB = 5", "ab = 5"])

    assert text == "- AB = 5\n- C is right\n- ab = 5"
    assert indices == [0, 2, 3, 4]


@pytest.mark.parametrize("dependencies", [[], [None], ["", " ", "null", "NULL "]])
def test_checklist_without_dependencies_is_marked_empty(dependencies):
    assert checklist(dependencies) == ("(empty)", [])


@pytest.mark.parametrize(
    ("raw", "visual", "reliability", "expected"),
    [
        ([1, 1, -1, -1], [0, 2], 0.3, [0.3, 1, -1, -1]),
        ([1, 1], [], 0.0, [1, 1]),
        ([1, 1], [1], 0.0, [1, 0.0]),
        ([None, None, 1], [0], 0.5, [None, None, 1]),
    ],
)
def test_gate_weighs_right_visual_steps_alone(raw, visual, reliability, expected):
    assert gate(raw, visual, reliability) == expected


def test_failed_audit_is_no_reliability_of_zero():
    assert gate([1, 1, -1], [0, 2], None) == [None, 1, -1]
    assert gate([1, 1, -1], [0, 2], 0.0) == [0.0, 1, -1]


def test_gate_refuses_a_reliability_outside_its_range():
    with pytest.raises(ValueError, match="reliability"):
        gate([1], [0], 1.2)


@given(verdicts)
def test_aggregations_of_verdicts_are_the_reference_numbers(scores):
    for name, expected in reference_aggregates(scores).items():
        assert AGGREGATIONS[name](scores) == pytest.approx(expected, abs=1e-12), name


@given(gated, st.data())
def test_aggregations_stay_in_range_and_reward_better_steps(scores, data):
    index = data.draw(st.integers(0, len(scores) - 1))
    better = [*scores]
    better[index] = data.draw(st.floats(max(scores[index], 0), 1))
    for aggregate in AGGREGATIONS.values():
        assert 0 <= aggregate(scores) <= aggregate(better) + 1e-12 <= 1 + 2e-12


@given(verdicts.filter(lambda scores: 1 in scores), st.data())
def test_reliability_changes_every_aggregation(scores, data):
    """Regression: the gate had no influence, because raw scores were aggregated."""
    visual = [data.draw(st.sampled_from([i for i, s in enumerate(scores) if s == 1]))]
    for name, aggregate in AGGREGATIONS.items():
        low, middle, high = (aggregate(gate(scores, visual, p)) for p in (0.0, 0.5, 1.0))
        if name == "first_error_position" and -1 in scores[: visual[0]]:
            assert low == middle == high, "nothing after the first error counts"
        else:
            assert low < middle < high, name


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_first_error_position_is_the_expectation_over_right_and_wrong_steps(credits):
    n, expected = len(credits), 0.0
    for outcome in itertools.product([True, False], repeat=n):
        chance = math.prod(c if ok else 1 - c for c, ok in zip(credits, outcome, strict=True))
        expected += chance * (outcome.index(False) / n if False in outcome else 1)

    assert AGGREGATIONS["first_error_position"](credits) == pytest.approx(expected, abs=1e-9)


def test_geometric_mean_of_a_very_long_solution_does_not_vanish():
    assert AGGREGATIONS["geometric_mean"]([-1.0] * 1000) == pytest.approx(0.1)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_no_steps_have_no_score(name):
    with pytest.raises(ValueError, match="no score"):
        AGGREGATIONS[name]([])
