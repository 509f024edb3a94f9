"""Command-line flags from configuration sections, and back.

A section's fields are its command's flags: `--max-tokens` for `max_tokens`, `--judge-max-tokens`
for `max_tokens` of the nested section `judge`. One description serves both, and a rule turns its
part of the configuration into the command that anyone can type.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from evpv_prm.errors import UserError

SectionT = TypeVar("SectionT", bound=BaseModel)


def add_options(parser: argparse.ArgumentParser, section: type[BaseModel]) -> None:
    """Add a flag for every field of a section, nested sections included."""
    group = parser.add_argument_group((section.__doc__ or section.__name__).splitlines()[0])
    for path, field in _leaves(section):
        flag = _flag(path)
        options: dict[str, Any] = {
            "dest": _destination(section, path),
            "required": field.is_required(),
            "default": argparse.SUPPRESS,
            "help": _help(field),
        }
        if field.annotation is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
        else:
            options["nargs"] = "+" if get_origin(field.annotation) is list else None
            group.add_argument(flag, type=_reader(field), metavar=_metavar(field), **options)


def read_options(arguments: argparse.Namespace, section: type[SectionT]) -> SectionT:
    """Build the section from parsed arguments; flags that were not given take the defaults.

    Raises:
        UserError: flags that are right one by one do not go together.
    """
    given = vars(arguments)
    values: dict[str, Any] = {}
    for path, _ in _leaves(section):
        destination = _destination(section, path)
        if destination in given:
            _set(values, path, given[destination])
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise UserError(_describe(error)) from error


def _describe(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    path = [str(part) for part in problem["loc"]]
    return f"{_flag(path)}: {message}" if path else message


def render_options(options: BaseModel) -> list[str]:
    """Return the flags that say what differs from the section's defaults.

    `read_options` of these flags gives `options` again.
    """
    words: list[str] = []
    for path, field in _leaves(type(options)):
        value: Any = options
        for name in path:
            value = getattr(value, name)
        if not field.is_required() and value == _default(field):
            continue
        if value is None:
            words += [f"{_flag(path)}=null"]
        elif field.annotation is bool:
            words += [_flag(path) if value else _flag(("no", *path))]
        elif isinstance(value, list):
            words += [_flag(path), *map(str, value)]
        else:
            # With "=", a value may begin with a dash.
            words += [f"{_flag(path)}={_word(value)}"]
    return words


def _leaves(
    section: type[BaseModel], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _leaves(annotation, (*prefix, name))
        else:
            yield (*prefix, name), field


def _flag(path: Sequence[str]) -> str:
    return "--" + "-".join(path).replace("_", "-")


def _metavar(field: FieldInfo) -> str:
    annotation = field.annotation
    if get_origin(annotation) in (list, Union, UnionType):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return "{" + ",".join(get_args(annotation)) + "}"
    names: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}
    return names.get(annotation, "JSON")


def _destination(section: type[BaseModel], path: Sequence[str]) -> str:
    return ".".join((section.__name__, *path))


def _help(field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    if field.is_required():
        return text
    default = _default(field)
    shown = "none" if default in (None, [], {}, "") else _word(default).replace("%", "%%")
    return f"{text} (default: {shown})"


def _reader(field: FieldInfo) -> Any:
    """Return a parser of one word that says what is allowed when it refuses."""
    annotation = field.annotation
    if get_origin(annotation) is list:
        annotation, metadata = get_args(annotation)[0], []
    else:
        metadata = list(field.metadata)
    allowed: Any = Annotated[(annotation, *metadata)] if metadata else annotation
    adapter: TypeAdapter[Any] = TypeAdapter(allowed)

    def read(word: str) -> Any:
        value: Any = word
        if word == "null" and NoneType in get_args(annotation):
            value = None
        elif get_origin(annotation) is dict:
            try:
                value = json.loads(word)
            except json.JSONDecodeError:
                raise argparse.ArgumentTypeError(f"{word!r}: expected a JSON object") from None
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"]
            raise argparse.ArgumentTypeError(f"{word!r}: {message}") from None

    return read


def _word(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _set(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value
