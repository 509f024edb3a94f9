"""What the policy is asked: to solve a question in steps that name their visual facts."""

from __future__ import annotations

from collections.abc import Sequence

from evpv_prm.engine.base import text
from evpv_prm.markers import place_images
from evpv_prm.prompts.form import Prompt, json_array, json_object, json_string, user

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
    step = json_object(
        steptext=json_string(max_step_characters),
        visualdependency={"anyOf": [json_string(max_step_characters), {"type": "null"}]},
    )
    answer = {"enum": list(letters)} if letters else json_string(200)
    schema = json_object(reasoningprocess=json_array(step, 1, max_steps), finalanswer=answer)
    return Prompt(user(content), order, json_schema=schema)
