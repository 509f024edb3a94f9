"""Every prompt of the pipeline, once.

Each function returns a `Prompt`: the messages and the schema or choices that the reply obeys.
The verifier's prompts begin with what their siblings share (images, then rules, question and
description) and end with what differs, so that an engine with a prefix cache computes the shared
part once. `VERSION` changes with any word here; provenance records it.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evpv_prm.engine.base import IMAGE, text
from evpv_prm.markers import name_images, place_images

VERDICTS = ("1", "-1")
"""What the judge may answer: the step is right, the step is wrong."""

P_SCORES = [tenths / 10 for tenths in range(11)]
"""The reliabilities that the audit's rule can reach: 1 less halves and fifths, floored at 0."""


@dataclass(frozen=True)
class Prompt:
    """A conversation and the form of its reply.

    The n-th image part stands for the question's image `image_order[n]` (from 0).
    """

    messages: Sequence[Mapping[str, Any]]
    image_order: Sequence[int]
    choices: Sequence[str] | None = None
    json_schema: Mapping[str, Any] | None = None


POLICY = """\
You solve a question about the picture(s) above or inside it. Reason in short steps, one idea each.
Some steps read something off a picture: a length, a label, a count, a colour, a relation. For such
a step, name that visual fact in one sentence that somebody could check by looking at the picture
alone. A step that only calculates or concludes has no visual fact: write null.

Answer with one JSON object:
{"reasoningprocess": [{"steptext": "...", "visualdependency": "..." or null}, ...],
 "finalanswer": "..."}
The final answer is the letter of the option when options are given, and otherwise the bare number
or word, without a unit."""

DESCRIBE = """\
Describe the picture(s) for somebody who has to check a solution of the question below without
seeing them. Write one paragraph: what kind of picture it is; every element with its labels and
values; how the elements relate to each other. State only what can be seen. Do not solve the
question.

Answer with one JSON object: {"image_description": "..."}"""

AUDIT = """\
Below are a trusted description of the picture(s) and a checklist of visual facts that a solution
relies on. Find the facts that are wrong. A fact is wrong only if the description or the picture(s)
contradict it; a fact that merely goes unmentioned is not.

For each wrong fact give the statement, the correction or the reason, and the severity: High if it
changes the outcome (a wrong value, object or relation), Low if it is a matter of wording or
precision. Things that the checklist fails to mention go into "omissions" and cost nothing.
The reliability p_score starts at 1.0; each High error takes 0.5 away, each Low error 0.2; it never
falls below 0.

Answer with one JSON object:
{"errors_and_hallucinations": [{"faulty_statement": "...", "correction_or_reason": "...",
 "severity": "High" or "Low"}, ...], "omissions": ["...", ...], "p_score": 0.0 to 1.0}"""

JUDGE = """\
You check a solution step by step. Below are the question, a trusted description of the picture(s)
and the steps so far. Judge the last step only: is it right, given the picture(s), the description
and the steps before it? A step is wrong if it misreads the picture, contradicts a known fact,
reasons or calculates badly, or builds on a wrong result.

Answer with 1 if the last step is right and with -1 if it is wrong. Write nothing else."""


def policy(
    question: str,
    images: int,
    *,
    max_steps: int,
    max_step_characters: int,
    letters: Sequence[str] = (),
) -> Prompt:
    """Ask the policy to solve a question in steps that name their visual facts.

    Images stand where the question's markers are, the others in front. Given `letters`, the final
    answer is one of them.
    """
    parts, order = place_images(question, images)
    content = [text(f"{POLICY}\n\nQuestion:\n"), *parts]
    step = _object(
        steptext=_string(max_step_characters),
        visualdependency={"anyOf": [_string(max_step_characters), {"type": "null"}]},
    )
    answer = {"enum": list(letters)} if letters else _string(200)
    schema = _object(reasoningprocess=_array(step, 1, max_steps), finalanswer=answer)
    return Prompt(_user(content), order, json_schema=schema)


def describe(question: str, images: int, *, max_characters: int) -> Prompt:
    """Ask the verifier for a description of a question's images."""
    body = f"{DESCRIBE}\n\nQuestion:\n{name_images(question, images)}"
    schema = _object(image_description=_string(max_characters))
    return _images_first(images, body, json_schema=schema)


def audit(
    description: str, checklist: str, images: int, *, max_errors: int, max_characters: int
) -> Prompt:
    """Ask the verifier which facts of a candidate's checklist are wrong."""
    body = f"{AUDIT}\n\nDescription:\n{description}\n\nChecklist:\n{checklist}"
    statement = _string(max_characters)
    error = _object(
        faulty_statement=statement,
        correction_or_reason=statement,
        severity={"enum": ["High", "Low"]},
    )
    schema = _object(
        errors_and_hallucinations=_array(error, 0, max_errors),
        omissions=_array(statement, 0, max_errors),
        p_score={"enum": P_SCORES},
    )
    return _images_first(images, body, json_schema=schema)


def judge(
    question: str, description: str, steps: Sequence[str], images: int, *, first: int
) -> Prompt:
    """Ask the verifier whether the last of `steps` is right.

    `steps` are the previous ones that the judge sees and the one to judge; `first` is the number
    (from 1) of the first of them in the whole solution.
    """
    numbered = "\n".join(f"Step {n}: {step}" for n, step in enumerate(steps, start=first))
    body = (
        f"{JUDGE}\n\nQuestion:\n{name_images(question, images)}\n\n"
        f"Description:\n{description}\n\nSteps:\n{numbered}\n\n"
        f"Is step {first + len(steps) - 1} right? Answer 1 or -1."
    )
    return _images_first(images, body, choices=VERDICTS)


def _images_first(images: int, body: str, **form: Any) -> Prompt:
    """Put all images before the text; several are numbered, as the question refers to them."""
    content: list[Mapping[str, str]] = []
    for number in range(1, images + 1):
        if images > 1:
            content.append(text(f"[image {number}]:"))
        content.append(IMAGE)
    return Prompt(_user([*content, text(body)]), range(images), **form)


def _user(content: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with exactly these fields, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: Mapping[str, Any], least: int, most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _string(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


VERSION = hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()[:12]
"""Changes with any word of this module."""
