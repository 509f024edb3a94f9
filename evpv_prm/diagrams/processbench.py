"""Labelled solutions of the world's questions, as VisualProcessBench has them.

Every question has one solution by one of several policies: a right one, one that misreads a value
or one that slips in the calculation. A step is labelled on its own: 1 (right), -1 (wrong, or built
on a wrong step) or 0 (neutral: it announces what follows).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from evpv_prm.diagrams.exercises import Step
from evpv_prm.diagrams.solutions import Solution, miscalculated, misread, right
from evpv_prm.diagrams.world import LETTERS, Problem

POLICIES = ("diagram-solver-small", "diagram-solver-medium", "diagram-solver-large")
OPENING = "To answer this, I look at the picture and take it step by step."


def process_rows(problems: Iterable[Problem], seed: int) -> list[dict[str, Any]]:
    """Return one record a question, in a random order; image paths begin with "images/"."""
    rows = [_process_row(problem, seed) for problem in problems]
    Random(f"{seed} order of solutions").shuffle(rows)
    return rows


def _process_row(problem: Problem, seed: int) -> dict[str, Any]:
    rng = Random(f"{seed} solution {problem.name}")
    solution = _solution(rng, problem)
    steps = list(solution.steps)
    labels = _labels(problem.steps, solution)
    if rng.random() < 0.7:
        steps, labels = [OPENING, *steps], [0, *labels]
    steps.append(f"Final answer: {_final_answer(rng, problem, solution)}")
    labels.append(1 if solution.is_right else -1)
    return {
        "image": [f"images/{path}" for path in problem.images],
        "question": problem.question,
        "answer": problem.answer,
        "response": {"steps": steps, "process_correctness": labels},
        "policy_model": POLICIES[problem.index % len(POLICIES)],
        "data_source": problem.datasource,
    }


def _solution(rng: Random, problem: Problem) -> Solution:
    match rng.randrange(3):
        case 0:
            return right([step.text for step in problem.steps])
        case 1:
            return misread(rng, problem.steps, "the answer", problem.value)
        case _:
            return miscalculated(rng, problem.steps, problem.value)


def _labels(steps: Sequence[Step], solution: Solution) -> list[int]:
    """Label each step: a calculation builds on what was read since the one before, the last on all.

    Reading a value builds on nothing.
    """
    labels: list[int] = []
    start = 0
    for index, (step, error) in enumerate(zip(steps, solution.errors, strict=True)):
        builds_on: list[int] = []
        if step.fact is None:
            builds_on = labels if index == len(steps) - 1 else labels[start:]
            start = index + 1
        labels.append(-1 if error or -1 in builds_on else 1)
    return labels


def _final_answer(rng: Random, problem: Problem, solution: Solution) -> str:
    if solution.is_right:
        return problem.answer
    if problem.options:
        return rng.choice([letter for letter in LETTERS if letter != problem.answer])
    return solution.steps[-1].rstrip(".").split()[-1]
