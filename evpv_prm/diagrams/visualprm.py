"""Labelled solutions of diagram questions, as VisualPRM400K has them, and what is true of them.

Three subsets in files with differently formed names: two of conversations, one of steps with scores
(v1.1-Raw). From the first wrong step on, every step is labelled "-": no continuation of it is
expected to come out right. What is true labels every step on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from evpv_prm.diagrams.questions import Problem, make_problem
from evpv_prm.diagrams.solutions import (
    Solution,
    draw_error,
    make_suited,
    right_solution,
    wrong_solution,
)
from evpv_prm.diagrams.world import TRAIN, generator

FILES: Mapping[str, str] = {
    "Charts": "charts_extracted_prm_process.jsonl",
    "Geometry": "geometry_en_20240402_extracted_prm.jsonl",
    "Shapes": "v1.1/shapes_raw.jsonl",
}
"""The annotation file of each subset; Shapes is the one of steps with scores."""

FAMILIES: Mapping[str, Sequence[str]] = {
    "Charts": ("Bars", "Tables"),
    "Geometry": ("Segments", "Triangles"),
    "Shapes": ("Shapes",),
}
"""The kinds of pictures of each subset."""

SCORED_SUBSET = "Shapes"
WITHOUT_PARTNER, WITHOUT_IMAGE = 0, 1
"""Indices of the questions that are special; only the first subset has one without image."""

MOST_WRONG = 3
SYSTEM = "You check solutions step by step: answer + for a right step and - for a wrong one."
INSTRUCTION = "Solve the problem step by step."


@dataclass(frozen=True)
class Subject:
    """A question about a diagram, and its solutions.

    `is_divided` is False where the annotation has each solution in one piece, with one label.
    """

    subset: str
    index: int
    problem: Problem
    solutions: tuple[Solution, ...]
    is_divided: bool
    has_image: bool

    @property
    def image(self) -> str:
        """The picture's path, relative to the subset's folder."""
        return f"images/{self.index:03d}.png"

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
            "question": self.problem.question,
            "description": self.problem.description,
            "caption": self.problem.caption,
            "solutions": [
                {"steps": solution.steps, "results": _results(solution)}
                for solution in self.solutions
            ],
        }

    def _conversation(self, number: int, solution: Solution) -> dict[str, Any]:
        steps, labels = list(solution.steps), _labels(solution)
        if not self.is_divided:
            steps, labels = [" ".join(steps)], [solution.is_right]
        turns = [{"from": "system", "value": SYSTEM}]
        opening = f"### Question:\n{self.problem.question}\n\n### Solution Process:\n"
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
            for step, label in zip(solution.steps, _labels(solution), strict=True)
        ]
        return {
            "image": self.image,
            "question": f"{self.problem.question}\n{INSTRUCTION}",
            "question_orig": self.problem.question,
            "response": " ".join(solution.steps),
            "steps_with_score": steps,
        }


def make_subjects(questions_per_subset: int, seed: int, difficulty: float) -> list[Subject]:
    """Make all subjects, subset by subset; one does not depend on how many there are.

    The first question of every subset has no wrong solution, and the second one of the first subset
    has no picture.
    """
    return [
        _subject(subset, index, seed, difficulty)
        for subset in FILES
        for index in range(questions_per_subset)
    ]


def annotation_rows(subjects: Iterable[Subject], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Return the records of every annotation file, in a random order."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for subject in subjects:
        rows.setdefault(FILES[subject.subset], []).extend(subject.annotations())
    for file, records in rows.items():
        Random(f"{seed} {file}").shuffle(records)
    return rows


def _subject(subset: str, index: int, seed: int, difficulty: float) -> Subject:
    rng = generator(TRAIN, seed, "VisualPRM", subset, index)
    if index == WITHOUT_PARTNER:
        problem = make_problem(rng, rng.choice(FAMILIES[subset]), difficulty)
        wrong: list[Solution] = []
    else:
        error = draw_error(rng)
        problem = make_suited(rng, error, FAMILIES[subset], difficulty)
        wrong = [wrong_solution(rng, problem, error)]
        wrong += [wrong_solution(rng, problem) for _ in range(rng.randrange(MOST_WRONG))]
    solutions = {solution.steps: solution for solution in (right_solution(problem), *wrong)}
    return Subject(
        subset,
        index,
        problem,
        tuple(solutions.values()),
        is_divided=index % 3 != 2,
        has_image=subset != next(iter(FILES)) or index != WITHOUT_IMAGE,
    )


def _labels(solution: Solution) -> list[bool]:
    """Label each step: True up to the first wrong one."""
    return [index < solution.first_wrong for index in range(len(solution.steps))]


def _results(solution: Solution) -> list[dict[str, Any]]:
    """Return what is true of each step, in the form of a teacher's results."""
    return [
        {
            "step": number,
            "evidence": evidence,
            "score": label,
            "category": error.category if error else None,
            "subcategory": error.subcategory if error else None,
        }
        for number, (evidence, label, error) in enumerate(
            zip(solution.evidence, solution.labels, solution.errors, strict=True), start=1
        )
    ]
