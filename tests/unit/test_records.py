"""Records keep what they were given, and say in one line what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.errors import InputError
from evpv_prm.jsonl import parse_record, read_records, write_rows
from evpv_prm.records import (
    Candidate,
    CandidateRecord,
    Evaluation,
    FailedCandidate,
    Question,
    Step,
    response_fields,
)

QUESTION = {"pid": "p1", "question": "q?", "answer": "A", "image": "a.png", "datasource": "D"}
CANDIDATE = {
    "reasoningprocess": [{"steptext": "s", "visualdependency": None}],
    "finalanswer": "A",
}
EVALUATION: dict[str, Any] = {
    "image_description": "d", "visual_checklist": "- f", "visual_step_indices": [0],
    "visual_checklist_evaluation": {"p_score": 0.5}, "local_p_score": 0.5,
    "raw_step_scores": [1], "final_step_scores": [0.5], "step_probabilities": [0.9],
    "failures": [],
}  # fmt: skip

own_fields = st.dictionaries(
    st.text(min_size=1).map(lambda key: f"own_{key}"),
    st.none() | st.integers() | st.text() | st.lists(st.text(), max_size=2),
    max_size=3,
)
paths = st.text(min_size=1)
steps = st.builds(
    lambda own, text, fact: {**own, "steptext": text, "visualdependency": fact},
    own_fields,
    st.text(),
    st.none() | st.text(min_size=1).filter(lambda t: t.strip().lower() not in ("", "null")),
)
candidates = st.builds(
    lambda process, answer, own: {"reasoningprocess": process, "finalanswer": answer, **own},
    st.lists(steps, max_size=3),
    st.text(),
    own_fields,
)
failed = st.builds(
    lambda kind, text: {"error": kind, "rawoutput": text}, st.text(min_size=1), st.text()
)
rows = st.builds(
    lambda own, pid, image, question, responses: {
        **own, **QUESTION, "pid": pid, "image": image, "question": question,
        **{f"vlmresponse{n}": response for n, response in enumerate(responses, start=1)},
    },
    own_fields, st.text(min_size=1), paths | st.lists(paths, min_size=1, max_size=3),
    st.text(min_size=1), st.lists(candidates | failed, min_size=1, max_size=11),
)  # fmt: skip


def refusal(row: Any, tmp_path: Path) -> InputError:
    path = tmp_path / "c.jsonl"
    good = {**QUESTION, "vlmresponse1": CANDIDATE}
    path.write_text("".join(json.dumps(each) + "\n" for each in (good, row)))
    with pytest.raises(InputError) as caught:
        read_records(path, CandidateRecord)
    message = str(caught.value)
    assert message.startswith(f"{path}:2: ")
    assert "\n" not in message
    return caught.value


@given(rows)
def test_a_row_survives_with_all_its_fields(row: dict[str, Any]) -> None:
    assert CandidateRecord.model_validate(row).to_row() == row


@given(rows)
def test_what_was_written_once_is_written_again_in_the_same_order(row: dict[str, Any]) -> None:
    written = CandidateRecord.model_validate(row).to_row()
    again = CandidateRecord.model_validate(written).to_row()
    assert json.dumps(again) == json.dumps(written)
    own = [key for key in row if key.startswith("own_")]
    assert [key for key in written if key.startswith("own_")] == own


@pytest.mark.parametrize("image", ["a.png", ["a.png"], ["a.png", "b.png"]])
def test_an_image_keeps_its_shape(image: Any) -> None:
    question = Question.model_validate({**QUESTION, "image": image})
    assert question.to_row()["image"] == image
    assert question.images == (tuple(image) if isinstance(image, list) else (image,))


def test_responses_are_read_by_number_and_written_last() -> None:
    answers = [str(n) for n in range(1, 12)]
    responses = {f"vlmresponse{n}": {**CANDIDATE, "finalanswer": n} for n in range(11, 0, -1)}
    record = CandidateRecord.model_validate({**responses, **QUESTION})
    assert [c.finalanswer for c in record.candidates if isinstance(c, Candidate)] == answers
    assert list(record.to_row()) == [*QUESTION, *(f"vlmresponse{n}" for n in range(1, 12))]


def test_responses_of_an_earlier_sampling_do_not_stay() -> None:
    question = Question.model_validate(
        {**QUESTION, **{f"vlmresponse{n}": CANDIDATE for n in range(1, 9)}, "vlmresponses": 1}
    )
    record = CandidateRecord.model_validate(
        {**question.to_row(), "candidates": [FailedCandidate(error="timeout")]}
    )
    assert [key for key in record.to_row() if key.startswith("vlm")] == [
        "vlmresponses",
        "vlmresponse1",
    ]


def test_a_question_that_was_not_asked_has_an_error_and_no_responses() -> None:
    row = {**QUESTION, "error": "missing_image", "detail": "a.png does not exist"}
    record = CandidateRecord.model_validate(row)
    assert record.candidates == []
    assert record.to_row() == row


def test_a_failed_response_is_told_from_a_candidate() -> None:
    failure = {"error": "timeout", "detail": "after 180 s", "rawoutput": ""}
    row = {**QUESTION, "vlmresponse1": failure, "vlmresponse2": CANDIDATE}
    record = CandidateRecord.model_validate(row)
    assert [type(c) for c in record.candidates] == [FailedCandidate, Candidate]
    assert record.to_row() == row


@pytest.mark.parametrize("blank", [None, "", "  \n", "null", "NULL", " Null "])
def test_blank_and_null_are_no_dependency(blank: str | None) -> None:
    assert Step(steptext="s", visualdependency=blank).visualdependency is None


@pytest.mark.parametrize(
    ("given", "read"), [("nullity is 3", "nullity is 3"), ("none", "none"), (0, "0"), (2.5, "2.5")]
)
def test_anything_else_is_a_dependency(given: Any, read: str) -> None:
    assert Step(steptext="s", visualdependency=given).visualdependency == read


@pytest.mark.parametrize(("given", "read"), [(12, "12"), (2.5, "2.5"), ("B", "B")])
def test_a_number_is_a_final_answer(given: Any, read: str) -> None:
    assert Candidate.model_validate({**CANDIDATE, "finalanswer": given}).finalanswer == read


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"pid": None}, ["pid", "string"]),
        ({"pid": ""}, ["pid", "at least 1"]),
        ({"question": 3}, ["question", "string"]),
        ({"answer": None}, ["answer", "string"]),
        ({"datasource": ""}, ["datasource", "at least 1"]),
        ({"image": None}, ["image", "a path or a list of paths"]),
        ({"image": 3}, ["image", "a path or a list of paths"]),
        ({"image": []}, ["image", "a path or a list of paths"]),
        ({"image": ["a.png", None]}, ["image", "a path or a list of paths"]),
        ({"vlmresponse3": CANDIDATE}, ["vlmresponse", "no gaps", "[1, 3]"]),
        ({"vlmresponse1": None}, ["vlmresponse1", "object", "NoneType"]),
        ({"vlmresponse1": "A"}, ["vlmresponse1", "object", "str"]),
        ({"vlmresponse1": [CANDIDATE]}, ["vlmresponse1", "object", "list"]),
        ({"vlmresponse1": {"finalanswer": "A"}}, ["vlmresponse1.reasoningprocess", "required"]),
        ({"vlmresponse1": {"reasoningprocess": []}}, ["vlmresponse1.finalanswer", "required"]),
        ({"vlmresponse1": {**CANDIDATE, "finalanswer": None}}, ["vlmresponse1.finalanswer"]),
        ({"vlmresponse1": {**CANDIDATE, "finalanswer": True}}, ["vlmresponse1.finalanswer"]),
        (
            {"vlmresponse1": {**CANDIDATE, "reasoningprocess": "s"}},
            ["vlmresponse1.reasoningprocess", "list"],
        ),
        (
            {"vlmresponse1": {**CANDIDATE, "reasoningprocess": [{"steptext": "s"}, "a step"]}},
            ["vlmresponse1.reasoningprocess.1"],
        ),
        (
            {"vlmresponse1": {**CANDIDATE, "reasoningprocess": [{"steptext": 3}]}},
            ["vlmresponse1.reasoningprocess.0.steptext", "string"],
        ),
        (
            {"vlmresponse1": {**CANDIDATE, "reasoningprocess": [{"visualdependency": "f"}]}},
            ["vlmresponse1.reasoningprocess.0.steptext", "required"],
        ),
        ({"vlmresponse1": {"error": ""}}, ["vlmresponse1.error", "at least 1"]),
        ({"vlmresponse1": {"error": None}}, ["vlmresponse1.error", "string"]),
        ({"vlmresponse1": {**CANDIDATE, "eval": {}}}, ["vlmresponse1.eval.", "required"]),
        (
            {"vlmresponse1": {**CANDIDATE, "eval": {**EVALUATION, "raw_step_scores": [1, 1]}}},
            ["vlmresponse1.eval", "one entry a step"],
        ),
    ],
)
def test_a_bad_field_is_one_line(changes: dict[str, Any], parts: list[str], tmp_path: Path) -> None:
    message = str(refusal({**QUESTION, "vlmresponse1": CANDIDATE, **changes}, tmp_path))
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize("name", QUESTION)
def test_a_missing_field_is_named(name: str, tmp_path: Path) -> None:
    row = {**QUESTION, "vlmresponse1": CANDIDATE}
    del row[name]
    error = refusal(row, tmp_path)
    assert (error.line, error.field) == (2, name)


def test_a_question_without_responses_is_refused(tmp_path: Path) -> None:
    assert "expected vlmresponse1" in str(refusal(QUESTION, tmp_path))


def test_a_record_without_a_line_of_its_own_is_named_by_its_file() -> None:
    with pytest.raises(InputError, match=r"^m\.json: pid: "):
        parse_record("m.json", None, {**QUESTION, "pid": 1}, Question)


def test_records_of_a_file_come_back_in_order(tmp_path: Path) -> None:
    written = [{**QUESTION, "pid": str(n)} for n in range(5)]
    write_rows(tmp_path / "q.jsonl", written)
    assert [q.to_row() for q in read_records(tmp_path / "q.jsonl", Question)] == written


@pytest.mark.parametrize("name", ["raw_step_scores", "final_step_scores", "step_probabilities"])
def test_an_evaluation_has_one_score_a_step(name: str) -> None:
    assert Evaluation.model_validate(EVALUATION).to_row() == EVALUATION
    with pytest.raises(ValueError, match="one entry a step"):
        Evaluation.model_validate({**EVALUATION, name: [1, None]})


def test_response_fields_count_from_one() -> None:
    made = response_fields([FailedCandidate(error="x"), FailedCandidate(error="y")])
    assert made == {"vlmresponse1": {"error": "x"}, "vlmresponse2": {"error": "y"}}
