"""Labelled solutions as pair extraction writes them, and what their descriptions belong to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from evpv_prm.data.visualprm import SolutionProcess, normalise_question, read_process
from evpv_prm.jsonl import read_rows

Label = Literal["+", "-"]


@dataclass(frozen=True)
class PairRecord:
    """A solution of a question about an image, and the line that it stands on."""

    row: Mapping[str, Any]
    solution: SolutionProcess

    @property
    def image(self) -> str:
        """The image's path, relative to the folder of all subsets."""
        return self.solution.image

    @property
    def question(self) -> str:
        """The question's text."""
        return self.solution.question

    @property
    def steps(self) -> tuple[str, ...]:
        """The solution's steps; if it is not divided, its whole text."""
        return self.solution.steps

    @property
    def label(self) -> Label:
        """The overall label: "-" if any step is wrong."""
        return "+" if self.solution.is_right else "-"

    @property
    def step_labels(self) -> tuple[Label, ...] | None:
        """One label a step; None if the solution is not divided."""
        labels = self.solution.labels
        return tuple("+" if right else "-" for right in labels) if len(labels) > 1 else None

    @property
    def image_key(self) -> str:
        """What a description belongs to: see `description_key`."""
        return description_key(self.image, self.question)

    @property
    def key(self) -> str:
        """16 hexadecimal digits that stand for the whole solution and its labels."""
        return _digest([self.image_key, self.steps, self.solution.labels])


def description_key(image: str, question: str) -> str:
    """Return 16 hexadecimal digits for an image, by its path, and the question about it."""
    return _digest([image, normalise_question(question)])


def _digest(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]


def read_pair_records(path: Path) -> Iterator[PairRecord]:
    """Yield the records of a file in order.

    Raises:
        InputError: the file, or the first line that is no such record.
    """
    for line, row in read_rows(path):
        yield PairRecord(row, read_process(path, line, row))
