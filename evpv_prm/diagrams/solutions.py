"""Solutions of diagram questions with the labels of their steps, and what is wrong in them.

A step is labelled on its own, given the steps before it as they stand: what follows rightly from a
misread value is right. Its evidence is what it should have said: a step is right if, and only if,
it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from evpv_prm.diagrams.questions import (
    Equation,
    Problem,
    Step,
    calculation,
    comparison,
    conclude,
    equate,
    make_problem,
    read,
    solve,
)
from evpv_prm.published import ERROR_SHARES


@dataclass(frozen=True)
class Error:
    """What is wrong with a step, in the words of the fixed list (`evpv_prm.prompts`)."""

    category: str
    subcategory: str | None = None


VALUE = Error("visual_misinterpretation", "value_misreading")
OBJECT = Error("visual_misinterpretation", "object_misidentification")
STRUCTURE = Error("visual_misinterpretation", "structural_misunderstanding")
LOGICAL, CALCULATION = Error("logical"), Error("calculation")
KNOWLEDGE, INCOMPLETENESS = Error("knowledge"), Error("incompleteness")


@dataclass(frozen=True)
class Solution:
    """The steps of a solution; of each its label, its error (of a wrong one) and its evidence.

    Labels are 1 (right) and -1 (wrong).
    """

    steps: tuple[str, ...]
    labels: tuple[int, ...]
    errors: tuple[Error | None, ...]
    evidence: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether no step is wrong."""
        return not any(self.errors)

    @property
    def first_wrong(self) -> int:
        """The index of the first wrong step; the number of steps if none is wrong."""
        return next((i for i, error in enumerate(self.errors) if error), len(self.errors))


_MOST_TRIES = 500

_Corruption: TypeAlias = "Callable[[Random, Problem], list[Step] | None]"


def right_solution(problem: Problem) -> Solution:
    """Return the solution without errors."""
    return _labelled(problem.steps, VALUE)


def misread_solution(problem: Problem, readings: Mapping[str, int]) -> Solution:
    """Return the solution with these values (label to value) in the place of the true ones."""
    return _labelled(solve(problem, readings)[0], VALUE)


def wrong_solution(rng: Random, problem: Problem, error: Error | None = None) -> Solution:
    """Return a solution with one error; None: of a kind that `draw_error` draws.

    Where the question leaves no room for it, the error is the next of its FALLBACKS.
    """
    error = error or draw_error(rng)
    while True:
        steps = _CORRUPTIONS[error](rng, problem)
        if steps is not None:
            return _labelled(steps, error)
        error = FALLBACKS[error]


def draw_error(rng: Random) -> Error:
    """Draw an error so that the wrong steps have the paper's shares.

    Exchanged values make two wrong steps.
    """
    errors, weights = zip(*_shares(), strict=True)
    drawn: Error = rng.choices(errors, weights)[0]
    return drawn


def make_suited(
    rng: Random, error: Error, datasources: Sequence[str], difficulty: float
) -> Problem:
    """Make a question of one of the datasources that leaves room for an error.

    Where none of many does, the last one is taken: the error will be one of its FALLBACKS.
    """
    for _ in range(_MOST_TRIES):
        problem = make_problem(rng, rng.choice(datasources), difficulty)
        if allows(problem, error):
            break
    return problem


def allows(problem: Problem, error: Error) -> bool:
    """Say whether a question leaves room for an error, so that none of its FALLBACKS is needed."""
    return _CORRUPTIONS[error](Random(0), problem) is not None


def _shares() -> Iterator[tuple[Error, float]]:
    """Yield each error and its share of wrong solutions, not yet divided by their sum."""
    categories, subcategories = ERROR_SHARES["category"], ERROR_SHARES["subcategory"]
    for error in _CORRUPTIONS:
        share = categories[error.category]
        if error.subcategory:
            share *= subcategories[error.subcategory]
        yield error, share / (2 if error == STRUCTURE else 1)


def _labelled(steps: Sequence[Step], error: Error) -> Solution:
    wrong = [step.text != step.evidence for step in steps]
    return Solution(
        tuple(step.text for step in steps),
        tuple(-1 if is_wrong else 1 for is_wrong in wrong),
        tuple(error if is_wrong else None for is_wrong in wrong),
        tuple(step.evidence for step in steps),
    )


# Misread pictures: the steps after the readings follow from what was read.

_CONFUSABLE = ("17", "38", "56", "68", "89", "39", "35", "49", "27", "58")
_LIKELIER = 4


def _misread(rng: Random, problem: Problem) -> list[Step] | None:
    fact = rng.choice(problem.operands)
    values = [value for value in range(1, 10) if _can_read(problem, {fact.label: value})]
    pairs = [{str(fact.value), str(value)} for value in values]
    weights = [_LIKELIER if pair in map(set, _CONFUSABLE) else 1 for pair in pairs]
    [value] = rng.choices(values, weights)
    return _solved(problem, {fact.label: value})


def _mistake_object(rng: Random, problem: Problem) -> list[Step] | None:
    readings = [
        {fact.label: other.value}
        for fact in problem.operands
        for other in problem.facts
        if _can_read(problem, {fact.label: other.value})
    ]
    return _solved(problem, rng.choice(readings)) if readings else None


