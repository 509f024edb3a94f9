"""The conditions of a perception intervention: what a solver is given beside the question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Condition = Literal["cond1", "cond2", "cond3", "cond4"]
DescriptionKind: TypeAlias = Literal["oracle", "noisy"] | None
CONDITIONS: tuple[Condition, ...] = get_args(Condition)


@dataclass(frozen=True)
class Setting:
    """What the solver is given beside the question in a condition."""

    label: str
    shows_images: bool
    description: DescriptionKind


SETTINGS: Mapping[Condition, Setting] = {
    "cond1": Setting("Image", True, None),
    "cond2": Setting("Image + oracle description", True, "oracle"),
    "cond3": Setting("Noisy description alone", False, "noisy"),
    "cond4": Setting("Question alone", False, None),
}
