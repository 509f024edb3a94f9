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

CATEGORIES = (
    "visual_misinterpretation",
    "logical",
    "calculation",
    "knowledge",
    "incompleteness",
)
"""What can be wrong with a step, as in the paper's error analysis."""

SUBCATEGORIES = ("structural_misunderstanding", "value_misreading", "object_misidentification")
"""The kinds of visual misinterpretation, as in the paper's error analysis."""

CORRUPTIONS = ("number", "relation", "label", "count")
"""What an error in a description changes."""

TEACHER_DESCRIBE = """\
You are given a picture and the question that is asked about it. First copy the question's text
word for word. Then describe the picture in one paragraph, for somebody who has to check solutions
of the question without seeing it: what kind of picture it is; every element with its labels and
values; how the elements relate to each other. Dwell on what the question depends on. State only
what can be seen. Do not solve the question.

Answer with one JSON object: {"question_text": "...", "image_description": "..."}"""

TEACHER_STEPS = """\
You label a solution of the question below, step by step, as training data for a checker. You are
given the picture, a trusted description of it, the solution and its overall label: "+" means that
the solution is right, "-" that it is wrong.

Score each step 1 if it is right and -1 if it is wrong. With the label "+" every step is right.
With the label "-" at least one step is wrong: find the step or steps where the errors are made and
leave 1 at all others. For a wrong step give the category of its error:
- visual_misinterpretation: the picture is misread. Give the sub-category as well:
  structural_misunderstanding (how elements are arranged or related), value_misreading (a number,
  length, angle or label) or object_misidentification (what something is).
- logical: the conclusion does not follow.
- calculation: an arithmetic or algebraic slip.
- knowledge: a wrong theorem, formula or fact.
- incompleteness: something needed is missing.
For a right step category and subcategory are null; subcategory is null too for every category but
the first.

Answer with one JSON object:
{"question": the question's text, "Solution_steps": ["...", ...],
 "step_judge_result": [{"step": 1, "score": 1 or -1, "category": "..." or null,
 "subcategory": "..." or null}, ...]}
with one result a step, numbered from 1, in the order of the steps."""

GIVEN_STEPS = """\
The solution is given in numbered steps: copy their texts unchanged, without the numbers."""

UNDIVIDED = """\
The solution is given in one piece: divide it into steps of one idea each. Copy its text unchanged,
leave nothing out and add nothing."""

NOISE = """\
Below is a right description of the picture(s). Rewrite it with mistakes that a careless observer
could have made: change a number, a relation (such as left and right, longer and shorter, parallel
and perpendicular), a label or a count. Keep everything else word for word, and do not hint at the
mistakes.

Answer with one JSON object, with one entry a mistake in their order in the text:
{"errors": [{"kind": "number", "relation", "label" or "count", "original": the words replaced,
 "replacement": the wrong words}, ...], "image_description": the whole wrong description}"""

DESCRIBE_FREELY = """\
Describe this diagram in one paragraph: its type; all its elements with their labels and values; how
they relate to each other."""

JUDGE_ALL = """\
Judge every step of the solution below, given the question and a description of the picture. Answer
with a JSON list of {"step": number, "score": 1 or -1, "category": kind of error or null,
"subcategory": kind of visual error or null}, one entry a step."""


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
    body = (
        f"{JUDGE}\n\nQuestion:\n{name_images(question, images)}\n\n"
        f"Description:\n{description}\n\nSteps:\n{_numbered(steps, first)}\n\n"
        f"Is step {first + len(steps) - 1} right? Answer 1 or -1."
    )
    return _images_first(images, body, choices=VERDICTS)


def teacher_describe(question: str, *, max_characters: int) -> Prompt:
    """Ask the teacher for a description of one image, given the question about it."""
    schema = _object(
        question_text=_string(len(question) + 200),
        image_description=_string(max_characters),
    )
    body = f"{TEACHER_DESCRIBE}\n\nQuestion:\n{name_images(question, 1)}"
    return _images_first(1, body, json_schema=schema)


def teacher_steps(
    question: str,
    description: str,
    steps: Sequence[str],
    *,
    label: str,
    step_labels: Sequence[str] | None,
    max_steps: int,
) -> Prompt:
    """Ask the teacher which steps of a solution are wrong, and in what way.

    `label` is the solution's, "+" or "-". Without `step_labels`, one a step, the only entry of
    `steps` is a whole solution that the teacher divides into at most `max_steps` steps.
    """
    question = name_images(question, 1)
    if step_labels is None:
        [solution] = steps
        count, limits, rule = "", (1, max_steps), UNDIVIDED
        longest = len(solution)
    else:
        solution = _numbered(steps)
        count, limits, rule = f" ({len(steps)} steps)", (len(steps), len(steps)), GIVEN_STEPS
        longest = max(map(len, steps))
    body = (
        f"{TEACHER_STEPS}\n\n{rule}\n\nQuestion:\n{question}\n\n"
        f"Description:\n{description}\n\nSolution{count}:\n{solution}\n\nOverall label: {label}"
    )
    if step_labels is not None:
        body += (
            "\nLabels of the steps, estimated by sampling continuations, a hint at where the "
            f"solution goes wrong: {' '.join(step_labels)}"
        )
    result = _object(
        step={"type": "integer", "minimum": 1, "maximum": limits[1]},
        score={"enum": [1, -1]},
        category={"enum": [*CATEGORIES, None]},
        subcategory={"enum": [*SUBCATEGORIES, None]},
    )
    schema = _object(
        question=_string(len(question) + 200),
        Solution_steps=_array(_string(longest + 200), *limits),
        step_judge_result=_array(result, *limits),
    )
    return _images_first(1, body, json_schema=schema)


def noise(description: str, *, max_errors: int) -> Prompt:
    """Ask the teacher for a description of one image with up to `max_errors` mistakes."""
    longest = 2 * len(description) + 200
    error = _object(
        kind={"enum": list(CORRUPTIONS)},
        original=_string(longest),
        replacement=_string(longest),
    )
    schema = _object(errors=_array(error, 1, max_errors), image_description=_string(longest))
    body = f"{NOISE}\n\nMake no more than {max_errors}.\n\nDescription:\n{description}"
    return _images_first(1, body, json_schema=schema)


def describe_freely() -> Prompt:
    """Ask for a description without a question, as the reference trains its verifier."""
    return _images_first(1, DESCRIBE_FREELY)


def judge_all(question: str, description: str, steps: Sequence[str]) -> Prompt:
    """Ask for a judgement of all steps at once, as the reference trains its verifier."""
    body = (
        f"{JUDGE_ALL}\n\nQuestion:\n{name_images(question, 1)}\n\n"
        f"Description:\n{description}\n\nSteps:\n{_numbered(steps)}"
    )
    return _images_first(1, body)


def _numbered(steps: Sequence[str], first: int = 1) -> str:
    return "\n".join(f"Step {n}: {step}" for n, step in enumerate(steps, start=first))


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