def _exchange(rng: Random, problem: Problem) -> list[Step] | None:
    facts = problem.operands
    readings = [
        {first.label: second.value, second.label: first.value}
        for index, first in enumerate(facts)
        for second in facts[index + 1 :]
        if first.value != second.value
    ]
    return _solved(problem, rng.choice(readings)) if readings else None


def _solved(problem: Problem, readings: Mapping[str, int]) -> list[Step]:
    return list(solve(problem, readings)[0])


def _can_read(problem: Problem, readings: Mapping[str, int]) -> bool:
    """Whether a value is changed, and a solution can go on with it: no halves, no ties."""
    values = [readings.get(fact.label, fact.value) for fact in problem.operands]
    if values == _values(problem):
        return False
    if problem.kind == "area":
        return values[0] * values[1] % 2 == 0
    return problem.kind != "larger" or values[0] != values[1]


# Wrong conclusions from what was read rightly.


def _reason_wrongly(rng: Random, problem: Problem) -> list[Step] | None:
    """Take another operation, or an operand that was not read; of two, call the smaller larger."""
    values = _values(problem)
    if problem.kind == "larger":
        labels = [fact.label for fact in problem.operands]
        return _with_first(problem, comparison(labels, values, values.index(min(values))))
    true = calculation(problem.kind, values)
    ordered = tuple(sorted(true.operands, reverse=True))
    operators = [
        equate(operator, ordered if operator == "-" else true.operands)
        for operator in "+-*"
        if operator != true.operator and (operator != "-" or len(ordered) == 2)
    ]
    operands = [
        equate(true.operator, (*true.operands[:at], other, *true.operands[at + 1 :]))
        for at in range(len(true.operands))
        for other in range(1, 10)
        if other not in true.operands
    ]
    groups = [
        [each for each in group if _can_follow(problem, true, each)]
        for group in (operators, operands)
    ]
    return _with_first(problem, rng.choice(rng.choice([group for group in groups if group])))


def _miscalculate(rng: Random, problem: Problem) -> list[Step] | None:
    """Take the right equation and get its result wrong."""
    values = _values(problem)
    if problem.kind == "larger":
        at = values.index(min(values))
        text = f"{min(values)} > {max(values)}, so the {problem.operands[at].label} is larger."
        return _with_first(problem, text)
    true = calculation(problem.kind, values)
    if problem.kind == "area" and rng.random() < 0.5:
        half = int(true.result) // 2
        return _with_last(problem, Equation("/", (int(true.result), 2), _other(rng, half)).text)
    while True:
        slip = Equation(true.operator, true.operands, _other(rng, int(true.result)))
        if _can_follow(problem, true, slip):
            return _with_first(problem, slip)


def _other(rng: Random, result: int) -> int:
    """Return a number near a result, or one with another digit of ten."""
    near = {result + slip for slip in (-10, -3, -2, -1, 1, 2, 3, 10)}
    return rng.choice(sorted(number for number in near if number > 0))


def _not_know(rng: Random, problem: Problem) -> list[Step] | None:
    """Forget to halve the area, or divide it by three."""
    if problem.kind != "area":
        return None
    product = int(calculation("area", _values(problem)).result)
    divisors = [divisor for divisor in (1, 3) if product % divisor == 0]
    return _with_last(problem, equate("/", (product, rng.choice(divisors))).text)


def _break_off(rng: Random, problem: Problem) -> list[Step] | None:
    """Take a value of an earlier step for the answer."""
    values = set(_values(problem))
    if problem.kind == "area":
        values.add(int(calculation("area", _values(problem)).result))
    wrong = sorted(value for value in values if str(value) != problem.answer)
    return _with_last(problem, f"So the answer is {rng.choice(wrong)}.") if wrong else None


def _values(problem: Problem) -> list[int]:
    return [fact.value for fact in problem.operands]


def _can_follow(problem: Problem, true: Equation, wrong: Equation) -> bool:
    """Whether an equation gives a wrong result that the next step can go on with."""
    return wrong.result != true.result and (problem.kind != "area" or wrong.result % 2 == 0)


def _with_first(problem: Problem, wrong: Equation | str) -> list[Step]:
    """Put a wrong conclusion in the place of the first one; what comes after follows from it."""
    values = _values(problem)
    text = wrong if isinstance(wrong, str) else wrong.text
    right, _ = conclude(problem.kind, [fact.label for fact in problem.operands], values)
    steps = [*read(problem.operands, values), Step(text, None, right[0])]
    if problem.kind == "area" and isinstance(wrong, Equation):
        half = equate("/", (int(wrong.result), 2)).text
        steps.append(Step(half, None, half))
    return steps


def _with_last(problem: Problem, text: str) -> list[Step]:
    *before, last = problem.steps
    return [*before, Step(text, None, last.text)]


_CORRUPTIONS: Mapping[Error, _Corruption] = {
    VALUE: _misread,
    OBJECT: _mistake_object,
    STRUCTURE: _exchange,
    LOGICAL: _reason_wrongly,
    CALCULATION: _miscalculate,
    KNOWLEDGE: _not_know,
    INCOMPLETENESS: _break_off,
}

ERRORS: Sequence[Error] = tuple(_CORRUPTIONS)

FALLBACKS: Mapping[Error, Error] = {
    STRUCTURE: OBJECT,
    OBJECT: VALUE,
    KNOWLEDGE: LOGICAL,
    INCOMPLETENESS: CALCULATION,
}
"""What an error becomes where a question leaves no room for it; the others always find some."""
