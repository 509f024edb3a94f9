"""The tables that a plan reads: rates (what a unit of a rule's work costs) and sizes of data sets.

They are CSV files in `profiles/`. A row whose basis is "estimate" was never measured; its last
column says how it was come by.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from evpv_prm.errors import InputError
from evpv_prm.jsonl import parse_record, write_text
from evpv_prm.workflow import PACKAGE

SHIPPED_RATES = PACKAGE.parent / "profiles" / "rates.csv"
SHIPPED_SIZES = PACKAGE.parent / "profiles" / "sizes.csv"

ANY_MODEL = "any"
"""Stands in a rate for a rule whose cost depends on no model."""


class Row(BaseModel):
    """A row of a table: every column is there, no other is, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rate(Row):
    """What one job of a rule costs, and each unit of its work: a candidate, a step, an image.

    `seconds` are those of the whole job, with all of its GPUs.
    """

    rule: str
    model: str
    unit: str
    job_seconds: float = Field(ge=0)
    job_bytes: float = Field(ge=0)
    seconds: float = Field(ge=0)
    calls: float = Field(ge=0)
    prompt_tokens: float = Field(ge=0)
    """Of one call; those that a cache holds count, too."""
    completion_tokens: float = Field(ge=0)
    """Of one call."""
    bytes: float = Field(ge=0)
    basis: Literal["measured", "estimate"]
    reasoning: str


class Size(Row):
    """How much of something there is, where its files are not at hand."""

    name: str
    count: float = Field(ge=0)
    basis: Literal["known", "estimate"]
    source: str


Rates = Mapping[tuple[str, str], Rate]
"""Rates by rule and by class of model."""


def read_rates(path: Path) -> Rates:
    """Read a table of rates.

    Raises:
        InputError: it cannot be read, or a row is not as `Rate` says.
    """
    rates = (parse_record(path, line, row, Rate) for line, row in _rows(path))
    return {(rate.rule, rate.model): rate for rate in rates}


def format_rates(rates: Iterable[Rate]) -> str:
    """Return the text of a table of rates."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(Rate.model_fields), lineterminator="\n")
    table.writeheader()
    table.writerows(rate.model_dump() for rate in rates)
    return text.getvalue()


def write_rates(path: Path, rates: Iterable[Rate]) -> None:
    """Write a table of rates, whole or not at all."""
    write_text(path, format_rates(rates))


def read_sizes(path: Path = SHIPPED_SIZES) -> dict[str, Size]:
    """Read a table of sizes, by name.

    Raises:
        InputError: it cannot be read, or a row is not as `Size` says.
    """
    sizes = (parse_record(path, line, row, Size) for line, row in _rows(path))
    return {size.name: size for size in sizes}


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        with path.open(newline="") as stream:
            return list(enumerate(csv.DictReader(stream), start=2))
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
