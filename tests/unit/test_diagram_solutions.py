"""The world's solutions: what is right, what is wrong, and the kinds of errors."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evpv_prm.diagrams.processbench import OPENING, SolvedExercise, make_solved
from evpv_prm.diagrams.questions import DATASOURCES, Problem, make_problem, policy_solution, solve
from evpv_prm.diagrams.solutions import (
    CALCULATION,
    ERRORS,
    FALLBACKS,
    INCOMPLETENESS,
    KNOWLEDGE,
    LOGICAL,
    OBJECT,
    STRUCTURE,
    VALUE,
    Error,
    Solution,
    allows,
    right_solution,
    wrong_solution,
)
from evpv_prm.diagrams.world import TRAIN
from evpv_prm.prompts import CATEGORIES, SUBCATEGORIES
from evpv_prm.published import ERROR_SHARES

PROBLEMS = st.builds(
    make_problem, st.integers(0).map(Random), st.sampled_from(DATASOURCES), st.just(0.5)
)
RANDOM = st.integers(0).map(Random)


# A judge of its own: it knows the question's kind and the pictures' facts.

OPERATORS = {"sum": "+", "total": "+", "difference": "-", "product": "*", "area": "*", "twice": "*"}


def true_steps(problem: Problem, steps: Sequence[str]) -> list[str]:
    """What each step should have said, given the steps before it."""
    asked = [fact.label for fact in problem.operands]
    values = {fact.label: fact.value for fact in problem.facts}
    expected = [f"The {label} shows {values[label]}." for label in asked]
    seen = [int(step.removesuffix(".").split()[-1]) for step in steps[: len(asked)]]
    if problem.kind == "larger":
        one, other = seen
        name = asked[0] if one > other else asked[1]
        return [*expected, f"{max(seen)} > {min(seen)}, so the {name} is larger."]
    if problem.kind == "twice":
        seen = [2, *seen]
    if problem.kind == "difference":
        seen.sort(reverse=True)
    expected.append(f" {OPERATORS[problem.kind]} ".join(map(str, seen)))
    if problem.kind == "area":
        product = steps[len(asked)].removesuffix(".").split(" = ")[1]
        expected.append(f"{product} / 2")
    return [text if text.endswith(".") else f"{text} = {eval(text):g}." for text in expected]


@given(PROBLEMS)
def test_a_right_solution_is_right(problem: Problem) -> None:
    solution = right_solution(problem)
    assert list(solution.steps) == true_steps(problem, solution.steps)
    assert solution.steps == solution.evidence == tuple(step.text for step in problem.steps)
    assert set(solution.labels) == {1}
    assert solution.is_right
    assert solution.first_wrong == len(solution.steps)


@given(RANDOM, PROBLEMS, st.sampled_from([None, *ERRORS]))
def test_labels_and_evidence_follow_from_the_steps_before(
    rng: Random, problem: Problem, error: Error | None
) -> None:
    solution = wrong_solution(rng, problem, error)
    true = true_steps(problem, solution.steps)
    assert list(solution.evidence) == true
    assert solution.labels == tuple(
        1 if step == expected else -1 for step, expected in zip(solution.steps, true, strict=True)
    )
    for label, found in zip(solution.labels, solution.errors, strict=True):
        assert (label == -1) == (found is not None)
    assert not solution.is_right
    assert solution.labels[solution.first_wrong] == -1
    assert set(solution.labels[: solution.first_wrong]) <= {1}


@given(RANDOM, PROBLEMS, st.sampled_from(ERRORS))
def test_the_kind_of_error_is_the_one_asked_for(
    rng: Random, problem: Problem, error: Error
) -> None:
    assume(allows(problem, error))
    solution = wrong_solution(rng, problem, error)
    assert {found for found in solution.errors if found} == {error}
    assert solution.labels.count(-1) == (2 if error == STRUCTURE else 1)
    wrong = solution.first_wrong
    is_reading = wrong < len(problem.operands)
    assert is_reading == (error.category == CATEGORIES[0])
    CHECKS[error](problem, solution, wrong)


def values_of(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def misread(problem: Problem, solution: Solution, wrong: int) -> None:
    assert 1 <= values_of(solution.steps[wrong])[0] <= 9


def another_object(problem: Problem, solution: Solution, wrong: int) -> None:
    others = {fact.value for fact in problem.facts if fact != problem.operands[wrong]}
    assert values_of(solution.steps[wrong])[0] in others


def exchanged(problem: Problem, solution: Solution, wrong: int) -> None:
    read = [values_of(step)[0] for step in solution.steps[: len(problem.operands)]]
    assert sorted(read) == sorted(fact.value for fact in problem.operands)


def well_calculated(problem: Problem, solution: Solution, wrong: int) -> None:
    text = solution.steps[wrong]
    if problem.kind == "larger":
        assert text.split(",")[0] == solution.evidence[wrong].split(",")[0]
        return
    left, result = text.removesuffix(".").split(" = ")
    assert eval(left) == float(result) != float(solution.evidence[wrong][:-1].split(" = ")[1])


def badly_calculated(problem: Problem, solution: Solution, wrong: int) -> None:
    text = solution.steps[wrong]
    if problem.kind == "larger":
        one, other = values_of(text)
        assert one < other
        return
    left, result = text.removesuffix(".").split(" = ")
    assert left == solution.evidence[wrong].split(" = ")[0]
    assert eval(left) != int(result) > 0


def badly_halved(problem: Problem, solution: Solution, wrong: int) -> None:
    assert problem.kind == "area"
    assert wrong == 3
    assert values_of(solution.steps[wrong])[1] in (1, 3)
    well_calculated(problem, solution, wrong)


def broken_off(problem: Problem, solution: Solution, wrong: int) -> None:
    assert wrong == len(solution.steps) - 1
    [value] = values_of(solution.steps[wrong])
    assert solution.steps[wrong] == f"So the answer is {value}."
    assert value in [values_of(step)[-1] for step in solution.steps[:wrong]]
    assert str(value) != problem.answer


CHECKS = {
    VALUE: misread,
    OBJECT: another_object,
    STRUCTURE: exchanged,
    LOGICAL: well_calculated,
    CALCULATION: badly_calculated,
    KNOWLEDGE: badly_halved,
    INCOMPLETENESS: broken_off,
}


@given(RANDOM, PROBLEMS, st.sampled_from(ERRORS))
def test_an_error_without_room_becomes_its_fallback(
    rng: Random, problem: Problem, error: Error
) -> None:
    assume(not allows(problem, error))
    [found] = {found for found in wrong_solution(rng, problem, error).errors if found}
    expected = FALLBACKS[error]
    while not allows(problem, expected):
        expected = FALLBACKS[expected]
    assert found == expected


def test_every_error_is_possible_and_named_as_the_teacher_names_it() -> None:
    problems = [make_problem(Random(n), DATASOURCES[n % 6], 0) for n in range(200)]
    assert all(any(allows(problem, error) for problem in problems) for error in ERRORS)
    assert {error.category for error in ERRORS} == set(CATEGORIES)
    assert {error.subcategory for error in ERRORS} == {*SUBCATEGORIES, None}


@given(PROBLEMS, st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_solving_goes_by_what_was_read(problem: Problem, values: list[int]) -> None:
    readings = dict(zip([fact.label for fact in problem.operands], values, strict=False))
    steps, answer = solve(problem, readings)
    texts = [step.text for step in steps]
    assert texts[: len(readings)] == [f"The {n} shows {v}." for n, v in readings.items()]
    true = true_steps(problem, texts)
    if problem.kind != "larger":
        assert texts[len(readings) :] == true[len(readings) :]
        assert texts[-1].endswith(f" = {answer}.")
    elif values[0] != values[1]:
        assert texts[-1] == true[-1]
        assert answer == ("A" if values[0] > values[1] else "B")
    written = policy_solution(steps, answer)
    for step, found in zip(written["reasoningprocess"], steps, strict=True):
        is_reading = step["steptext"].startswith("The ")
        assert step["visualdependency"] == (step["steptext"] if is_reading else None)
        assert found.evidence == (found.fact.statement if found.fact else found.text)
    assert solve(problem) == (problem.steps, problem.answer)


# Shares

SOLVED = make_solved(4000, seed=0, split=TRAIN, difficulty=0.5)


def errors(solved: Sequence[SolvedExercise]) -> list[Error]:
    return [error for each in solved for error in each.solution.errors if error]


@pytest.mark.parametrize("level", ["category", "subcategory"])
def test_wrong_steps_have_the_papers_shares(level: str) -> None:
    names = [name for error in errors(SOLVED) if (name := getattr(error, level))]
    shares: Mapping[str, float] = ERROR_SHARES[level]
    for name, share in shares.items():
        found = names.count(name) / len(names)
        # Exchanged values are wrong in twos: twice the variance of single steps.
        deviation = math.sqrt(2 * share * (1 - share) / len(names))
        assert abs(found - share) < 4 * deviation, name
    assert set(names) == set(shares)


def test_two_of_three_solutions_are_wrong_and_half_have_an_opening() -> None:
    kinds = Counter((each.solution.is_right, each.has_opening) for each in SOLVED)
    for (is_right, _), count in kinds.items():
        share = 1 / 6 if is_right else 1 / 3
        assert count / len(SOLVED) == pytest.approx(share, abs=0.03)


def test_an_opening_is_neutral() -> None:
    for each in SOLVED[:50]:
        response = each.row()["response"]
        opened = 1 if each.has_opening else 0
        assert response["steps"] == [OPENING] * opened + list(each.solution.steps)
        assert response["process_correctness"] == [0] * opened + list(each.solution.labels)
