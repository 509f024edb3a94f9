"""Pass@k, Best-of-N and majority vote against enumeration of all subsets and tie orders."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evpv_prm.metrics.best_of_n import NO_ANSWER, best_of_n, majority_vote, pass_at_k

NAN = float("nan")


@st.composite
def questions(draw, max_candidates=6):
    """Draw correct, scores and answers [questions, n], with many ties and missing scores."""
    n = draw(st.integers(1, max_candidates))
    count = draw(st.integers(1, 3))

    def array(elements, dtype):
        rows = st.lists(elements, min_size=n, max_size=n)
        return np.array(draw(st.lists(rows, min_size=count, max_size=count)), dtype=dtype)

    return (
        array(st.booleans(), bool),
        array(st.sampled_from([NAN, 0.1, 0.5, 0.5, 1.0]), float),
        array(st.sampled_from([NO_ANSWER, 0, 1, 2]), np.int64),
    )


def brute_force(correct, choose):
    """Average over all subsets of `choose(subset)`, the candidates that share the choice."""
    result = np.zeros(correct.shape)
    for q, row in enumerate(correct):
        for k in range(1, len(row) + 1):
            chosen = [choose(q, subset) for subset in combinations(range(len(row)), k)]
            result[q, k - 1] = np.mean([row[list(c)].mean() if c else 0.0 for c in chosen])
    return result


@given(questions())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_candidate(sample):
    correct, _, _ = sample
    for q, row in enumerate(correct):
        for k in range(1, len(row) + 1):
            expected = np.mean([any(subset) for subset in combinations(row, k)])
            assert pass_at_k(correct)[q, k - 1] == pytest.approx(expected)


@given(questions())
def test_best_of_n_is_the_mean_over_subsets_with_ties_shared(sample):
    correct, scores, _ = sample
    values = np.where(np.isnan(scores), -1.0, scores)

    def choose(q, subset):
        best = max(values[q, i] for i in subset)
        return [i for i in subset if values[q, i] == best]

    assert best_of_n(correct, scores) == pytest.approx(brute_force(correct, choose))


@given(questions(max_candidates=4))
@settings(max_examples=30)
def test_best_of_n_is_the_mean_over_subsets_and_tie_orders(sample):
    correct, scores, _ = sample
    values = np.where(np.isnan(scores), -1.0, scores)
    n = correct.shape[1]
    total = np.zeros(correct.shape)
    orders = list(permutations(range(n)))
    for order in orders:
        rank = {candidate: place for place, candidate in enumerate(order)}

        def choose(q, subset, rank=rank):
            return [max(subset, key=lambda i: (values[q, i], -rank[i]))]

        total += brute_force(correct, choose)

    assert best_of_n(correct, scores) == pytest.approx(total / len(orders))


@given(questions())
def test_majority_vote_is_the_mean_over_subsets_with_ties_shared(sample):
    correct, _, answers = sample

    def choose(q, subset):
        votes = Counter(answers[q, i] for i in subset if answers[q, i] != NO_ANSWER)
        most = max(votes.values(), default=0)
        return [i for i in subset if votes[answers[q, i]] == most and most]

    silent = answers == NO_ANSWER  # what did not answer cannot be right
    expected = brute_force(correct & ~silent, choose)
    assert majority_vote(correct & ~silent, answers) == pytest.approx(expected)


@given(questions(max_candidates=8), st.randoms(use_true_random=False))
def test_invariants(sample, random):
    correct, scores, answers = sample
    passed, best = pass_at_k(correct), best_of_n(correct, scores)
    accuracy = correct.mean(axis=1)

    assert passed[:, 0] == pytest.approx(accuracy)
    assert best[:, 0] == pytest.approx(accuracy)
    assert (best <= passed + 1e-12).all()
    assert (np.diff(passed, axis=1) >= -1e-12).all()
    assert (majority_vote(correct, answers) <= passed + 1e-12).all()
    order = random.sample(range(correct.shape[1]), correct.shape[1])
    assert best_of_n(correct[:, order], scores[:, order]) == pytest.approx(best)
    assert majority_vote(correct[:, order], answers[:, order]) == pytest.approx(
        majority_vote(correct, answers)
    )


@given(questions(max_candidates=8), st.floats(-1e-12, 1e-12))
def test_rounding_errors_break_no_tie(sample, error):
    correct, scores, _ = sample
    shaken = scores + error * np.arange(scores.shape[1])

    assert best_of_n(correct, shaken) == pytest.approx(best_of_n(correct, scores))


def test_tied_candidates_are_not_resolved_with_the_answer_key():
    """Regression: seven wrong candidates and a right one, all tied, counted as right."""
    correct = np.array([[False] * 7 + [True]])

    assert best_of_n(correct, np.zeros((1, 8)))[0, 7] == pytest.approx(1 / 8)


def test_noise_as_scores_gives_the_mean_accuracy():
    """Regression: a scorer of pure noise was reported far above the mean accuracy."""
    rng = np.random.default_rng(0)
    correct = rng.random((4000, 8)) < 0.4
    noise = np.round(rng.random((4000, 8)) * 6) / 6  # six steps: most questions have ties

    best = best_of_n(correct, noise).mean(axis=0)

    assert best == pytest.approx(np.full(8, correct.mean()), abs=0.02)


def test_pass_at_1_is_the_mean_over_candidates():
    """Regression: Pass@1 was the best column, chosen on the test labels."""
    correct = np.array([[True, False], [True, False]])

    assert pass_at_k(correct).tolist() == [[0.5, 1.0], [0.5, 1.0]]


def test_candidates_without_a_score_rank_below_the_worst_scored_one():
    correct = np.array([[True, False]])

    assert best_of_n(correct, np.array([[NAN, 0.0]]))[0, 1] == 0
    assert best_of_n(correct, np.array([[NAN, NAN]]))[0, 1] == 0.5


def test_many_candidates_need_no_enumeration():
    correct = np.array([[True] * 20 + [False] * 44])
    answers = np.array([[0] * 20 + [1 + i % 11 for i in range(44)]])

    assert majority_vote(correct, answers)[0, 63] == pytest.approx(1)
    assert pass_at_k(correct)[0, 0] == pytest.approx(20 / 64)
