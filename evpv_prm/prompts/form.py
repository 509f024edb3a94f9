"""What a prompt is, and the parts that prompts are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evpv_prm.engine.base import IMAGE, text


@dataclass(frozen=True)
class Prompt:
    """A conversation and the form of its reply.

    The n-th image part stands for the question's image `image_order[n]` (from 0).
    """

    messages: Sequence[Mapping[str, Any]]
    image_order: Sequence[int]
    choices: Sequence[str] | None = None
    json_schema: Mapping[str, Any] | None = None


def numbered(steps: Sequence[str], first: int = 1) -> str:
    """Return the steps one a line, numbered from `first`."""
    return "\n".join(f"Step {n}: {step}" for n, step in enumerate(steps, start=first))


def images_first(images: int, body: str, **form: Any) -> Prompt:
    """Put all images before the text; several are numbered, as the question refers to them."""
    content: list[Mapping[str, str]] = []
    for number in range(1, images + 1):
        if images > 1:
            content.append(text(f"[image {number}]:"))
        content.append(IMAGE)
    return Prompt(user([*content, text(body)]), range(images), **form)


def user(content: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return a conversation of one user turn."""
    return [{"role": "user", "content": list(content)}]


def json_object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these fields, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def json_array(items: Mapping[str, Any], least: int, most: int) -> dict[str, Any]:
    """Return the schema of an array of `least` to `most` items."""
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def json_string(longest: int) -> dict[str, Any]:
    """Return the schema of a text of 1 to `longest` characters."""
    return {"type": "string", "minLength": 1, "maxLength": longest}
