"""Equality of final answers: a stand-in for letters and integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class GroundTruth:
    """What a right answer must equal."""

    answer: str


def ground_truth(question: str, answer: str, choices: Sequence[str] | None = None) -> GroundTruth:
    """Return the truth of a question."""
    del question, choices
    return GroundTruth(normalise(answer))


def is_correct(truth: GroundTruth, final_answer: str) -> bool:
    """Tell whether an answer equals the truth."""
    return normalise(final_answer) == truth.answer


def normalise(text: str) -> str:
    """Return one spelling for answers that are the same but for dress."""
    return text.strip().strip("()*.").upper()
