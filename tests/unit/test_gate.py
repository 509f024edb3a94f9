"""What the reliability gate does, on cases small enough to work out by hand and on random ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from evpv_prm.data.audits import Audit, audit_of, solution_audit
from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.metrics.bon_summary import Outcomes
from evpv_prm.metrics.gate import (
    calibration_counts,
    calibration_error,
    compare_choices,
    gated_steps,
    reliability_auroc,
    sign_test,
)
from evpv_prm.metrics.gate_summary import distribution, policy_gate, solution_gate
from evpv_prm.prompts import P_SCORES
from evpv_prm.reward import gate

NAN = math.nan
SYMBOLS = {"+": 1, "0": 0, "-": -1, "?": None}


def solution(labels, verdicts, visual, p, number=0, failures=()):
    """A gated record from texts such as "+0-" and "+?-"; `visual` has the indices, or is None."""
    verdicts = [SYMBOLS[verdict] for verdict in verdicts]
    weighed = range(len(labels)) if visual is None else visual
    return JudgedRecord.model_validate(
        {
            "pid": f"r{number}",
            "image": "1.png",
            "question": "How many?",
            "response": {
                "steps": ["step"] * len(labels),
                "process_correctness": [SYMBOLS[label] for label in labels],
            },
            "policy_model": "P",
            "data_source": "X",
            "step_predict": verdicts,
            "step_probabilities": [None] * len(labels),
            "failures": list(failures),
            "visual_step_indices": visual,
            "local_p_score": p,
            "final_step_scores": gate(verdicts, weighed, p),
        }
    )


BY_HAND = [
    # Two visual steps called right at p = 0.2: the wrong one is caught, the right one is the cost.
    solution("+-0+", "++++", [0, 1, 2], 0.2, 0),
    # At p = 0.5 a score is not below 0.5. A wrong step that was called wrong needs no gate.
    solution("-+-", "++-", [0, 1, 2], 0.5, 1),
    # No visual fact: nothing to gate.
    solution("-+", "++", [], 1.0, 2),
    # The audit failed: the visual step called right has no gated score.
    solution("-+", "+-", [0, 1], None, 3, ["judge[0]:slow", "audit:truncated"]),
    # Which steps are visual is not known.
    solution("+-", "+-", None, None, 4, ["premises:invalid_json"]),
]


def test_steps_are_lined_up_with_what_the_gate_made_of_them():
    steps = gated_steps(BY_HAND)

    assert steps.is_visual.tolist() == [1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0]
    assert steps.is_known.tolist() == [True] * 10 + [False] * 2
    assert steps.reliability == pytest.approx(
        [0.2] * 3 + [0.5] * 3 + [1] * 2 + [NAN] * 4, nan_ok=True
    )
    assert steps.final == pytest.approx(
        [0.2, 0.2, 1, 0.5, 0.5, -1, 1, 1, NAN, -1, NAN, -1], nan_ok=True
    )
    assert steps.gated_outcomes.predicted.tolist() == [-1, -1, 1, 1, 1, -1, 1, 1, 0, -1, 0, -1]


def test_solutions_by_hand():
    found = solution_gate(BY_HAND, samples=100, seed=0)

    assert found.distribution.n == 5
    assert found.distribution.n_without_facts == 1
    assert found.distribution.failures == {"audit:truncated": 1, "premises:invalid_json": 1}
    assert {p: n for p, n in found.distribution.counts.items() if n} == {"0.2": 1, "0.5": 1}
    assert (found.n_steps, found.n_neutral, found.n_unknown) == (12, 1, 2)
    assert (found.n_visual, found.n_visual_without_reliability) == (7, 2)
    every = found.calibration["all"]
    assert (every.n_samples, every.n_steps) == (2, 5)
    assert (every.right["0.2"].n_hits, every.right["0.2"].n) == (1, 2)
    assert (every.right["0.5"].n_hits, every.right["0.5"].n) == (1, 3)
    # |0.2 - 1/2| on two steps, |0.5 - 1/3| on three.
    assert every.calibration_error == pytest.approx((2 * 0.3 + 3 / 6) / 5)
    # Right at 0.2, 0.5; wrong at 0.2, 0.5, 0.5: one pair in order, three tied, two the other way.
    assert every.auroc.estimate == pytest.approx((1 + 3 / 2) / 6)
    called_right = found.calibration["called_right"]
    assert (called_right.right["0.5"].n_hits, called_right.right["0.5"].n) == (1, 2)
    wrong, right = found.lowered["wrong"], found.lowered["right"]
    assert (wrong.n, wrong.n_called_right, wrong.n_called_wrong) == (4, 3, 1)
    assert (wrong.n_unscored, wrong.below.n_hits, wrong.below.n) == (1, 1, 2)
    assert wrong.below.estimate == 0.5
    assert (right.n, right.n_called_wrong, right.below.n_hits, right.below.n) == (3, 1, 1, 2)
    assert found.n_without_verdict == {"ungated": 0, "gated": 2}
    # Ungated: 5 right steps are called right, 1 is not; 2 of 6 wrong ones are called wrong.
    assert found.macro_f1["ungated"] == pytest.approx((10 / 15 + 4 / 9) / 2)
    # Gated: 3 of the right ones, one of the wrong ones more, and a failure is a miss.
    assert found.macro_f1["gated"] == pytest.approx((6 / 12 + 6 / 12) / 2)
    assert found.gain.estimate == pytest.approx(found.macro_f1["gated"] - found.macro_f1["ungated"])


def test_what_cannot_be_measured_is_null():
    found = solution_gate([solution("+-", "+-", [], 1.0)], samples=20, seed=0)

    for name in ("all", "called_right"):
        nothing = found.calibration[name]
        assert nothing.calibration_error is None
        assert (nothing.auroc.estimate, nothing.auroc.ci95) == (None, None)
        assert all(share.estimate is None for share in nothing.right.values())
    assert found.lowered["wrong"].below.estimate is None
    assert (found.gain.estimate, found.p_value) == (0, 1)


LABELS, VERDICTS = st.sampled_from("+0-"), st.sampled_from("+-?")


@st.composite
def solutions(draw):
    records = []
    for number in range(draw(st.integers(1, 8))):
        labels = draw(st.text(LABELS, min_size=1, max_size=6))
        verdicts = [draw(VERDICTS) for _ in labels]
        visual = draw(
            st.none() | st.sets(st.integers(0, len(labels) - 1)).map(sorted)
        )  # None: not known
        p = None if visual is None else draw(st.none() | st.sampled_from(P_SCORES))
        p = 1.0 if visual == [] else p
        records.append(solution(labels, verdicts, visual, p, number))
    return records


@given(solutions())
def test_steps_and_solutions_add_up(records):
    found = solution_gate(records, samples=5, seed=0)
    steps = gated_steps(records)

    spread = found.distribution
    assert spread.n == len(records)
    assert spread.n == spread.n_without_facts + spread.n_failed + spread.n_audited
    assert sum(spread.failures.values()) == spread.n_failed
    assert found.n_steps + found.n_neutral == sum(len(record.steps) for record in records)
    every, called_right = (found.calibration[name] for name in ("all", "called_right"))
    assert every.n_steps + found.n_visual_without_reliability == found.n_visual
    assert sum(share.n for share in every.right.values()) == every.n_steps
    assert sum(lowered.n for lowered in found.lowered.values()) == found.n_visual
    assert called_right.n_steps == sum(lowered.below.n for lowered in found.lowered.values())
    weighed = int(steps.called_right.sum())
    assert weighed == sum(lowered.n_called_right for lowered in found.lowered.values())
    for share in (*every.right.values(), *called_right.right.values()):
        if share.n:
            low, high = share.ci95
            assert 0 <= low <= share.n_hits / share.n <= high <= 1


@given(st.data(), solutions())
def test_the_order_of_the_solutions_does_not_matter(data, records):
    shuffled = data.draw(st.permutations(records))

    assert solution_gate(shuffled, samples=5, seed=1) == solution_gate(records, samples=5, seed=1)


@given(solutions())
def test_auroc_and_calibration_error_are_those_of_their_definitions(records):
    steps = gated_steps(records)
    chosen = steps.is_visual & ~np.isnan(steps.reliability)
    truth, p = steps.outcomes.truth[chosen] == 1, steps.reliability[chosen]
    counts = calibration_counts(steps, steps.is_visual).sum(axis=0)

    if len(set(truth.tolist())) < 2:
        assert np.isnan(reliability_auroc(counts))
    else:
        assert reliability_auroc(counts) == pytest.approx(roc_auc_score(truth, p))
    if len(p):
        errors = [abs(value - truth[p == value].mean()) for value in p]
        assert calibration_error(counts) == pytest.approx(np.mean(errors))


@given(solutions())
def test_full_reliability_changes_nothing(records):
    trusted = [
        record.model_copy(
            update={
                "local_p_score": 1.0,
                "final_step_scores": gate(record.step_predict, record.visual_step_indices or [], 1),
            }
        )
        for record in records
    ]
    found = solution_gate(trusted, samples=5, seed=0)

    assert found.macro_f1["gated"] == found.macro_f1["ungated"]
    assert (found.gain.estimate, found.gain.ci95, found.p_value) == (0, (0, 0), 1)
    assert all(lowered.below.n_hits == 0 for lowered in found.lowered.values())


# Audits


def test_the_first_failure_before_the_judge_is_why_there_is_no_reliability():
    assert (
        audit_of(True, None, ["judge[2]:timeout", "audit:truncated"]).failure == "audit:truncated"
    )
    assert audit_of(True, None, ["judge[2]:timeout"]).failure == "unnamed"
    assert audit_of(True, 0.5, ["judge[2]:timeout"]) == Audit(True, 0.5, None)


def test_a_solution_whose_facts_are_not_known_may_have_some():
    assert solution_audit(BY_HAND[4]) == Audit(True, None, "premises:invalid_json")
    assert solution_audit(BY_HAND[2]) == Audit(False, 1.0, None)


def test_reliability_is_counted_at_the_nearest_tenth():
    found = distribution([Audit(True, p, None) for p in (0.0, 0.04, 0.66, 0.3, 1.0)])

    assert {p: n for p, n in found.counts.items() if n} == {"0.0": 2, "0.3": 1, "0.7": 1, "1.0": 1}


# Choices


def test_choices_by_hand():
    correct = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]], bool)
    raw = np.array(
        [[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 1, 1], [1, 0.5, 0], [NAN, NAN, NAN]], float
    )
    gated = np.array(
        [
            [0.5, 0.2, 0],  # the tie is broken for the right one: better
            [0.2, 0.5, 0],  # worse
            [0.2, 0.5, 0],  # another right one: changed, without a difference
            [0.5, 0.5, 0.1],  # of three tied ones two are left: better, 1/2 after 1/3
            [0.5, 0.4, 0.3],  # other scores, the same choice
            [NAN, 1, NAN],  # unscored candidates are tied, and below any that is scored
        ]
    )

    found = compare_choices(correct, gated, raw)

    assert found.changed.tolist() == [True, True, True, True, False, True]
    assert found.gain == pytest.approx([1 / 2, -1, 0, 1 / 6, 0, -1 / 3])


def test_sign_test_by_hand():
    assert sign_test(0, 0) is None
    assert sign_test(3, 3) == 1
    assert sign_test(4, 0) == pytest.approx(2 / 16)
    assert sign_test(1, 4) == sign_test(4, 1) == pytest.approx(2 * (1 + 5) / 32)


SCORES = st.sampled_from([NAN, 0.0, 0.2, 0.5, 1.0])


@st.composite
def outcomes(draw):
    questions, n = draw(st.integers(1, 6)), draw(st.integers(1, 4))

    def table(values):
        rows = [[draw(values) for _ in range(n)] for _ in range(questions)]
        return np.array(rows)

    kinds = {(kind, "streak_score"): table(SCORES).astype(float) for kind in ("gated", "raw")}
    return Outcomes(
        n=questions,
        failures={},
        clusters=np.arange(questions).astype(str),
        correct=table(st.booleans()),
        answers=np.zeros((questions, n), dtype=np.int64),
        scores=kinds,
    )


def decisions(parts):
    found = policy_gate([], parts, ["streak_score"], samples=5, seed=0)
    return {name: each.decisions["streak_score"] for name, each in found.datasources.items()}


@given(outcomes(), outcomes())
def test_decisions_add_up_and_agree_with_the_gain(x, y):
    found = decisions({"X": x})["X"]
    gain = compare_choices(x.correct, x.scores["gated", "streak_score"],
                           x.scores["raw", "streak_score"]).gain  # fmt: skip
    assert found.gain.estimate == pytest.approx(gain.mean())
    assert found.n_same >= 0
    if x.correct.shape == y.correct.shape:
        found = decisions({"X": x, "Y": y})
        for name in ("n_changed", "n_better", "n_worse", "n_same"):
            parts = [getattr(found[source], name) for source in ("X", "Y")]
            assert getattr(found["OVERALL"], name) == sum(parts)


@given(st.data(), outcomes())
def test_the_order_of_the_candidates_does_not_matter(data, part):
    order = data.draw(st.permutations(range(part.correct.shape[1])))
    other = Outcomes(
        n=part.n,
        failures={},
        clusters=part.clusters,
        correct=part.correct[:, order],
        answers=part.answers,
        scores={key: scores[:, order] for key, scores in part.scores.items()},
    )

    one, two = decisions({"X": part})["X"], decisions({"X": other})["X"]
    for name in ("n_changed", "n_better", "n_worse", "p_value"):
        assert getattr(one, name) == getattr(two, name)
    assert one.gain.estimate == pytest.approx(two.gain.estimate)


@given(outcomes())
def test_without_a_gate_nothing_is_changed(part):
    raw = part.scores["raw", "streak_score"]
    same = Outcomes(
        n=part.n,
        failures={},
        clusters=part.clusters,
        correct=part.correct,
        answers=part.answers,
        scores={(kind, "streak_score"): raw for kind in ("gated", "raw")},
    )

    found = decisions({"X": same})["X"]
    assert (found.n_changed, found.n_better, found.n_worse, found.p_value) == (0, 0, 0, None)
    assert found.gain.estimate == 0
