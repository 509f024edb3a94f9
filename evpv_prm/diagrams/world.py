"""A small world of diagram questions in the formats of the real benchmarks.

The same split, seed and difficulty give the same questions and pictures, and one question does not
depend on how many there are. Every random number comes from a generator whose key begins with the
split's name: no question of one split is drawn as one of another is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from evpv_prm.diagrams.questions import DATASOURCES, Problem, make_problem

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True)
class Exercise:
    """A question of the world with its place in it; its pictures are in the folder `group`."""

    group: str
    index: int
    problem: Problem

    @property
    def name(self) -> str:
        """Its name, unique in the world."""
        return f"{self.group}-{self.index:03d}"

    @property
    def images(self) -> list[str]:
        """The paths of the pictures, relative to the image root, in the question's order."""
        path = f"{self.group}/{self.index:03d}"
        count = len(self.problem.diagrams)
        if count == 1:
            return [f"{path}.png"]
        return [f"{path}_{number}.png" for number in range(1, count + 1)]

    def benchmark_row(self) -> dict[str, Any]:
        """Return the line of `benchmarks.jsonl` (one picture) or `mmmu.jsonl` (two)."""
        images = self.images
        row = {
            "question": self.problem.question,
            "answer": self.problem.answer,
            "image": images[0] if len(images) == 1 else images,
            "datasource": self.problem.datasource,
        }
        return row if len(images) == 1 else {"id": self.name, **row}

    def truth_row(self, image_sha256: Sequence[str]) -> dict[str, Any]:
        """Return the line of `facts.jsonl`: all facts of the pictures, and a right solution.

        The pictures are known by the SHA-256 of their files, in the question's order.
        """
        problem = self.problem
        return {
            "id": self.name,
            **self.benchmark_row(),
            "kind": problem.kind,
            "image_sha256": list(image_sha256),
            "description": problem.description,
            "caption": problem.caption,
            "facts": [
                {
                    "image": image,
                    "name": fact.label,
                    "value": fact.value,
                    "statement": fact.statement,
                    "place": fact.place,
                    "at": list(fact.at),
                    "contrast": round(fact.contrast, 3),
                    "size": fact.size,
                    "clutter": fact.clutter,
                }
                for image, diagram in zip(self.images, problem.diagrams, strict=True)
                for fact in diagram.facts
            ],
            "solution": problem.solution,
        }


def make_world(
    questions_per_datasource: int, seed: int, split: str, difficulty: float
) -> list[Exercise]:
    """Make the benchmarks' questions, datasource by datasource."""
    return [
        Exercise(name, index, make_problem(generator(split, seed, name, index), name, difficulty))
        for name in DATASOURCES
        for index in range(questions_per_datasource)
    ]


def generator(split: str, seed: int, *key: str | int) -> Random:
    """Return the source of all that is random about one thing of a split.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    return Random(" ".join(map(str, (split, seed, *key))))
