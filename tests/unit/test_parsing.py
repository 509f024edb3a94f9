"""Model text to typed values or typed failures: nothing is guessed."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.engine.base import Failure
from evpv_prm.parsing import (
    parse_audit,
    parse_candidate,
    parse_caption,
    parse_description,
    parse_object,
    parse_premises,
)
from evpv_prm.records import Candidate, Caption

LATEX = r"\sqrt{3} \angle ABC = 60^\circ, \frac{1}{2}\pi, \{x \mid x < 2\}, \times \neq \beta"
STEP = {"steptext": "AB = 3", "visualdependency": "AB is marked 3"}

snippets = st.text() | st.sampled_from(
    [LATEX, "\\", '"', "“quoted”", "{", "}", "[]", "```", "\n", "\\\\sqrt", "'", "−1", "\u2028"]
)
latex = st.lists(snippets, max_size=4).map("".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | latex,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(latex, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(latex, json_values, max_size=4)
prose = st.text(st.characters(blacklist_characters='{}"\\', blacklist_categories=["Cs"]))


def failure(result: object, kind: str, text: str) -> None:
    assert isinstance(result, Failure)
    assert result.kind == kind
    assert result.text == text


# Objects


@given(objects, st.booleans(), st.sampled_from([None, 1, 4]))
def test_valid_json_is_never_changed(
    value: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    """Regression: a repair before reading broke escaped LaTeX and curly quotes."""
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only, indent=indent)) == value


@given(objects, prose, prose)
def test_an_object_is_found_in_prose(value: dict[str, Any], before: str, after: str) -> None:
    assert parse_object(before + json.dumps(value) + after) == value


@given(objects, st.sampled_from(["```json\n{}\n```", "```\n{}\n```", "  ```JSON\n\n{}\n\n```\n"]))
def test_an_object_is_found_in_a_fence(value: dict[str, Any], fence: str) -> None:
    assert parse_object(fence.replace("{}", json.dumps(value))) == value


@given(objects, objects)
def test_the_first_of_two_objects_counts(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Regression: the text from the first brace to the last was read as one object."""
    assert parse_object(f"{json.dumps(first)}\nor rather\n{json.dumps(second)}") == first


@given(objects.filter(bool), st.data())
def test_a_truncated_object_is_a_failure(value: dict[str, Any], data: st.DataObject) -> None:
    """Regression: truncated replies were accepted."""
    whole = json.dumps(value)
    text = whole[: data.draw(st.integers(0, len(whole) - 1))]
    failure(parse_object(text), "invalid_json", text)


@pytest.mark.parametrize(
    "text",
    [
        '{"p_score": 0, "meta": {"p_score": 1}',
        '{"steps": [{"image_description": "inner"}',
        "{'p_score': {\"p_score\": 1}}",
        '{"a": "}", bad, "b": {"p_score": 1}}',
    ],
)
def test_a_part_never_stands_for_the_whole(text: str) -> None:
    failure(parse_object(text), "invalid_json", text)


@pytest.mark.parametrize(
    "text",
    [
        r'With \frac{1}{2} and \{1, 2\}: {"a": 1}',
        'The set {1, 2} gives {"a": 1}',
        'So {x: {y}} holds. {"a": 1} Hence {z}.',
        'He said "so", and \\" and then: {"a": 1}',
        '[{"a": 1}]',
    ],
)
def test_braces_of_the_prose_are_passed_over(text: str) -> None:
    assert parse_object(text) == {"a": 1}


def test_line_breaks_inside_strings_are_kept() -> None:
    assert parse_object('{"a": "one\ntwo\tthree"}') == {"a": "one\ntwo\tthree"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "I cannot help with that.",
        "null",
        "[1, 2]",
        "{",
        "}{",
        '{"a": 1,}',
        "{'a': 1}",
        '{"a": 01}',
        '{"a": \\sqrt}',
        '{"a": "\\sqrt"}',
        '{"a": "half of a pair: \\ud83d"}',
        '{"a": ' + "9" * 30 + "}",
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' * 300 + "1" + "}" * 300,
    ],
)
def test_what_cannot_be_read_or_kept_is_a_failure(text: str) -> None:
    failure(parse_object(text), "invalid_json", text)


