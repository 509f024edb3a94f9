"""What one of the models that the trainings make said, as it lies in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evpv_prm.data.picture_facts import ExaminedQuestion
from evpv_prm.data.step_records import JudgedRecord, read_judged_records
from evpv_prm.jsonl import read_shards

SOLUTIONS, DESCRIPTIONS = "solutions.jsonl", "descriptions.jsonl"
"""The files in the folder of a model."""


@dataclass(frozen=True)
class Examined:
    """What a model said of questions with known facts (none: empty) and of labelled solutions."""

    questions: Sequence[ExaminedQuestion]
    solutions: Sequence[JudgedRecord]


def read_examined(folder: Path) -> Examined:
    """Read what a model said; there are no descriptions where no facts were known.

    Raises:
        InputError: a file cannot be read, or a field is missing or wrong.
    """
    path = folder / DESCRIPTIONS
    questions = [one for *_, one in read_shards([path], ExaminedQuestion)] if path.exists() else []
    return Examined(questions, read_judged_records([folder / SOLUTIONS]))
