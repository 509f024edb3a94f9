"""In what a run's configuration differs from the paper's experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from evpv_prm.config import Config
from evpv_prm.metrics.rendering import MISSING, Table
from evpv_prm.section import Section


def differences(config: Config) -> Table:
    """Lay out every key whose value is not the paper's, the default.

    A benchmark or a policy that only one of the two has is one row.
    """
    rows = list(_differences("", Config(), config))
    notes = [] if rows else ["None: this is the paper's experiment."]
    return Table(
        "Configuration, where it is not the paper's", ["Key", "Paper", "Here"], rows, 3, notes
    )


def _differences(key: str, paper: Any, here: Any) -> Iterator[list[str]]:
    if isinstance(paper, Section) and isinstance(here, Section):
        for name in type(paper).model_fields:
            yield from _differences(_join(key, name), getattr(paper, name), getattr(here, name))
    elif isinstance(paper, Mapping) and isinstance(here, Mapping):
        for name in dict.fromkeys((*paper, *here)):
            yield from _differences(_join(key, name), paper.get(name), here.get(name))
    elif paper != here:
        yield [key, _text(paper), _text(here)]


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _text(value: Any) -> str:
    """Write a value in a line; of a section, what is not its default."""
    if value is None:
        return MISSING
    if isinstance(value, str):
        return value or "“”"
    if isinstance(value, Section):
        own = value.model_dump(mode="json", exclude_defaults=True)
        return ", ".join(_text_of(own))
    return orjson.dumps(value, default=_plain).decode()


def _text_of(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _text_of(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}: {_text(value)}"


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.model_dump(mode="json")
    raise TypeError(type(value).__name__)
