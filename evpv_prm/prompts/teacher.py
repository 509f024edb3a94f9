"""What the teacher is asked, and the prompts of the reference's training."""

from __future__ import annotations

from collections.abc import Sequence

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
the first."""

STEP_EVIDENCE = """\
Before its score, give the evidence of each step. For a step that reads a fact: the fact as the
description has it, in the same words, whatever the step says. For a step that calculates or
concludes: the right result."""

STEP_RESULTS = """\
Answer with one JSON object:
{"question": the question's text, "Solution_steps": ["...", ...],
 "step_judge_result": [{"step": 1, "score": 1 or -1, "category": "..." or null,
 "subcategory": "..." or null}, ...]}
with one result a step, numbered from 1, in the order of the steps."""

STEP_RESULTS_WITH_EVIDENCE = STEP_RESULTS.replace('"step": 1, ', '"step": 1, "evidence": "...", ')

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


def teacher_describe(question: str, *, max_characters: int) -> Prompt:
    """Ask the teacher for a description of one image, given the question about it."""
    schema = json_object(
        question_text=json_string(len(question) + 200),
        image_description=json_string(max_characters),
    )
    body = f"{TEACHER_DESCRIBE}\n\nQuestion:\n{name_images(question, 1)}"
    return images_first(1, body, json_schema=schema)


def teacher_steps(
    question: str,
    description: str,
    steps: Sequence[str],
    *,
    label: str,
    step_labels: Sequence[str] | None,
    max_steps: int,
    reply: JudgeReply = VERDICT_ALONE,
) -> Prompt:
    """Ask the teacher which steps of a solution are wrong, and in what way.

    `label` is the solution's, "+" or "-". Without `step_labels`, one a step, the only entry of
    `steps` is a whole solution that the teacher divides into at most `max_steps` steps. It gives
    its evidence for each step where `reply`, the judge's that learns from it, has evidence.
    """
    question = name_images(question, 1)
    if step_labels is None:
        [solution] = steps
        count, limits, rule = "", (1, max_steps), UNDIVIDED
        longest = len(solution)
    else:
        solution = numbered(steps)
        count, limits, rule = f" ({len(steps)} steps)", (len(steps), len(steps)), GIVEN_STEPS
        longest = max(map(len, steps))
    parts = [TEACHER_STEPS, STEP_RESULTS]
    if reply.has_evidence:
        parts = [TEACHER_STEPS, STEP_EVIDENCE, STEP_RESULTS_WITH_EVIDENCE]
    instructions = "\n\n".join(parts)
    body = (
        f"{instructions}\n\n{rule}\n\nQuestion:\n{question}\n\n"
        f"Description:\n{description}\n\nSolution{count}:\n{solution}\n\nOverall label: {label}"
    )
    if step_labels is not None:
        body += (
            "\nLabels of the steps, estimated by sampling continuations, a hint at where the "
            f"solution goes wrong: {' '.join(step_labels)}"
        )
    evidence = {"evidence": json_string(reply.max_evidence_characters)}
    result = json_object(
        step={"type": "integer", "minimum": 1, "maximum": limits[1]},
        **(evidence if reply.has_evidence else {}),
        score={"enum": [1, -1]},
        category={"enum": [*CATEGORIES, None]},
        subcategory={"enum": [*SUBCATEGORIES, None]},
    )
    schema = json_object(
        question=json_string(len(question) + 200),
        Solution_steps=json_array(json_string(longest + 200), *limits),
        step_judge_result=json_array(result, *limits),
    )
    return images_first(1, body, json_schema=schema)


def noise(description: str, images: int = 1, *, max_errors: int, min_errors: int = 1) -> Prompt:
    """Ask the teacher for a description of images with `min_errors` to `max_errors` mistakes."""
    longest = 2 * len(description) + 200
    error = json_object(
        kind={"enum": list(CORRUPTIONS)},
        original=json_string(longest),
        replacement=json_string(longest),
    )
    schema = json_object(
        errors=json_array(error, min_errors, max_errors), image_description=json_string(longest)
    )
    number = f"{min_errors} to {max_errors}" if min_errors > 1 else f"no more than {max_errors}"
    body = f"{NOISE}\n\nMake {number}.\n\nDescription:\n{description}"
    return images_first(images, body, json_schema=schema)


def describe_freely() -> Prompt:
    """Ask for a description without a question, as the reference trains its verifier."""
    return images_first(1, DESCRIBE_FREELY)


def judge_all(question: str, description: str, steps: Sequence[str]) -> Prompt:
    """Ask for a judgement of all steps at once, as the reference trains its verifier."""
    body = (
        f"{JUDGE_ALL}\n\nQuestion:\n{name_images(question, 1)}\n\n"
        f"Description:\n{description}\n\nSteps:\n{numbered(steps)}"
    )
    return images_first(1, body)
