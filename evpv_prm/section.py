"""What configuration sections are made of, and the section that several others build on."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
"""A name that can stand in a path: letters, digits, '.', '_', '+', '-'."""

Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, numbers finite, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Decoding(Section):
    """How a reply is sampled."""

    temperature: float = Field(0.1, ge=0, description="Temperature, 0: greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus of the sampling")
    max_tokens: int = Field(2048, ge=1, description="Longest reply, in tokens")
