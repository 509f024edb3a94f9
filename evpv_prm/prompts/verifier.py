"""What the verifier is asked: to describe, to audit and to judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import orjson

from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.markers import name_images
from evpv_prm.prompts.form import (
    Prompt,
    images_first,
    json_array,
    json_object,
    json_string,
    numbered,
)

VERDICTS = ("1", "-1")
"""The judge's verdicts: the step is right, the step is wrong."""

P_SCORES = [tenths / 10 for tenths in range(11)]
"""The reliabilities that the audit's rule can reach: 1 less halves and fifths, floored at 0."""

DESCRIBE = """\
Describe the picture(s) for somebody who has to check a solution of the question below without
seeing them. Write one paragraph: what kind of picture it is; every element with its labels and
values; how the elements relate to each other. State only what can be seen. Do not solve the
question.

Answer with one JSON object: {"image_description": "..."}"""

MAX_KEY_FACTS = 8

CAPTION = """\
Look at the picture(s) for somebody who has to check a solution of the question below step by step.
Give a caption of two to five sentences: what kind of picture it is, its elements and how they
relate to each other. Then list three to eight key facts that a solution can depend on, each a
single statement with its labels and values that can be checked by looking. What you cannot make
out for certain goes into "uncertain" instead. State only what can be seen. Do not solve the
question.

Answer with one JSON object:
{"caption": "...", "key_facts": ["...", ...], "uncertain": ["...", ...]}"""

CAPTION_SHORT = """\
Caption the picture(s) for the question below and list the key visual facts.

Answer with one JSON object:
{"caption": "...", "key_facts": ["...", ...], "uncertain": ["...", ...]}"""

AUDIT_TASK = """\
Below are a trusted description of the picture(s) and a checklist of visual facts that a solution
relies on. Find the facts that are wrong. A fact is wrong only if the description or the picture(s)
contradict it; a fact that merely goes unmentioned is not."""

AUDIT_CHECKS = """\
First check every fact of the checklist, in order, one check a fact. Give the fact as it stands; the
evidence is what the description says about the fact, in the same words; "holds" is false if the
fact is wrong and true if it is not."""

AUDIT_RULES = """\
For each wrong fact give the statement, the correction or the reason, and the severity: High if it
changes the outcome (a wrong value, object or relation), Low if it is a matter of wording or
precision. Things that the checklist fails to mention go into "omissions" and cost nothing.
The reliability p_score starts at 1.0; each High error takes 0.5 away, each Low error 0.2; it never
falls below 0.

Answer with one JSON object:"""

AUDIT_REPLY_CHECKS = """\
"checks": [{"fact": "...", "evidence": "...", "holds": true or false}, ...],
 """

AUDIT_REPLY = """\
"errors_and_hallucinations": [{"faulty_statement": "...", "correction_or_reason": "...",
 "severity": "High" or "Low"}, ...], "omissions": ["...", ...], "p_score": 0.0 to 1.0}"""

JUDGE = """\
You check a solution step by step. Below are the question, a trusted description of the picture(s)
and the steps so far. Judge the last step only: is it right, given the picture(s), the description
and the steps before it? A step is wrong if it misreads the picture, contradicts a known fact,
reasons or calculates badly, or builds on a wrong result."""

JUDGE_LENIENT = """\
You check a solution step by step. Below are the question, what is known of the picture(s) and the
steps so far. Judge the last step only. Give it the benefit of the doubt: it is right unless you are
sure that it contradicts the picture(s), a known fact or the steps before it."""

JUDGE_TEXT_ONLY = """\
You check a solution step by step. Below are the question and the steps so far. Rely on these texts
alone. Judge the last step only: is it right, given the question and the steps before it? A step is
wrong if it contradicts the question or a known fact, reasons or calculates badly, or builds on a
wrong result."""

JUDGE_VERDICT = """\
Answer with 1 if the last step is right and with -1 if it is wrong. Write nothing else."""

JUDGE_EVIDENCE = """\
First give the evidence. For a step that reads a fact: the fact as {source},
in the same words, whatever the step says. For a step that calculates or concludes: the right
result. Then give the verdict: 1 if the last step is right, -1 if it is wrong.

Answer with one JSON object: {{"evidence":"...","verdict":1 or -1}}"""

PREMISES = """\
Below are a question about the picture(s) and a solution in steps. For every step, name the visual
fact that the step relies on, as the solution itself has it: one sentence that somebody could check
by looking at the picture(s) alone. Take the fact from the step, right or wrong; do not correct it.
A step that only calculates, concludes or announces what follows has no visual fact: write null.

Answer with one JSON object that has one entry a step, in order:
{"visual_dependencies": ["..." or null, ...]}"""

JudgeRules = Literal["strict", "lenient", "text_only"]

JUDGE_RULES: Mapping[JudgeRules, str] = {
    "strict": JUDGE,
    "lenient": JUDGE_LENIENT,
    "text_only": JUDGE_TEXT_ONLY,
}
"""What the judge is told; the pipeline's own rules are the strict ones."""

