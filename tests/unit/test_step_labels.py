from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.config_judge import JudgeReply
from evpv_prm.data.pair_records import PairRecord
from evpv_prm.data.step_labels import Judgement, parse_judgement
from evpv_prm.data.visualprm import SolutionProcess
from evpv_prm.engine.base import Failure
from tests.teacher import judgement

STEPS = ("One side is 8.", "The area is 64.", "So: 64")


def record(*labels: bool, steps: tuple[str, ...] = STEPS) -> PairRecord:
    return PairRecord({}, SolutionProcess("a/image/1.png", "What?", steps, labels))


def read(reply: Any, of: PairRecord) -> Judgement | Failure:
    return parse_judgement(json.dumps(reply), of)


@given(st.sets(st.integers(0, 2)))
def test_a_judgement_that_agrees_is_taken_and_no_other(wrong: set[int]) -> None:
    reply = judgement(STEPS, sorted(wrong))
    for is_right in (True, False):
        found = read(reply, record(True, True, is_right))
        if bool(wrong) == is_right:
            assert isinstance(found, Failure)
            assert found.kind == "contradicts_label"
        else:
            assert isinstance(found, Judgement)
            assert [r.score for r in found.results] == [-1 if i in wrong else 1 for i in range(3)]


def test_the_label_is_that_of_all_steps() -> None:
    """Regression: the first step's label was taken for the overall one."""
    assert record(True, True, False).label == "-"
    assert record(True, False, True).label == "-"
    assert record(True, True, True).label == "+"


def change(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda reply: reply["step_judge_result"][1].update(fields)


EVIDENCE = JudgeReply(judge_form="evidence_then_verdict", max_evidence_characters=9)


def test_evidence_is_taken_with_the_judgement_where_it_is_asked_for() -> None:
    reply = judgement(STEPS, evidence=[" 8 ", "64 cm", "the same."])
    found = parse_judgement(json.dumps(reply), record(True, True, True), EVIDENCE)
    assert isinstance(found, Judgement)
    assert [result.evidence for result in found.results] == ["8", "64 cm", "the same."]
    plain = judgement(STEPS)["step_judge_result"]
    assert found.results_json() == plain
    assert [r["evidence"] for r in found.results_json(evidence=True)] == ["8", "64 cm", "the same."]


@pytest.mark.parametrize("evidence", [None, "", " ", "ten of it.", 5])
def test_a_step_without_fitting_evidence_is_refused(evidence: Any) -> None:
    reply = judgement(STEPS, evidence=["8", evidence, "64"])
    found = parse_judgement(json.dumps(reply), record(True, True, True), EVIDENCE)
    assert isinstance(found, Failure)
    assert found.kind == ("invalid_steps" if evidence == 5 else "invalid_evidence")
    del reply["step_judge_result"][1]["evidence"]
    found = parse_judgement(json.dumps(reply), record(True, True, True), EVIDENCE)
    assert isinstance(found, Failure)
    assert isinstance(read(reply, record(True, True, True)), Judgement), "nobody asked for it"


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (change(score=0), "invalid_steps"),
        (change(score=True), "invalid_steps"),
        (change(score="1"), "invalid_steps"),
        (change(score=1.0), "invalid_steps"),
        (change(step=3), "invalid_steps"),
        (change(category="bad luck"), "invalid_steps"),
        (change(category="logical"), "invalid_category"),
        (change(subcategory="value_misreading"), "invalid_category"),
        (change(score=-1), "invalid_category"),
        (change(score=-1, category="visual_misinterpretation"), "invalid_category"),
        (
            change(score=-1, category="logical", subcategory="value_misreading"),
            "invalid_category",
        ),
        (lambda reply: reply["step_judge_result"].pop(), "invalid_steps"),
        (lambda reply: reply.pop("step_judge_result"), "invalid_steps"),
        (lambda reply: reply["Solution_steps"].pop(), "invalid_steps"),
        (lambda reply: reply.update(judgement([])), "invalid_steps"),
        (lambda reply: reply["Solution_steps"].__setitem__(0, "  "), "invalid_steps"),
        (lambda reply: reply["Solution_steps"].__setitem__(0, "One side is 9."), "changed_steps"),
        (lambda reply: reply["Solution_steps"].reverse(), "changed_steps"),
    ],
)
def test_a_reply_that_does_not_hold_is_refused(
    spoil: Callable[[dict[str, Any]], object], kind: str
) -> None:
    """Regression: three steps with one judgement of score 0 were written as they were."""
    reply = judgement(STEPS, [2])
    assert isinstance(read(reply, record(True, True, False)), Judgement)
    spoil(reply)
    found = read(reply, record(True, True, False))
    assert isinstance(found, Failure)
    assert found.kind == kind
    assert found.text


def test_layout_and_numbering_are_no_change_and_the_records_text_stands() -> None:
    copied = ["**Step 1:** One  side is 8.", "Step 2. the area\nis 64.", "So: 64"]
    found = read(judgement(copied), record(True, True, True))
    assert isinstance(found, Judgement)
    assert found.steps == STEPS


def test_an_undivided_solution_is_divided_but_for_nothing_left_out() -> None:
    whole = record(True, steps=("Step 1: One side is 8. Step 2: The area is 64. So: 64",))
    found = read(judgement(STEPS), whole)
    assert isinstance(found, Judgement)
    assert found.steps == STEPS
    lost = read(judgement(STEPS[1:]), whole)
    assert isinstance(lost, Failure)
    assert lost.kind == "changed_steps"
