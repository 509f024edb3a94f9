"""What all metrics files share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]

OVERALL = "OVERALL"
"""The name of all that a file measures taken together; no part of it may have this name."""

_DECIMALS = 10  # the digits after these depend on the machine's order of summation


class Strict(BaseModel):
    """Base of all that stands in a metrics file: immutable, unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True
    )


def rounded(value: float) -> float:
    """Return a number as it stands in a file."""
    return round(float(value), _DECIMALS) + 0.0  # no negative zero
