"""How the models that the trainings make one after the other are compared."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from evpv_prm.section import Section


class StageGains(Section):
    """What each training adds: the verifier's base and the model after each training compared."""

    facts: str | None = Field(
        None,
        description="JSONL file of questions with all facts of their pictures, which only a "
        "synthetic world has; null: the models judge the labelled solutions alone",
    )
    images: str | None = Field(
        None, description="Folder that the image paths in `facts` are relative to"
    )
    limit: int | None = Field(
        None,
        ge=1,
        description="Take so many questions and so many solutions, spread over their files; null: "
        "all",
    )
    bootstrap_samples: int = Field(
        2000, ge=1, description="Bootstrap resamples behind every 95 % interval"
    )

    @model_validator(mode="after")
    def _facts_have_images(self) -> Self:
        if (self.facts is None) != (self.images is None):
            raise ValueError("facts and images go together")
        return self
