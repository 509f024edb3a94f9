"""Types in words, for the generated pages."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

Link = Callable[[type[BaseModel]], str]

NAMES: dict[Any, str] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    Any: "anything",
    NoneType: "null",
}


def type_name(annotation: Any, link: Link = attrgetter("__name__")) -> str:
    """Return the JSON values that an annotation allows, in words; `link` gives those of a model."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(arguments[0], link)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is list:
        return f"list of {_grouped(type_name(arguments[0], link))}"
    if origin is tuple:
        return f"[{', '.join(type_name(each, link) for each in arguments)}]"
    if origin is dict:
        key, value = arguments
        by = f" by {type_name(key, link)}" if get_origin(key) is Literal else ""
        of = "" if value is Any else f" of {_grouped(type_name(value, link))}"
        return f"mapping{of}{by}"
    if arguments:
        return " or ".join(type_name(each, link) for each in arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return link(annotation)
    return NAMES[annotation]


def _grouped(words: str) -> str:
    return f"({words})" if " or " in words or " by " in words else words
