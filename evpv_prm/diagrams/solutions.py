"""Solutions of diagram questions with their errors: a value misread, or a slip in the calculation.

Right solutions read the diagram and calculate; wrong ones go wrong at one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from evpv_prm.diagrams.exercises import Step


@dataclass(frozen=True)
class Error:
    """What is wrong with a step, in the words of the fixed list (`evpv_prm.prompts`)."""

    category: str
    subcategory: str | None = None


@dataclass(frozen=True)
class Solution:
    """The steps of a solution, and the error of each; None for a right step."""

    steps: tuple[str, ...]
    errors: tuple[Error | None, ...]

    @property
    def is_right(self) -> bool:
        """Whether no step is wrong."""
        return not any(self.errors)

    @property
    def labels(self) -> list[bool]:
        """One label a step: True up to the first wrong step."""
        first = next((i for i, error in enumerate(self.errors) if error), len(self.errors))
        return [index < first for index in range(len(self.steps))]


def right(texts: Sequence[str]) -> Solution:
    """Return a solution without errors."""
    return Solution(tuple(texts), (None,) * len(texts))


def misread(rng: Random, steps: Sequence[Step], wanted: str, value: int) -> Solution:
    """Read one value wrongly; the conclusion follows from it and is no second error.

    `wanted` is what `value`, the right answer, is the value of.
    """
    at = rng.choice([index for index, step in enumerate(steps) if step.fact])
    texts = [step.text for step in steps]
    texts[at] = _ending_in(steps[at], _near(rng, _fact_value(steps[at])))
    texts[-1] = f"So {wanted} is {_near(rng, value)}."
    errors: list[Error | None] = [None] * len(texts)
    errors[at] = Error("visual_misinterpretation", "value_misreading")
    return Solution(tuple(texts), tuple(errors))


def miscalculated(rng: Random, steps: Sequence[Step], value: int) -> Solution:
    """Get the last step's result wrong; the right one is `value`."""
    texts = [step.text for step in steps]
    texts[-1] = _ending_in(steps[-1], _near(rng, value))
    errors: list[Error | None] = [None] * len(texts)
    errors[-1] = Error("calculation")
    return Solution(tuple(texts), tuple(errors))


def _fact_value(step: Step) -> int:
    assert step.fact is not None
    return step.fact.value


def _ending_in(step: Step, value: int) -> str:
    """Return a step with another number at its end; every step ends in its result."""
    start = step.text.rstrip(".").rstrip("0123456789")
    return f"{start}{value}."


def _near(rng: Random, value: int) -> int:
    return rng.choice([n for n in range(max(1, value - 3), value + 4) if n != value])
