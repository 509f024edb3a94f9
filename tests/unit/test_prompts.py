"""Prompts: what they hold, what they share, what their replies look like."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import prompts
from evpv_prm.config_judge import JudgeReply
from evpv_prm.engine.base import IMAGE
from evpv_prm.parsing import parse_audit, parse_candidate, parse_description
from evpv_prm.prompts import Prompt
from evpv_prm.records import Candidate

texts = st.text(min_size=1)
step_lists = st.lists(texts, min_size=1, max_size=6)
counts = st.integers(1, 4)


def parts(prompt: Prompt) -> Sequence[Any]:
    (message,) = prompt.messages
    assert message["role"] == "user"
    content = message["content"]
    assert isinstance(content, list)
    return content


def flat(prompt: Prompt) -> str:
    """The text as a model reads it, an image being one character that no text holds."""
    return "".join("\0" if part == IMAGE else part["text"] for part in parts(prompt))


def policy(question: str, images: int, **options: Any) -> Prompt:
    return prompts.policy(question, images, max_steps=3, max_step_characters=50, **options)


VERDICT = JudgeReply()
EVIDENCE = JudgeReply(judge_form="evidence_then_verdict", max_evidence_characters=30)
forms = st.sampled_from([VERDICT, EVIDENCE])


def judge(
    steps: Sequence[str],
    first: int = 1,
    images: int = 1,
    question: str = "Q?",
    **options: Any,
) -> Prompt:
    return prompts.judge(question, "DESC", steps, images, first=first, **options)


def describe(question: str = "Q?", images: int = 1) -> Prompt:
    return prompts.describe(question, images, max_characters=100)


def audit(
    checklist: str = "- f", images: int = 1, description: str = "DESC", **options: Any
) -> Prompt:
    return prompts.audit(description, checklist, images, max_errors=2, max_characters=30, **options)


def teacher_steps(steps: Sequence[str] = ("s", "t"), **options: Any) -> Prompt:
    form = {"label": "-", "step_labels": ["+", "-"], "max_steps": 3} | options
    return prompts.teacher_steps("Q?", "DESC", steps, **form)


def caption(question: str = "Q?", images: int = 1, short: bool = False) -> Prompt:
    return prompts.caption(question, images, max_characters=30, short=short)


def premises(steps: Sequence[str], images: int = 1, question: str = "Q?") -> Prompt:
    return prompts.premises(question, steps, images, max_characters=30)


def solve(description: str | None = None, shown: bool = True, **options: Any) -> Prompt:
    form = {"question": "Q?", "images": 1, "max_characters": 30} | options
    return prompts.solve(description=description, show_images=shown, **form)


ALL = [
    policy("Q?", 1),
    describe(),
    audit(),
    audit(checks=1),
    judge(["s"]),
    judge(["s"], reply=EVIDENCE),
    teacher_steps(),
    teacher_steps(reply=EVIDENCE),
    caption(),
    premises(["s"]),
    solve(),
]


# What replies look like


@pytest.mark.parametrize("prompt", ALL)
def test_a_reply_has_one_form(prompt: Prompt) -> None:
    assert (prompt.choices is None) != (prompt.json_schema is None)
    if prompt.json_schema is not None:
        jsonschema.Draft202012Validator.check_schema(prompt.json_schema)


def test_the_judge_answers_right_or_wrong() -> None:
    assert list(judge(["s"]).choices or ()) == ["1", "-1"]


def test_a_judge_with_evidence_gives_it_before_the_verdict() -> None:
    prompt = judge(["s"], reply=EVIDENCE)
    assert list((prompt.json_schema or {})["properties"]) == ["evidence", "verdict"]
    for verdict in (1, -1):
        assert valid(prompt, {"evidence": "e" * 30, "verdict": verdict})
    for bad in (
        {"evidence": "e" * 31, "verdict": 1},
        {"evidence": "", "verdict": 1},
        {"evidence": "e", "verdict": "1"},
        {"evidence": "e", "verdict": 0},
        {"verdict": 1},
        {"evidence": "e"},
    ):
        assert not valid(prompt, bad), bad


def test_the_judge_learns_to_say_what_its_prompt_asks_for() -> None:
    assert prompts.judge_answer("unused", -1, VERDICT) == "-1"
    answer = prompts.judge_answer('AB is "5" cm – √2', 1, EVIDENCE)
    assert answer == r'{"evidence":"AB is \"5\" cm – √2","verdict":1}'
    assert '{"evidence":"...","verdict":1 or -1}' in flat(judge(["s"], reply=EVIDENCE))


@pytest.mark.parametrize("rules", ["strict", "lenient", "text_only"])
def test_the_form_changes_the_answer_and_nothing_before_or_after(rules: Any) -> None:
    plain, evidence = (flat(judge(["s"], rules=rules, reply=form)) for form in (VERDICT, EVIDENCE))
    head, _, rest = plain.partition("Answer with 1 if")
    assert evidence.startswith(head + "First give the evidence.")
    body = rest[rest.index("\n\nQuestion:") : rest.rindex("Answer 1 or -1.")]
    assert evidence.endswith(f"{body}Answer with the evidence, then 1 or -1.")
    if rules == "text_only":
        assert "picture" not in evidence
        assert "description" not in evidence


def valid(prompt: Prompt, reply: Any) -> bool:
    assert prompt.json_schema is not None
    return bool(jsonschema.Draft202012Validator(prompt.json_schema).is_valid(reply))


def test_a_policy_reply_is_a_candidate() -> None:
    prompt = policy("Q?", 1)
    step = {"steptext": "s", "visualdependency": "f"}
    good = {"reasoningprocess": [step, {**step, "visualdependency": None}], "finalanswer": "4"}
    assert valid(prompt, good)
    for bad in (
        {**good, "reasoningprocess": []},
        {**good, "reasoningprocess": [step] * 4},
        {**good, "reasoningprocess": [{"steptext": "s"}]},
        {**good, "reasoningprocess": [{**step, "steptext": "s" * 51}]},
        {**good, "reasoningprocess": [{**step, "visualdependency": "f" * 51}]},
        {**good, "finalanswer": ""},
        {**good, "more": 1},
        {"reasoningprocess": [step]},
    ):
        assert not valid(prompt, bad), bad


def test_letters_are_the_only_answers_where_they_are_given() -> None:
    step = {"steptext": "s", "visualdependency": None}
    prompt = policy("Q?", 1, letters=["A", "B"])
    assert valid(prompt, {"reasoningprocess": [step], "finalanswer": "B"})
    assert not valid(prompt, {"reasoningprocess": [step], "finalanswer": "C"})


def test_a_description_has_a_longest_length() -> None:
    assert valid(describe(), {"image_description": "d" * 100})
    assert not valid(describe(), {"image_description": "d" * 101})
    assert not valid(describe(), {"image_description": ""})


def test_an_audit_reaches_every_reliability_of_its_rule_and_lists_few_errors() -> None:
    error = {"faulty_statement": "f", "correction_or_reason": "r", "severity": "High"}
    reply = {"errors_and_hallucinations": [error], "omissions": ["o"], "p_score": 0.5}
    reachable = {
        round(max(0.0, 1 - 0.5 * high - 0.2 * low), 1) for high in range(4) for low in range(6)
    }
    assert all(valid(audit(), {**reply, "p_score": p}) for p in reachable)
    assert not valid(audit(), {**reply, "p_score": 1.1})
    assert not valid(audit(), {**reply, "p_score": -0.1})
    assert not valid(audit(), {**reply, "errors_and_hallucinations": [error] * 3})
    assert not valid(audit(), {**reply, "omissions": ["o" * 31]})
    assert not valid(
        audit(), {**reply, "errors_and_hallucinations": [{**error, "faulty_statement": "f" * 31}]}
    )
    assert not valid(
        audit(), {**reply, "errors_and_hallucinations": [{**error, "severity": "Medium"}]}
    )


def test_a_check_stands_for_each_fact_of_the_checklist() -> None:
    rest: dict[str, Any] = {"errors_and_hallucinations": [], "omissions": [], "p_score": 1.0}
    check = {"fact": "f" * 30, "evidence": "e" * 30, "holds": True}
    prompt = audit("- f\n- g", checks=2)
    assert list((prompt.json_schema or {})["properties"]) == ["checks", *rest]
    assert valid(prompt, {"checks": [check, {**check, "holds": False}], **rest})
    for bad in ([check], [check] * 3, [check, {**check, "evidence": "e" * 31}], [check, {}]):
        assert not valid(prompt, {"checks": bad, **rest}), bad
    assert not valid(prompt, rest)
    assert not valid(audit("- f\n- g"), {"checks": [check] * 2, **rest})
    assert '"checks"' not in flat(audit())


def test_the_teacher_gives_evidence_where_the_judge_is_to_learn_it() -> None:
    result: dict[str, Any] = {"step": 1, "score": 1, "category": None, "subcategory": None}
    evidence = {"evidence": "e" * 30}
    reply: dict[str, Any] = {"question": "Q?", "Solution_steps": ["s", "t"]}
    for form, more, other in ((VERDICT, {}, evidence), (EVIDENCE, evidence, {})):
        prompt = teacher_steps(reply=form)
        assert ('"evidence"' in flat(prompt)) == form.has_evidence
        assert valid(prompt, {**reply, "step_judge_result": [result | more] * 2})
        assert not valid(prompt, {**reply, "step_judge_result": [result | other] * 2})
    long = {"evidence": "e" * 31}
    prompt = teacher_steps(reply=EVIDENCE)
    assert not valid(prompt, {**reply, "step_judge_result": [result | long] * 2})


def test_the_examples_in_the_prompts_name_what_the_parsers_read() -> None:
    assert isinstance(
        parse_candidate('{"reasoningprocess": [{"steptext": "s"}], "finalanswer": "1"}'), Candidate
    )
    for prompt, names in (
        (policy("Q?", 1), ["reasoningprocess", "steptext", "visualdependency", "finalanswer"]),
        (describe(), ["image_description"]),
        (audit(), ["errors_and_hallucinations", "faulty_statement", "severity", "p_score"]),
        (audit(checks=1), ["checks", "fact", "evidence", "holds", "p_score"]),
        (judge(["s"], reply=EVIDENCE), ["evidence", "verdict"]),
    ):
        assert [name for name in names if f'"{name}"' not in flat(prompt)] == []
        assert set(prompt.json_schema["required"]) <= set(  # type: ignore[index]
            re.findall(r'"(\w+)":', flat(prompt))
        )
    assert parse_description('{"image_description": "d"}') == "d"
    assert parse_audit('{"p_score": 0.5}') == ({"p_score": 0.5}, 0.5)


# What prompts hold


@given(texts, texts, step_lists, counts, st.integers(1, 30), forms)
def test_a_prompt_holds_its_inputs(
    question: str, description: str, steps: list[str], images: int, first: int, form: JudgeReply
) -> None:
    judged = flat(prompts.judge(question, description, steps, images, first=first, reply=form))
    numbered = "\n".join(f"Step {number}: {step}" for number, step in enumerate(steps, start=first))
    ask = "Answer with the evidence, then 1 or -1." if form.has_evidence else "Answer 1 or -1."
    assert judged.endswith(
        f"\n\nQuestion:\n{question}\n\nDescription:\n{description}\n\n"
        f"Steps:\n{numbered}\n\nIs step {first + len(steps) - 1} right? {ask}"
    )
    assert question in flat(describe(question, images))
    audited = flat(audit(steps[0], images, description))
    assert description in audited
    assert steps[0] in audited
    assert question in flat(policy(question, images))


@given(counts)
def test_the_verifier_sees_all_images_first_in_order(images: int) -> None:
    for prompt in (describe("Q?", images), audit("- f", images), judge(["s"], images=images)):
        assert list(prompt.image_order) == list(range(images))
        assert [part == IMAGE for part in parts(prompt)].count(True) == images
        assert parts(prompt)[-1] != IMAGE
        heads = "".join(f"[image {n}]:\0" for n in range(1, images + 1)) if images > 1 else "\0"
        assert flat(prompt).startswith(heads)


def test_markers_place_the_images_of_the_policy() -> None:
    prompt = policy("Compare <image 2> with <image1>, then <image 2>.", 3)
    assert list(prompt.image_order) == [2, 1, 0]
    assert flat(prompt).endswith("Question:\n\0Compare \0 with \0, then [image 2].")


@pytest.mark.parametrize(
    "question", ["What is in <image1>?", "<image 1> or <image 2>?", "<image>Is it so?", "<IMAGE1>"]
)
@pytest.mark.parametrize("images", [1, 2])
def test_no_marker_is_left(question: str, images: int) -> None:
    for prompt in (policy(question, images), describe(question, images)):
        assert "<image" not in flat(prompt).lower()
    assert "<image" not in flat(judge(["s"], images=images, question=question)).lower()


@given(texts, st.none() | texts, counts, st.booleans())
def test_the_solver_is_given_the_same_but_for_images_and_description(
    question: str, description: str | None, images: int, shown: bool
) -> None:
    prompt = solve(description, shown, question=question, images=images)
    plain = flat(solve(None, False, question=question, images=images))
    assert list(prompt.image_order) == (list(range(images)) if shown else [])
    described = "" if description is None else f"\n\nDescription:\n{description}"
    assert flat(prompt).endswith(plain + described)
    assert flat(prompt).count("\0") - question.count("\0") - (description or "").count("\0") == (
        images if shown else 0
    )


def test_a_solution_has_a_longest_length_and_letters_where_they_are_given() -> None:
    assert valid(solve(), {"reasoning": "r" * 30, "final": "4"})
    assert not valid(solve(), {"reasoning": "r" * 31, "final": "4"})
    assert not valid(solve(), {"reasoning": "r", "final": ""})
    assert valid(solve(letters=["A", "B"]), {"reasoning": "r", "final": "B"})
    assert not valid(solve(letters=["A", "B"]), {"reasoning": "r", "final": "C"})


def test_the_number_of_mistakes_is_told_and_held_to() -> None:
    error = {"kind": "number", "original": "1", "replacement": "2"}
    few, several = (prompts.noise("1", 2, max_errors=3, min_errors=n) for n in (1, 2))
    assert "Make no more than 3." in flat(few)
    assert "Make 2 to 3." in flat(several)
    assert list(several.image_order) == [0, 1]
    assert valid(few, {"errors": [error], "image_description": "2"})
    assert not valid(several, {"errors": [error], "image_description": "2"})


# What prompts share


@given(step_lists.filter(lambda steps: len(steps) > 1), counts, forms)
def test_judgements_share_all_up_to_the_end_of_the_earlier_step(
    steps: list[str], images: int, form: JudgeReply
) -> None:
    for length in range(1, len(steps)):
        earlier = flat(judge(steps[:length], images=images, reply=form))
        later = flat(judge(steps[: length + 1], images=images, reply=form))
        history = "\n".join(f"Step {n}: {s}" for n, s in enumerate(steps[:length], start=1))
        shared = earlier[: earlier.rindex("Steps:\n" + history) + len("Steps:\n" + history)]
        assert later.startswith(shared)
        assert later[len(shared) :].startswith(f"\nStep {length + 1}: {steps[length]}")


@given(step_lists, step_lists)
def test_judgements_of_two_candidates_share_all_up_to_their_steps(
    ours: list[str], theirs: list[str]
) -> None:
    one, other = flat(judge(ours)), flat(judge(theirs))
    shared = one[: one.rindex("Steps:\nStep 1: " + ours[0]) + len("Steps:\nStep 1: ")]
    assert other.startswith(shared)


@given(texts, texts)
def test_audits_of_two_checklists_share_all_before_the_checklist(ours: str, theirs: str) -> None:
    one, other = flat(audit(ours)), flat(audit(theirs))
    assert one.endswith(f"Checklist:\n{ours}")
    assert other.startswith(one[: len(one) - len(ours)])


@given(texts, texts, counts)
def test_policy_prompts_share_the_instructions(ours: str, theirs: str, images: int) -> None:
    shared = f"{prompts.POLICY}\n\nQuestion:\n"
    assert flat(policy(ours, images)).startswith(shared)
    assert flat(policy(theirs, images)).startswith(shared)


def test_steps_keep_their_numbers_when_the_first_are_left_out() -> None:
    text = flat(judge(["twelfth", "thirteenth"], first=12))
    assert "Steps:\nStep 12: twelfth\nStep 13: thirteenth\n" in text
    assert "step 13 right?" in text


# Captions and premises


def test_a_caption_reply_has_facts_and_doubts() -> None:
    reply = {"caption": "c", "key_facts": ["f"], "uncertain": []}
    assert valid(caption(), reply)
    assert valid(caption(short=True), {**reply, "key_facts": [], "uncertain": ["u"] * 8})
    for bad in (
        {**reply, "caption": ""},
        {**reply, "caption": "c" * 31},
        {**reply, "key_facts": ["f" * 31]},
        {**reply, "key_facts": ["f"] * 9},
        {"caption": "c", "key_facts": []},
    ):
        assert not valid(caption(), bad), bad
    assert flat(caption()) != flat(caption(short=True))


@given(texts, counts)
def test_a_caption_prompt_ends_with_the_question(question: str, images: int) -> None:
    prompt = caption(question, images)
    assert flat(prompt).count("\0") == images + question.count("\0")
    assert list(prompt.image_order) == list(range(images))


def test_premises_are_one_a_step_and_see_no_image() -> None:
    prompt = premises(["s", "t"], images=2, question="Is <image 2> it?")
    assert valid(prompt, {"visual_dependencies": ["f", None]})
    for bad in (["f"], ["f", None, None], ["f" * 31, None], ["", None]):
        assert not valid(prompt, {"visual_dependencies": bad}), bad
    assert list(prompt.image_order) == []
    assert "Is [image 2] it?" in flat(prompt)


# The version


def version(package: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    spec = spec_from_file_location(package.name, package / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, package.name, module)
    spec.loader.exec_module(module)
    return str(module.VERSION)


def test_the_version_changes_with_any_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copied_prompts"
    shutil.copytree(Path(prompts.__file__).parent, copy)
    assert version(copy, monkeypatch) == prompts.VERSION
    file = copy / "verifier.py"
    source = file.read_text()
    changed = source.replace("State only what can be seen.", "State what can be seen.")
    assert changed != source
    file.write_text(changed)
    assert version(copy, monkeypatch) != prompts.VERSION
