"""Labelled solutions of diagram questions, as VisualPRM400K has them, and what is true of them.

Three subsets, one for each kind of question, in files with differently formed names: two of
conversations, one of steps with scores (v1.1-Raw). From the first wrong step on, every step is
labelled "-": no continuation of it is expected to come out right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from evpv_prm.diagrams.exercises import Exercise
from evpv_prm.diagrams.scene import Diagram
from evpv_prm.diagrams.solutions import Solution, miscalculated, misread, right
from evpv_prm.diagrams.world import SINGLE_IMAGE

FILES: Mapping[str, str] = {
    "Lengths": "lengths_extracted_prm_process.jsonl",
    "Angles": "angles_en_20240402_extracted_prm.jsonl",
    "Counts": "v1.1/counts_raw.jsonl",
}
"""The annotation file of each subset; Counts is the one of steps with scores."""

SCORED_SUBSET = "Counts"
WITHOUT_PARTNER, WITHOUT_IMAGE = 0, 1
"""Indices of the questions that are special; only the first subset has one without image."""

SYSTEM = "You check solutions step by step: answer + for a right step and - for a wrong one."
INSTRUCTION = "Solve the problem step by step."


@dataclass(frozen=True)
class Subject:
    """A diagram with a question about it and its solutions.

    `is_divided` is False where the annotation has each solution in one piece, with one label.
    """

    subset: str
    index: int
    question: str
    diagram: Diagram
    solutions: tuple[Solution, ...]
    is_divided: bool
    has_image: bool

    @property
    def image(self) -> str:
        """The picture's path, relative to the subset's folder."""
        return f"images/{self.index:03d}.png"

    @property
    def description(self) -> str:
        """All facts of the diagram in one paragraph."""
        facts = " ".join(fact.statement for fact in self.diagram.facts)
        return f"A diagram of {self.subset.lower()}. {facts}"

    def annotations(self) -> list[dict[str, Any]]:
        """Return one record a solution, in the format of the subset."""
        if self.subset == SCORED_SUBSET:
            return [self._scored(solution) for solution in self.solutions]
        return [
            self._conversation(number, solution) for number, solution in enumerate(self.solutions)
        ]

    def truth_row(self, image_sha256: str) -> dict[str, Any]:
        """Return what a teacher has to know, for a picture known by the SHA-256 of its file."""
        return {
            "image": f"{self.subset}/{self.image}",
            "image_sha256": image_sha256,
            "question": self.question,
            "description": self.description,
            "solutions": [
                {
                    "steps": solution.steps,
                    "results": [
                        {
                            "step": number,
                            "score": -1 if error else 1,
                            "category": error.category if error else None,
                            "subcategory": error.subcategory if error else None,
                        }
                        for number, error in enumerate(solution.errors, start=1)
                    ],
                }
                for solution in self.solutions
            ],
        }

    def _conversation(self, number: int, solution: Solution) -> dict[str, Any]:
        steps, labels = list(solution.steps), solution.labels
        if not self.is_divided:
            steps, labels = [" ".join(steps)], [solution.is_right]
        turns = [{"from": "system", "value": SYSTEM}]
        opening = f"### Question:\n{self.question}\n\n### Solution Process:\n"
        for step, label in zip(steps, labels, strict=True):
            turns.append({"from": "human", "value": f"{opening}{step}"})
            turns.append({"from": "gpt", "value": "+" if label else "-"})
            opening = ""
        name = f"{self.subset}-{self.index:03d}-{number}"
        return {"id": name, "image": self.image, "conversations": turns}

    def _scored(self, solution: Solution) -> dict[str, Any]:
        samples = 4
        steps = [
            {
                "step": step,
                "score": 1.0 if label else 0.0,
                "num_mc_correct": samples if label else 0,
                "num_mc_total": samples,
            }
            for step, label in zip(solution.steps, solution.labels, strict=True)
        ]
        return {
            "image": self.image,
            "question": f"{self.question}\n{INSTRUCTION}",
            "question_orig": self.question,
            "response": " ".join(solution.steps),
            "steps_with_score": steps,
        }


def make_subjects(questions_per_subset: int, seed: int) -> list[Subject]:
    """Make all subjects, subset by subset; one does not depend on how many there are.

    The first question of every subset has no wrong solution, and the second one of the first subset
    has no picture.
    """
    return [
        _subject(subset, index, seed) for subset in FILES for index in range(questions_per_subset)
    ]


def annotation_rows(subjects: Iterable[Subject], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Return the records of every annotation file, in a random order."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for subject in subjects:
        rows.setdefault(FILES[subject.subset], []).extend(subject.annotations())
    for file, records in rows.items():
        Random(f"{seed} {file}").shuffle(records)
    return rows


def _subject(subset: str, index: int, seed: int) -> Subject:
    # Other draws than the benchmarks' of the same seed: nothing is trained on what it is tested on.
    rng = Random(f"{seed} training {subset} {index}")
    exercise = rng.choice(SINGLE_IMAGE[subset])(rng)
    good = _right_solutions(exercise)
    wrong = [
        misread(rng, exercise.steps, exercise.wanted, exercise.value),
        miscalculated(rng, exercise.steps, exercise.value),
    ]
    rng.shuffle(wrong)
    if index == WITHOUT_PARTNER:
        wrong = []
    else:
        good, wrong = good[: rng.randint(1, 2)], wrong[: index % 3 + 1]
    return Subject(
        subset,
        index,
        f"What is {exercise.wanted}?",
        exercise.diagram,
        (*good, *wrong),
        is_divided=index % 3 != 2,
        has_image=subset != next(iter(FILES)) or index != WITHOUT_IMAGE,
    )


def _right_solutions(exercise: Exercise) -> list[Solution]:
    """Return the same way to the answer in two wordings."""
    wordings: Sequence[tuple[str, ...]] = (
        tuple(step.text for step in exercise.steps),
        tuple(step.fact.statement if step.fact else step.text for step in exercise.steps),
    )
    return [right(texts) for texts in wordings]
