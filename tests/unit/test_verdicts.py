"""The judge's replies: verdicts, evidence, and the probability of a verdict."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import prompts
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.engine.base import Failure, Reply
from evpv_prm.verdicts import (
    VERDICT_KEY,
    Judgement,
    parse_judgement,
    parse_verdict,
    verdict_probability,
)

EVIDENCE = JudgeReply(judge_form="evidence_then_verdict")


def failure(result: Any, kind: str, text: str) -> None:
    assert isinstance(result, Failure)
    assert (result.kind, result.text) == (kind, text)


# Verdicts


@pytest.mark.parametrize("text", ["1", " 1\n", "+1", "1.", '"1"', "'1'", "(1)", "**1**", "`1`"])
def test_a_right_step(text: str) -> None:
    assert parse_verdict(text) == 1


@pytest.mark.parametrize(
    "text", ["-1", " -1 ", "−1", "–1", "－1", "-1.", '"-1"', "(-1)", "**-1**", "`-1`\n"]
)
def test_a_wrong_step(text: str) -> None:
    """Regression: a Unicode minus was read as a plus."""
    assert parse_verdict(text) == -1


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "0.1", "10", "2", "11", "-10", "-2", "1/2", "1.0", "-0.1", "100%", "--1",
        "Step 1 is wrong", "step 1", "correct", "true", "True", "wrong", "yes", "null", "NaN",
        "1 -1", "1 or -1", "-1 1", "1\n1", "[1, -1]", '{"score": 1}', "1e0", "one", "½", "¹", "①",
        "I'm sorry, but I cannot judge this.", "The last step is right: 1", "1 because it follows",
        "- 1", "-", "+", "±1", "1-", "x1", "1x",
    ],
)  # fmt: skip
def test_anything_else_is_no_verdict(text: str) -> None:
    """Regression: labels were invented for refusals, other numbers and mentions of a step."""
    failure(parse_verdict(text), "invalid_verdict", text)


@given(st.text() | st.text(st.sampled_from("01-+ .−*\"'()x")))
def test_a_verdict_says_one_and_nothing_else(text: str) -> None:
    result = parse_verdict(text)
    if isinstance(result, Failure):
        assert result.text == text
    else:
        digits = [c for c in text if c.isalnum()]
        assert digits == ["1"]
        assert any(minus in text for minus in "-−–—﹣－") == (result == -1)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", [" ", "*", "(", "1", "-", '"', ". "])
def test_a_long_reply_is_no_verdict_at_once(unit: str) -> None:
    text = "x" + unit * 1_000_000
    for reply in (text, text[1:] + "x"):
        failure(parse_verdict(reply), "invalid_verdict", reply)


# Probabilities


@given(st.floats(-20, 0), st.floats(-20, 0))
def test_probability_is_the_share_of_the_right_verdict(right: float, wrong: float) -> None:
    expected = math.exp(right) / (math.exp(right) + math.exp(wrong))
    for minus in ("-", "-1", "−"):
        probability = verdict_probability([{"1": right, minus: wrong, "The": -0.1}, {"1": 0.0}])
        assert probability == pytest.approx(expected)


def test_all_spellings_of_a_verdict_count() -> None:
    logprobs = {"1": math.log(0.2), " 1": math.log(0.2), "-": math.log(0.3), "-1": math.log(0.1)}
    assert verdict_probability([logprobs]) == pytest.approx(0.5)


def test_other_numbers_are_no_verdict() -> None:
    logprobs = {"1": math.log(0.1), "10": math.log(0.8), "-": math.log(0.1), "--": math.log(0.5)}
    assert verdict_probability([logprobs]) == pytest.approx(0.5)


def test_a_single_listed_verdict_is_certain() -> None:
    assert verdict_probability([{"1": -0.5}]) == 1.0
    assert verdict_probability([{"-": -0.5}]) == 0.0


@pytest.mark.parametrize(
    "logprobs", [None, [], [{}], [{"The": -0.1}], [{"1": -9999.0, "-": -9999.0}]]
)
def test_no_listed_verdict_is_no_probability(logprobs: Any) -> None:
    assert verdict_probability(logprobs) is None


# The probability behind evidence


def divided(text: str, head: Sequence[int], tail: Sequence[int]) -> list[str]:
    """The text in tokens that end at these places, the tail's counted from the verdict's key on."""
    key = text.rindex(VERDICT_KEY)
    places = {place % key for place in head} | {key + 1 + place for place in tail}
    ends = sorted({place for place in places if place < len(text)} | {0, len(text)})
    return [text[i:j] for i, j in itertools.pairwise(ends)]


def said_by(right: Sequence[str], wrong: Sequence[str], p: float, takes: int) -> list[Any]:
    """The log-probabilities of a model that says `right` with probability p and `wrong` else.

    It has taken the path to the verdict `takes`. Other tokens are next to impossible.
    """
    taken, other = (right, wrong) if takes == 1 else (wrong, right)
    share = p if takes == 1 else 1 - p
    positions: list[dict[str, float]] = []
    for index, token in enumerate(taken):
        if list(taken[:index]) == list(other[:index]) and index < len(other):
            chances = {token: 1.0} if token == other[index] else {token: share}
            if token != other[index]:
                chances[other[index]] = 1 - share
        else:
            chances = {token: 1.0}
        positions.append(
            {t: math.log(c) for t, c in chances.items()} | {"x": -40.0, "<end>": -50.0}
        )
    return [*positions, {"<end>": 0.0}]


spaces = st.sampled_from(["", " ", "\n "])
heads = st.lists(st.integers(0, 200), max_size=8)
tails = st.lists(st.integers(0, 16), max_size=8)
evidences = st.text(max_size=20) | st.sampled_from(
    ['AB is "5"', '"verdict":-1', '{"verdict": 1}', "verdict", "-1", "1", "\\\\"]
)
shares = st.floats(0.01, 0.99)


@given(evidences, spaces, heads, tails, tails, shares, st.sampled_from([1, -1]))
def test_the_probability_is_found_however_the_reply_is_divided(
    evidence: str,
    space: str,
    head: list[int],
    ours: list[int],
    theirs: list[int],
    p: float,
    takes: int,
) -> None:
    """A tokenizer divides each of the two replies in one way; the model chooses between them."""
    start = f'{{"evidence":{json.dumps(evidence, ensure_ascii=False)},{space}"verdict":{space}'
    right, wrong = divided(f"{start}1}}", head, ours), divided(f"{start}-1}}", head, theirs)
    whole = Reply("", said_by(right, wrong, p, takes))
    assert verdict_probability(whole.logprobs) == pytest.approx(p)
    kept = whole.with_logprobs_from(VERDICT_KEY)
    assert verdict_probability(kept.logprobs) == pytest.approx(p)
    assert len(kept.logprobs or ()) <= len(f'"verdict":{space}-1}}') + 1
    assert all(value > -20 for position in kept.logprobs or () for value in position.values())


def tokens(*positions: dict[str, float]) -> list[dict[str, float]]:
    return [{t: math.log(p) for t, p in position.items()} for position in positions]


BEGINNING = (
    {'{"': 1.0},
    {"evidence": 1.0},
    {'":"': 1.0},
    {"5": 1.0},
    {'","': 1.0},
    {"verdict": 1.0},
)


@pytest.mark.parametrize(
    ("rest", "p"),
    [
        ([{'":': 1.0}, {"1": 0.7, "-": 0.3}, {"}": 1.0}], 0.7),
        ([{'":': 1.0}, {"-": 0.3, "1": 0.7}, {"1": 1.0}, {"}": 1.0}], 0.7),
        ([{'":': 1.0}, {"1}": 0.6, "-": 0.3, "1": 0.1}], 0.7),
        ([{'":': 0.7, '":-': 0.3}, {"1": 1.0}, {"}": 1.0}], 0.7),
        ([{'":-': 0.3, '":': 0.7}, {"1": 1.0}, {"}": 1.0}], 0.7),
        ([{'":': 0.5, '":-': 0.2, '":1': 0.1, "x": 0.2}, {"1": 0.6, "-": 0.4}], 0.4 / 0.8),
        ([{'":': 1.0}, {" -": 0.3, " ": 0.7}, {"1": 1.0}, {"}": 1.0}], 0.7),
        ([{'":': 1.0}, {" ": 0.7, " -": 0.3}, {"1": 1.0}, {"}": 1.0}], 0.7),
        ([{'":1}': 0.7, '":-': 0.3}], 0.7),
        ([{'":-1}': 0.3, '":1}': 0.7}], 0.7),
        ([{'":': 1.0}, {"1": 0.7, "-": 0.2, "−": 0.1, "0": 0.5}, {"}": 1.0}], 0.7),
        ([{'"': 1.0}, {" : ": 1.0}, {'"': 1.0}, {"1": 0.7, "-1": 0.3}, {'"}': 1.0}], 0.7),
    ],
)
def test_a_verdict_may_begin_inside_a_token(rest: list[dict[str, float]], p: float) -> None:
    assert verdict_probability(tokens(*BEGINNING, *rest)) == pytest.approx(p)


def test_what_the_evidence_says_is_no_verdict() -> None:
    """The text before the verdict may say anything."""
    said = [*BEGINNING[:3], {"1": 0.9, "-": 0.1}, {' \\"verdict\\":': 1.0}, {"-": 0.6, "1": 0.4}]
    rest = [{'","': 1.0}, {"verdict": 1.0}, {'":': 1.0}, {"1": 0.8, "-": 0.2}, {"}": 1.0}]
    assert verdict_probability(tokens(*said, *rest)) == pytest.approx(0.8)


@pytest.mark.parametrize(
    "rest", [[], [{'":': 1.0}], [{'":': 1.0}, {"0": 1.0}, {"}": 1.0}], [{'":': 1.0}, {"tr": 1.0}]]
)
def test_without_a_verdict_there_is_no_probability(rest: list[dict[str, float]]) -> None:
    assert verdict_probability(tokens(*BEGINNING, *rest)) is None


def test_nothing_is_kept_of_a_reply_that_does_not_say_the_text() -> None:
    reply = Reply("I cannot", tokens({"I": 1.0}, {" cannot": 1.0}))
    assert reply.with_logprobs_from(VERDICT_KEY).logprobs is None
    assert Reply("text").with_logprobs_from(VERDICT_KEY) == Reply("text")


# Evidence


@given(st.text(), st.sampled_from([1, -1]))
def test_the_judge_is_read_as_it_learns_to_answer(evidence: str, verdict: int) -> None:
    for form, expected in ((VERDICT_ALONE, None), (EVIDENCE, evidence.strip() or None)):
        text = prompts.judge_answer(evidence, verdict, form)
        assert parse_judgement(text, form) == Judgement(1 if verdict == 1 else -1, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"evidence": " AB is 5 ", "verdict": -1}', Judgement(-1, "AB is 5")),
        ('Well:\n```json\n{"verdict": "1", "evidence": "e"}\n```', Judgement(1, "e")),
        ('{"verdict": 1}', Judgement(1, None)),
        ('{"evidence": null, "verdict": -1}', Judgement(-1, None)),
        ('{"evidence": ["e"], "verdict": "−1"}', Judgement(-1, None)),
    ],
)
def test_evidence_and_verdict_are_read_from_free_text(text: str, expected: Judgement) -> None:
    assert parse_judgement(text, EVIDENCE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1", "-1", "", "AB is 5, so 1", '{"evidence": "e"}', '{"evidence": "e", "verdict": 0}',
        '{"evidence": "e", "verdict": true}', '{"evidence": "e", "verdict": 1.0}',
        '{"evidence": "e", "verdict": null}', '{"evidence": "e", "verdict": [1]}',
        '{"evidence": "e", "verdict": "right"}', '{"evidence": "e", "verdict": 1', "[1]",
    ],
)  # fmt: skip
def test_a_reply_without_verdict_is_a_failure(text: str) -> None:
    failure(parse_judgement(text, EVIDENCE), "invalid_verdict", text)


def test_evidence_is_no_bare_verdict() -> None:
    text = prompts.judge_answer("e", 1, EVIDENCE)
    failure(parse_judgement(text, VERDICT_ALONE), "invalid_verdict", text)
