"""Step-level metrics against scikit-learn, and on cases small enough to work out by hand."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.metrics.step_level import (
    FAILED,
    auroc,
    class_f1,
    first_error_hits,
    macro_f1,
    paired_difference,
    record_confusions,
    step_outcomes,
    unknown_probabilities,
)

LABELS = st.sampled_from([1, 0, -1])
VERDICTS = st.sampled_from([1, -1, None])
PROBABILITIES = st.none() | st.floats(0, 1, width=16)
STEPS = st.lists(st.tuples(LABELS, VERDICTS, PROBABILITIES), max_size=6)
SOLUTIONS = st.lists(STEPS, min_size=1, max_size=8)


def judged(steps, number=0, source="X", policy="P", failures=()):
    """Return a record from (label, verdict, probability) of each step."""
    labels, verdicts, probabilities = ([step[i] for step in steps] for i in range(3))
    return JudgedRecord.model_validate(
        {
            "pid": f"r{number}",
            "image": "1.png",
            "question": "How many?",
            "response": {"steps": ["step"] * len(steps), "process_correctness": labels},
            "policy_model": policy,
            "data_source": source,
            "step_predict": verdicts,
            "step_probabilities": probabilities,
            "failures": list(failures),
        }
    )


def outcomes_of(solutions):
    return step_outcomes([judged(steps, number) for number, steps in enumerate(solutions)])


def solution(labels, verdicts):
    """Steps from texts such as "+0-" and "+?-": right, neutral, wrong; ? for a failure."""
    values = {"+": 1, "0": 0, "-": -1, "?": None}
    return [
        (values[label], values[verdict], None)
        for label, verdict in zip(labels, verdicts, strict=True)
    ]


def pooled(solutions):
    outcomes = outcomes_of(solutions)
    return record_confusions(outcomes, outcomes.n_samples).sum(axis=0)


# Against scikit-learn


@given(SOLUTIONS)
def test_f1_is_that_of_scikit_learn_with_failures_as_the_wrong_answer(solutions):
    labelled = [(label, verdict) for steps in solutions for label, verdict, _ in steps if label]
    assume(labelled)
    truth = [label for label, _ in labelled]
    answers = [-label if verdict is None else verdict for label, verdict in labelled]

    by_class = f1_score(truth, answers, labels=[1, -1], average=None, zero_division=0)
    assert class_f1(pooled(solutions)) == pytest.approx(by_class)
    assert macro_f1(pooled(solutions)) == pytest.approx(by_class.mean())


@given(SOLUTIONS)
def test_auroc_is_that_of_scikit_learn_over_the_known_probabilities(solutions):
    steps = [(label, p) for steps in solutions for label, _, p in steps if label]
    known = [(label, p) for label, p in steps if p is not None]

    assert unknown_probabilities(outcomes_of(solutions)) == len(steps) - len(known)
    found = auroc(outcomes_of(solutions))
    if len({label for label, _ in known}) < 2:
        assert found is None
    else:
        truth, scores = zip(*known, strict=True)
        assert found == pytest.approx(roc_auc_score(truth, scores))


# By hand


def test_confusions_and_f1_by_hand():
    """5 right steps, of which 3 are called right; 3 wrong ones, of which 2 are called wrong."""
    records = [solution("++0-", "+--?"), solution("+--", "+--"), solution("++", "+?")]

    outcomes = outcomes_of(records)
    confusions = record_confusions(outcomes, 3)

    assert confusions.tolist() == [[1, 1, 0, 1], [1, 0, 2, 0], [1, 1, 0, 0]]
    assert class_f1(confusions.sum(axis=0)).tolist() == [
        pytest.approx(6 / 9),  # 2·3 / (2·3 + 2 missed + 1 false)
        pytest.approx(4 / 7),  # 2·2 / (2·2 + 1 missed + 2 false)
    ]
    assert macro_f1(confusions.sum(axis=0)) == pytest.approx((6 / 9 + 4 / 7) / 2)
    assert (outcomes.n_samples, outcomes.n_neutral, len(outcomes.truth)) == (3, 1, 8)
    assert outcomes.predicted.tolist().count(FAILED) == 2


def test_auroc_by_hand():
    """Three right and two wrong steps: 4 pairs in order, 1 tied, 1 the other way."""
    steps = [(1, 1, 0.9), (1, 1, 0.6), (1, -1, 0.3), (-1, 1, 0.6), (-1, -1, 0.1), (0, 1, 0.0)]

    assert auroc(outcomes_of([steps])) == pytest.approx(4.5 / 6)


@pytest.mark.parametrize(
    ("labels", "verdicts", "hit"),
    [
        ("++-+", "++-+", 1),
        ("++-+", "++--", 1),  # what follows the first error does not matter
        ("++--", "++-?", 1),
        ("++-+", "+--+", 0),  # too early
        ("++--", "+++-", 0),  # too late
        ("++-", "+++", 0),
        ("++-", "+?-", 0),  # a failure may hide an earlier error
        ("++-", "++?", 0),
        ("+++", "+++", 1),
        ("+++", "++-", 0),
        ("+++", "++?", 0),
        ("+0-", "+--", 1),  # neutral steps are no errors
        ("+0-", "+?-", 1),
        ("0+", "-+", 1),
        ("00", "+-", math.nan),
        ("", "", math.nan),
    ],
)
def test_first_error_by_hand(labels, verdicts, hit):
    # Neighbours on both sides: the answer must not depend on them.
    solutions = [solution("+-", "+-"), solution(labels, verdicts), solution("-+", "++")]

    assert first_error_hits(outcomes_of(solutions)) == pytest.approx([1, hit, 0], nan_ok=True)


def test_failures_are_counted_by_reason():
    records = [
        judged([(1, None, None)] * 2, 0, failures=["judge[0]:timeout", "judge[1]:timeout"]),
        judged([(1, None, None)], 1, failures=["caption:truncated"]),
    ]

    assert step_outcomes(records).failures == {"judge:timeout": 2, "caption:truncated": 1}


def test_a_class_that_is_absent_has_no_f1():
    assert class_f1(pooled([solution("++", "++")])).tolist() == [1, 0]
    assert macro_f1(pooled([solution("00", "+-")])) == 0


# What must not matter


@given(st.data(), SOLUTIONS)
def test_the_order_of_the_records_does_not_matter(data, solutions):
    order = data.draw(st.permutations(range(len(solutions))))
    one, other = outcomes_of(solutions), outcomes_of([solutions[i] for i in order])
    n = len(solutions)

    assert record_confusions(one, n)[order].tolist() == record_confusions(other, n).tolist()
    assert first_error_hits(other) == pytest.approx(first_error_hits(one)[order], nan_ok=True)
    assert auroc(one) == pytest.approx(auroc(other))


@given(st.data(), SOLUTIONS)
def test_neutral_steps_do_not_matter(data, solutions):
    extra = st.lists(st.tuples(st.just(0), VERDICTS, PROBABILITIES), max_size=2)
    padded = [
        [piece for step in steps for piece in (*data.draw(extra), step)] for steps in solutions
    ]

    assert pooled(padded).tolist() == pooled(solutions).tolist()
    assert auroc(outcomes_of(padded)) == auroc(outcomes_of(solutions))
    assert first_error_hits(outcomes_of(padded)) == pytest.approx(
        first_error_hits(outcomes_of(solutions)), nan_ok=True
    )


@given(st.data(), SOLUTIONS)
def test_selected_records_count_as_if_they_were_alone(data, solutions):
    mask = [data.draw(st.booleans()) for _ in solutions]
    records = [judged(steps, number, f"S{number % 2}") for number, steps in enumerate(solutions)]
    kept = [record for record, keep in zip(records, mask, strict=True) if keep]
    found, alone = step_outcomes(records).select(np.array(mask)), step_outcomes(kept)

    for name in vars(alone):
        assert np.array_equal(
            getattr(found, name), getattr(alone, name), equal_nan=name == "probability"
        ), name


# Paired comparison


def random_confusions(rng, records, accuracy):
    """Confusions of `records` of six steps, a third of them wrong, judged at this accuracy."""
    right = rng.binomial(4, accuracy, size=records)
    wrong = rng.binomial(2, accuracy, size=records)
    return np.column_stack([right, 4 - right, wrong, 2 - wrong]).astype(float)


def test_a_judgement_does_not_differ_from_itself():
    a = random_confusions(np.random.default_rng(0), 20, 0.7)

    assert paired_difference(a, a.copy(), 200, seed=1) == (0, (0, 0), 1)


@given(st.integers(0, 10**6))
def test_the_comparison_is_symmetric(seed):
    rng = np.random.default_rng(seed)
    a, b = random_confusions(rng, 12, 0.7), random_confusions(rng, 12, 0.6)

    one, other = paired_difference(a, b, 50, seed), paired_difference(b, a, 50, seed)

    assert other.estimate == -one.estimate
    assert other.ci95 == pytest.approx((-one.ci95[1], -one.ci95[0]))
    assert other.p_value == one.p_value


def test_the_estimate_is_the_difference_of_macro_f1_and_its_interval_covers_it():
    rng = np.random.default_rng(3)
    a, b = random_confusions(rng, 300, 0.8), random_confusions(rng, 300, 0.6)

    estimate, (low, high), p_value = paired_difference(a, b, 1000, seed=0)

    assert estimate == pytest.approx(macro_f1(a.sum(axis=0)) - macro_f1(b.sum(axis=0)))
    assert low < estimate < high
    assert low > 0
    assert p_value == 1 / 1001


def test_the_p_value_is_that_of_all_swaps():
    """With few records every swap can be tried; the test draws from the same distribution."""
    rng = np.random.default_rng(8)
    a, b = random_confusions(rng, 7, 0.9), random_confusions(rng, 7, 0.5)
    observed = abs(macro_f1(a.sum(axis=0)) - macro_f1(b.sum(axis=0)))
    extreme = 0
    for swap in product([False, True], repeat=7):
        mask = np.array(swap)[:, None]
        one, other = np.where(mask, b, a).sum(axis=0), np.where(mask, a, b).sum(axis=0)
        extreme += abs(macro_f1(one) - macro_f1(other)) >= observed - 1e-9
    exact = float(Fraction(int(extreme), 2**7))

    assert 0.01 < exact < 0.5, "the case must tell something"
    p_value = paired_difference(a, b, 20000, seed=0).p_value
    assert p_value == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 20000))


def test_p_values_are_uniform_where_there_is_no_difference():
    rng = np.random.default_rng(20)
    p_values = np.sort(
        [
            paired_difference(
                random_confusions(rng, 60, 0.7), random_confusions(rng, 60, 0.7), 199, seed
            ).p_value
            for seed in range(300)
        ]
    )

    # Kolmogorov and Smirnov: the greatest distance to the uniform distribution, 1 % level.
    distance = np.abs(p_values - (np.arange(300) + 0.5) / 300).max()
    assert distance < 1.63 / math.sqrt(300)


def test_only_the_same_records_are_compared():
    a = random_confusions(np.random.default_rng(0), 3, 0.7)

    with pytest.raises(ValueError, match="the same records on both sides, found 3 and 2"):
        paired_difference(a, a[:2], 10, seed=0)
