"""A small world of diagram questions in the formats of the real benchmarks.

Every datasource is named after what its questions ask to see. The same seed gives the same
questions and pictures, and the question of an index does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from evpv_prm.diagrams import exercises
from evpv_prm.diagrams.exercises import Exercise, Maker, Step
from evpv_prm.diagrams.scene import Diagram

LENGTHS: Sequence[Maker] = (
    exercises.triangle_area,
    exercises.hypotenuse,
    exercises.rectangle_area,
    exercises.rectangle_perimeter,
)
ANGLES: Sequence[Maker] = (exercises.third_angle, exercises.angle_on_line)
COUNTS: Sequence[Maker] = (exercises.count_figures, exercises.bar_difference)
SINGLE_IMAGE: Mapping[str, Sequence[Maker]] = {
    "Lengths": LENGTHS,
    "Angles": ANGLES,
    "Counts": COUNTS,
}
MULTI_IMAGE = "TwoDiagrams"
LETTERS = "ABCD"


@dataclass(frozen=True)
class Problem:
    """A question with its diagrams and everything that is true of it.

    `options` is empty for a free-form question; else `answer` is the letter of the right one.
    """

    datasource: str
    index: int
    question: str
    answer: str
    value: int
    options: tuple[str, ...]
    diagrams: tuple[Diagram, ...]
    steps: tuple[Step, ...]

    @property
    def images(self) -> list[str]:
        """The paths of the pictures, relative to the image root, in the question's order."""
        if len(self.diagrams) == 1:
            return [f"{self.datasource}/{self.index:03d}.png"]
        return [
            f"{self.datasource}/{self.index:03d}_{number}.png"
            for number in range(1, len(self.diagrams) + 1)
        ]

    def benchmark_row(self) -> dict[str, Any]:
        """Return the line of `benchmarks.jsonl` (one picture) or `mmmu.jsonl` (several)."""
        images = self.images
        row = {
            "question": self.question,
            "answer": self.answer,
            "image": images[0] if len(images) == 1 else images,
            "datasource": self.datasource,
        }
        return row if len(images) == 1 else {"id": self.name, **row}

    @property
    def description(self) -> str:
        """All facts of the pictures in one paragraph."""
        facts = [" ".join(fact.statement for fact in diagram.facts) for diagram in self.diagrams]
        if len(facts) == 1:
            return f"A diagram of {self.datasource.lower()}. {facts[0]}"
        shown = (f"In picture {number}: {text}" for number, text in enumerate(facts, start=1))
        return f"{len(facts)} diagrams. {' '.join(shown)}"

    @property
    def solution(self) -> dict[str, Any]:
        """A right solution as the policy would give it."""
        return {
            "reasoningprocess": [
                {
                    "steptext": step.text,
                    "visualdependency": step.fact.statement if step.fact else None,
                }
                for step in self.steps
            ],
            "finalanswer": self.answer,
        }

    def truth_row(self, image_sha256: Sequence[str]) -> dict[str, Any]:
        """Return the line of `facts.jsonl`: all facts of the pictures, and a right solution.

        The pictures are known by the SHA-256 of their files, in the question's order.
        """
        return {
            "id": self.name,
            **self.benchmark_row(),
            "image_sha256": list(image_sha256),
            "description": self.description,
            "facts": [
                {
                    "image": image,
                    "name": fact.name,
                    "value": fact.value,
                    "statement": fact.statement,
                    "places": [[round(x, 1), round(y, 1)] for x, y in fact.places],
                }
                for image, diagram in zip(self.images, self.diagrams, strict=True)
                for fact in diagram.facts
            ],
            "solution": self.solution,
        }

    @property
    def name(self) -> str:
        """The question's name, unique in the world."""
        return f"{self.datasource}-{self.index:03d}"


def make_world(questions_per_datasource: int, seed: int) -> list[Problem]:
    """Make all questions, datasource by datasource. Every other one is multiple-choice."""
    single = [
        _single_image_problem(datasource, index, seed)
        for datasource in SINGLE_IMAGE
        for index in range(questions_per_datasource)
    ]
    return single + [_two_image_problem(index, seed) for index in range(questions_per_datasource)]


def _single_image_problem(datasource: str, index: int, seed: int) -> Problem:
    rng = Random(f"{seed} {datasource} {index}")
    exercise = rng.choice(SINGLE_IMAGE[datasource])(rng)
    question = f"What is {exercise.wanted}?"
    options, answer = _options(rng, index, exercise.value, exercise.unit)
    if options:
        lines = (f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=True))
        question = "\n".join([question, "Choices:", *lines])
    return Problem(
        datasource,
        index,
        question,
        answer,
        exercise.value,
        options,
        (exercise.diagram,),
        exercise.steps,
    )


def _two_image_problem(index: int, seed: int) -> Problem:
    """Ask for the sum of two exercises, as MMMU asks: markers in the text, options in a row."""
    rng = Random(f"{seed} {MULTI_IMAGE} {index}")
    pair: tuple[Exercise, Exercise] = (rng.choice(LENGTHS)(rng), rng.choice(COUNTS)(rng))
    first, second = rng.sample(pair, 2)
    value = first.value + second.value
    question = f"What is the sum of {first.wanted} in <image 1> and {second.wanted} in <image 2>?"
    options, answer = _options(rng, index, value, unit="")
    if options:
        row = "  ".join(f"{letter}.{text}" for letter, text in zip(LETTERS, options, strict=True))
        question = f"{question}\nPlease choose the correct answer below：\n{row}"
    last = Step(f"The sum is {first.value} + {second.value} = {value}.")
    return Problem(
        MULTI_IMAGE,
        index,
        question,
        answer,
        value,
        options,
        (first.diagram, second.diagram),
        (*first.steps, *second.steps, last),
    )


def _options(rng: Random, index: int, value: int, unit: str) -> tuple[tuple[str, ...], str]:
    """Return the options and the right letter for an even index, else none and the number."""
    if index % 2:
        return (), str(value)
    near = [other for other in range(max(1, value - 9), value + 10) if other != value]
    values = [value, *rng.sample(near, len(LETTERS) - 1)]
    rng.shuffle(values)
    return tuple(f"{option}{unit}" for option in values), LETTERS[values.index(value)]
