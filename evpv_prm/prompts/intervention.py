"""What the solver is asked when what it can see is taken away or described to it."""

from __future__ import annotations

from collections.abc import Sequence

from evpv_prm.markers import name_images
from evpv_prm.prompts.form import Prompt, images_first, json_object, json_string

SOLVE = """\
Solve the question below. It is about one or more pictures: you may be given the picture(s), a
description of them, both or neither. Rely on what you are given, and answer in any case, if need be
with what is most likely. Reason in short steps, one a line, each with its number: "Step 1: ...".

Answer with one JSON object: {"reasoning": "...", "final": "..."}
The final answer is the letter of the option when options are given, and otherwise the bare number
or word, without a unit."""


def solve(
    question: str,
    description: str | None,
    images: int,
    *,
    show_images: bool,
    max_characters: int,
    letters: Sequence[str] = (),
) -> Prompt:
    """Ask for a reasoning of at most `max_characters` and a final answer.

    Two prompts for one question differ in nothing but the images, which stand in front, and the
    description, None for none. Without `show_images` the number of the images still names them in
    the question. Given `letters`, the final answer is one of them.
    """
    described = "" if description is None else f"\n\nDescription:\n{description}"
    body = f"{SOLVE}\n\nQuestion:\n{name_images(question, images)}{described}"
    final = {"enum": list(letters)} if letters else json_string(200)
    schema = json_object(reasoning=json_string(max_characters), final=final)
    return images_first(images if show_images else 0, body, json_schema=schema)
