"""Labelled solutions of diagram questions, as VisualProcessBench has them.

Each is of a question of its own, and right or with one error. A step is labelled on its own: 1
(right), -1 (wrong) or 0 (neutral: it says what is to be done).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from evpv_prm.diagrams.questions import DATASOURCES, make_problem
from evpv_prm.diagrams.solutions import (
    Solution,
    draw_error,
    make_suited,
    right_solution,
    wrong_solution,
)
from evpv_prm.diagrams.world import Exercise, generator

GROUP = "Solved"
"""The folder of the pictures."""

POLICIES = ("diagram-solver-small", "diagram-solver-medium", "diagram-solver-large")
OPENING = "Let us look at the picture."
OPENING_EVIDENCE = "There is nothing to check."
WRONG, OPENED = 2 / 3, 1 / 2
"""The fractions of the solutions that have an error, and that have a neutral opening."""


@dataclass(frozen=True)
class SolvedExercise:
    """A question and one labelled solution of it."""

    exercise: Exercise
    solution: Solution
    has_opening: bool

    def row(self) -> dict[str, Any]:
        """Return the line of `visualprocessbench.jsonl`; image paths begin with "images/"."""
        problem = self.exercise.problem
        steps, labels = list(self.solution.steps), list(self.solution.labels)
        if self.has_opening:
            steps, labels = [OPENING, *steps], [0, *labels]
        return {
            "image": [f"images/{path}" for path in self.exercise.images],
            "question": problem.question,
            "answer": problem.answer,
            "response": {"steps": steps, "process_correctness": labels},
            "policy_model": POLICIES[self.exercise.index % len(POLICIES)],
            "data_source": problem.datasource,
        }


def make_solved(count: int, seed: int, split: str, difficulty: float) -> list[SolvedExercise]:
    """Make labelled solutions; one does not depend on how many there are."""
    return [_solved(generator(split, seed, GROUP, n), n, difficulty) for n in range(count)]


def process_rows(solved: Iterable[SolvedExercise], seed: int) -> list[dict[str, Any]]:
    """Return the records in a random order."""
    rows = [each.row() for each in solved]
    Random(f"{seed} order of solutions").shuffle(rows)
    return rows


def _solved(rng: Random, index: int, difficulty: float) -> SolvedExercise:
    if rng.random() < WRONG:
        # The error comes first and the question has to suit: else the shares would not hold.
        error = draw_error(rng)
        problem = make_suited(rng, error, DATASOURCES, difficulty)
        solution = wrong_solution(rng, problem, error)
    else:
        problem = make_problem(rng, rng.choice(DATASOURCES), difficulty)
        solution = right_solution(problem)
    return SolvedExercise(Exercise(GROUP, index, problem), solution, rng.random() < OPENED)