_SOURCES: Mapping[JudgeRules, str] = {
    "strict": "the description or the picture(s) have it",
    "lenient": "the description or the picture(s) have it",
    "text_only": "the question has it",
}
"""Where the judge finds the fact that a step reads."""


def describe(question: str, images: int, *, max_characters: int) -> Prompt:
    """Ask the verifier for a description of a question's images."""
    body = f"{DESCRIBE}\n\nQuestion:\n{name_images(question, images)}"
    schema = json_object(image_description=json_string(max_characters))
    return images_first(images, body, json_schema=schema)


def audit(
    description: str,
    checklist: str,
    images: int,
    *,
    max_errors: int,
    max_characters: int,
    checks: int | None = None,
) -> Prompt:
    """Ask the verifier which facts of a candidate's checklist are wrong.

    With `checks`, the number of facts in the checklist, the reply begins with a check of each.
    """
    instructions = [AUDIT_TASK, *([] if checks is None else [AUDIT_CHECKS]), AUDIT_RULES]
    fields = AUDIT_REPLY if checks is None else AUDIT_REPLY_CHECKS + AUDIT_REPLY
    rules = "\n\n".join(instructions) + "\n{" + fields
    body = f"{rules}\n\nDescription:\n{description}\n\nChecklist:\n{checklist}"
    statement = json_string(max_characters)
    error = json_object(
        faulty_statement=statement,
        correction_or_reason=statement,
        severity={"enum": ["High", "Low"]},
    )
    check = json_object(fact=statement, evidence=statement, holds={"type": "boolean"})
    first = {} if checks is None else {"checks": json_array(check, checks, checks)}
    schema = json_object(
        **first,
        errors_and_hallucinations=json_array(error, 0, max_errors),
        omissions=json_array(statement, 0, max_errors),
        p_score={"enum": P_SCORES},
    )
    return images_first(images, body, json_schema=schema)


def caption(question: str, images: int, *, max_characters: int, short: bool = False) -> Prompt:
    """Ask the verifier for a caption of a question's images with their key facts.

    `short` asks in fewer words, for the ablation of the prompt.
    """
    body = f"{CAPTION_SHORT if short else CAPTION}\n\nQuestion:\n{name_images(question, images)}"
    statement = json_string(max_characters)
    schema = json_object(
        caption=statement,
        key_facts=json_array(statement, 0, MAX_KEY_FACTS),
        uncertain=json_array(statement, 0, MAX_KEY_FACTS),
    )
    return images_first(images, body, json_schema=schema)


def premises(question: str, steps: Sequence[str], images: int, *, max_characters: int) -> Prompt:
    """Ask the verifier for the visual fact behind every step of a solution, or null.

    It sees no image: the facts are to be the solution's own, and the audit finds out which of them
    are wrong. The number of images still names them in the question.
    """
    body = (
        f"{PREMISES}\n\nQuestion:\n{name_images(question, images)}\n\n"
        f"Solution ({len(steps)} steps):\n{numbered(steps)}"
    )
    fact = {"anyOf": [json_string(max_characters), {"type": "null"}]}
    schema = json_object(visual_dependencies=json_array(fact, len(steps), len(steps)))
    return images_first(0, body, json_schema=schema)


def judge(
    question: str,
    description: str | None,
    steps: Sequence[str],
    images: int,
    *,
    first: int,
    rules: JudgeRules = "strict",
    show_images: bool = True,
    reply: JudgeReply = VERDICT_ALONE,
) -> Prompt:
    """Ask the verifier whether the last of `steps` is right.

    `steps` are the previous ones that the judge sees and the one to judge; `first` is the number
    (from 1) of the first of them in the whole solution. Without `description` the prompt has no
    such part; without `show_images` it has no images, whose number still names them in the
    question.
    """
    described = "" if description is None else f"Description:\n{description}\n\n"
    number = first + len(steps) - 1
    if reply.has_evidence:
        answer = JUDGE_EVIDENCE.format(source=_SOURCES[rules])
        ask = f"Is step {number} right? Answer with the evidence, then 1 or -1."
    else:
        answer = JUDGE_VERDICT
        ask = f"Is step {number} right? Answer 1 or -1."
    body = (
        f"{JUDGE_RULES[rules]}\n\n{answer}\n\nQuestion:\n{name_images(question, images)}\n\n"
        f"{described}Steps:\n{numbered(steps, first)}\n\n{ask}"
    )
    shown = images if show_images else 0
    if not reply.has_evidence:
        return images_first(shown, body, choices=VERDICTS)
    schema = json_object(
        evidence=json_string(reply.max_evidence_characters), verdict={"enum": [1, -1]}
    )
    return images_first(shown, body, json_schema=schema)


def judge_answer(evidence: str | None, verdict: int, reply: JudgeReply) -> str:
    """Return what the judge is to say of a step whose `evidence` and verdict (1, -1) are known."""
    if not reply.has_evidence:
        return str(verdict)
    return orjson.dumps({"evidence": evidence, "verdict": verdict}).decode()