@given(st.text(st.sampled_from('{}[]":,\\ 1-a\nn')) | st.text())
def test_any_text_gives_an_object_that_can_be_written_or_a_failure(text: str) -> None:
    result = parse_object(text)
    if isinstance(result, Failure):
        assert result.text == text
    else:
        assert orjson.loads(orjson.dumps(result)).keys() == result.keys()


@pytest.mark.timeout(15)
@pytest.mark.parametrize(
    "unit", ["{", "}", "{}x", '{"a":', '{"', '\\"', '{"\\"', "[{", '{"a":[{', "{x}", '"{', "{{}"]
)
def test_hostile_text_is_read_in_linear_time(unit: str) -> None:
    """With quadratic work each would take longer than the limit."""
    parse_object(unit * (200_000 // len(unit)))


@pytest.mark.timeout(30)
def test_deep_nesting_is_a_failure() -> None:
    for text in ("{" * 100_000 + "}" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000):
        failure(parse_object(text), "invalid_json", text)


# Candidates


@given(
    st.lists(
        st.tuples(latex, st.none() | latex.filter(lambda t: t.strip().lower() not in ("", "null"))),
        min_size=1,
        max_size=5,
    ),
    latex.filter(str.strip),
)
def test_a_candidate_keeps_its_steps_and_their_facts(
    steps: list[tuple[str, str | None]], answer: str
) -> None:
    """Regression: a missing key attached a visual fact to the wrong step."""
    reply = json.dumps(
        {
            "reasoningprocess": [
                {"steptext": text} | ({} if fact is None else {"visualdependency": fact})
                for text, fact in steps
            ],
            "finalanswer": answer,
        }
    )
    candidate = parse_candidate(reply)
    assert isinstance(candidate, Candidate)
    assert [(s.steptext, s.visualdependency) for s in candidate.reasoningprocess] == steps
    assert candidate.finalanswer == answer


def test_a_candidate_is_its_steps_and_its_answer_alone() -> None:
    reply = {"reasoningprocess": [STEP], "finalanswer": 4, "eval": {}, "error": "none"}
    candidate = parse_candidate(json.dumps(reply))
    assert isinstance(candidate, Candidate)
    assert candidate.to_row() == {"reasoningprocess": [STEP], "finalanswer": "4"}


@pytest.mark.parametrize(
    ("reply", "kind", "detail"),
    [
        ({"finalanswer": "A"}, "invalid_candidate", "reasoningprocess"),
        ({"reasoningprocess": [STEP]}, "invalid_candidate", "finalanswer"),
        ({"reasoningprocess": "s", "finalanswer": "A"}, "invalid_candidate", "reasoningprocess"),
        ({"reasoningprocess": ["s"], "finalanswer": "A"}, "invalid_candidate", "process.0"),
        ({"reasoningprocess": [{}], "finalanswer": "A"}, "invalid_candidate", "0.steptext"),
        ({"reasoningprocess": [STEP], "finalanswer": None}, "invalid_candidate", "finalanswer"),
        ({"reasoningprocess": [STEP], "finalanswer": ["A"]}, "invalid_candidate", "finalanswer"),
        ({"reasoningprocess": [], "finalanswer": "A"}, "no_steps", ""),
        ({"reasoningprocess": [STEP], "finalanswer": " "}, "no_answer", ""),
        ({"error": "x"}, "invalid_candidate", "reasoningprocess"),
    ],
)
def test_what_is_no_candidate_is_a_failure(reply: Any, kind: str, detail: str) -> None:
    text = json.dumps(reply)
    result = parse_candidate(text)
    failure(result, kind, text)
    assert isinstance(result, Failure)
    assert detail in result.detail
    assert "\n" not in result.detail


# Descriptions and audits


def test_a_description_is_stripped() -> None:
    assert parse_description('{"image_description": " A triangle.\\n"}') == "A triangle."


@pytest.mark.parametrize("value", ["", "  ", None, 3, ["A triangle."], {"text": "A"}])
def test_a_blank_description_is_a_failure(value: Any) -> None:
    text = json.dumps({"image_description": value})
    failure(parse_description(text), "no_description", text)
    failure(parse_description('{"caption": "x"}'), "no_description", '{"caption": "x"}')
    failure(parse_description("A triangle."), "invalid_json", "A triangle.")


@pytest.mark.parametrize(
    ("score", "read"), [(0, 0.0), (1, 1.0), (0.3, 0.3), ("0.5", 0.5), (" 1 ", 1.0), (1e-3, 0.001)]
)
def test_a_reliability_is_a_number_in_the_unit_interval(score: Any, read: float) -> None:
    audit = {"errors_and_hallucinations": [], "omissions": ["x"], "p_score": score}
    assert parse_audit(json.dumps(audit)) == (audit, read)


@pytest.mark.parametrize(
    "score", [-0.1, 1.1, 100, True, False, None, "", "high", "0.5/1", "nan", "inf", [], {}, [0.5]]
)
def test_no_reliability_is_a_failure_and_not_zero(score: Any) -> None:
    """Regression: an audit that could not be read counted as p = 0."""
    text = json.dumps({"p_score": score})
    failure(parse_audit(text), "invalid_p_score", text)


def test_an_audit_without_a_score_is_a_failure() -> None:
    failure(parse_audit("{}"), "invalid_p_score", "{}")
    failure(parse_audit('{"p_score": NaN}'), "invalid_p_score", '{"p_score": NaN}')
    failure(parse_audit("p_score: 1.0"), "invalid_json", "p_score: 1.0")


# Captions and premises


def test_a_caption_is_read_with_its_facts_and_doubts() -> None:
    text = '{"caption": " A plot. ", "key_facts": ["x = 1", " "], "uncertain": ["y"]}'
    assert parse_caption(f"Here it is: {text}") == Caption(
        caption="A plot.", key_facts=["x = 1"], uncertain=["y"]
    )


@pytest.mark.parametrize(
    ("fields", "facts", "doubts"),
    [
        ({"key_facts": ["f"], "uncertain": "none"}, ["f"], ["none"]),
        ({"key_facts": "f", "uncertain": ""}, ["f"], []),
        ({}, [], []),
    ],
)
def test_a_caption_may_have_texts_for_lists(
    fields: dict[str, Any], facts: list[str], doubts: list[str]
) -> None:
    """Regression: `"uncertain": "none"` stopped a whole run."""
    caption = parse_caption(json.dumps({"caption": "c", **fields}))
    assert caption == Caption(caption="c", key_facts=facts, uncertain=doubts)
    assert isinstance(caption, Caption)
    assert caption.to_text().startswith("c")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({}, "no_caption"),
        ({"caption": " ", "key_facts": [" "], "uncertain": ["u"]}, "no_caption"),
        ({"caption": None}, "invalid_caption"),
        ({"caption": "c", "key_facts": [1]}, "invalid_caption"),
        ({"caption": "c", "uncertain": {}}, "invalid_caption"),
    ],
)
def test_what_is_no_caption_is_a_failure(value: dict[str, Any], kind: str) -> None:
    text = json.dumps(value)
    failure(parse_caption(text), kind, text)


def test_premises_are_facts_or_nothing() -> None:
    text = '{"visual_dependencies": ["AB is 3", null, " null ", ""]}'
    assert parse_premises(text, 4) == ["AB is 3", None, None, None]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("none", "invalid_json"),
        ("{}", "invalid_premises"),
        ('{"visual_dependencies": "f"}', "invalid_premises"),
        ('{"visual_dependencies": [["f"]]}', "wrong_count"),
        ('{"visual_dependencies": ["f"]}', "wrong_count"),
        ('{"visual_dependencies": ["f", null, null]}', "wrong_count"),
    ],
)
def test_premises_are_one_a_step(text: str, kind: str) -> None:
    failure(parse_premises(text, 2), kind, text)
