"""Questions about pictures, and how they are solved: read the values, then calculate.

A reading step is the fact's statement; the steps after it are equations, or a comparison. Answers
are bare numbers, or the letter of an option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from evpv_prm.diagrams.families import FAMILIES, PHRASES, make_diagram
from evpv_prm.diagrams.scene import Diagram, Fact, statement

PAIRS = "Pairs"
"""The datasource whose questions are about two pictures."""

DATASOURCES: Sequence[str] = (*FAMILIES, PAIRS)

_OPERATORS: Mapping[str, str] = {
    "sum": "+",
    "total": "+",
    "difference": "-",
    "product": "*",
    "twice": "*",
    "area": "*",
}
_OF_TWO = ("sum", "difference", "product")
_KINDS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(FAMILIES, (*_OF_TWO, "total", "twice", "larger")),
    "Triangles": (*_OF_TWO, "twice", "area", "larger"),
    PAIRS: _OF_TWO,
}
_LETTERS = "AB"


@dataclass(frozen=True)
class Step:
    """One step of a solution, the fact that it reads, and what a judge would quote about it.

    `evidence` is the right step, given the steps before it as they stand.
    """

    text: str
    fact: Fact | None
    evidence: str


@dataclass(frozen=True)
class Equation:
    """`7 + 4 = 11`; nothing says that the result is right."""

    operator: str
    operands: tuple[int, ...]
    result: int | float

    @property
    def text(self) -> str:
        """The equation as a step."""
        left = f" {self.operator} ".join(map(str, self.operands))
        return f"{left} = {self.result:g}."


@dataclass(frozen=True)
class Problem:
    """A question about one or two pictures.

    `operands` are the facts that it asks for, in its order; `options` what can be chosen, or
    nothing; `steps` a right solution.
    """

    datasource: str
    kind: str
    question: str
    operands: tuple[Fact, ...]
    options: tuple[str, ...]
    answer: str
    diagrams: tuple[Diagram, ...]
    steps: tuple[Step, ...]

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All facts of the pictures, picture by picture."""
        return tuple(fact for diagram in self.diagrams for fact in diagram.facts)

    @property
    def description(self) -> str:
        """All facts of the pictures in one paragraph."""
        texts = [" ".join(fact.statement for fact in diagram.facts) for diagram in self.diagrams]
        return " ".join(f"{self._place(number)}{text}" for number, text in enumerate(texts, 1))

    @property
    def caption(self) -> dict[str, Any]:
        """All facts of the pictures in the form of key facts."""
        facts = [
            f"{self._place(number)}{fact.statement}"
            for number, diagram in enumerate(self.diagrams, 1)
            for fact in diagram.facts
        ]
        phrase = " ".join(PHRASES[diagram.family] for diagram in self.diagrams)
        return {"caption": phrase, "key_facts": facts, "uncertain": []}

    @property
    def solution(self) -> dict[str, Any]:
        """A right solution as the policy would give it."""
        return policy_solution(self.steps, self.answer)

    def _place(self, number: int) -> str:
        return f"In image {number}: " if len(self.diagrams) > 1 else ""


def policy_solution(steps: Sequence[Step], answer: str) -> dict[str, Any]:
    """Return a solution as the policy would give it; a reading step depends on what it says."""
    process = [
        {"steptext": step.text, "visualdependency": step.text if step.fact else None}
        for step in steps
    ]
    return {"reasoningprocess": process, "finalanswer": answer}


def make_problem(rng: Random, datasource: str, difficulty: float) -> Problem:
    """Make a question of one of DATASOURCES; `difficulty` is the dial of its pictures."""
    kind = rng.choice(_KINDS[datasource])
    while True:
        problem = _try_problem(rng, datasource, kind, difficulty)
        if problem is not None:
            return problem


def _try_problem(rng: Random, datasource: str, kind: str, difficulty: float) -> Problem | None:
    """Draw pictures and what is asked of them; None where the values do not suit the kind."""
    families = rng.sample(FAMILIES, 2) if datasource == PAIRS else [datasource]
    diagrams = [make_diagram(rng, family, difficulty) for family in families]
    if datasource == PAIRS:
        operands = [rng.choice(diagram.facts) for diagram in diagrams]
    elif kind == "total":
        operands = list(diagrams[0].facts)
    else:
        operands = rng.sample(diagrams[0].facts, 1 if kind == "twice" else 2)
    values = [fact.value for fact in operands]
    if kind in ("difference", "larger") and values[0] == values[1]:
        return None
    if kind == "area" and values[0] * values[1] % 2:
        return None
    if kind == "difference" and values[0] < values[1]:
        operands.reverse()
        if datasource == PAIRS:
            diagrams.reverse()
    names = [f"the {fact.label}" for fact in operands]
    options = tuple(names) if kind == "larger" else ()
    if datasource == PAIRS:
        names = [f"{name} in <image {number}>" for number, name in enumerate(names, 1)]
    steps, answer = _solve(kind, operands, {})
    return Problem(
        datasource,
        kind,
        _question(kind, names),
        tuple(operands),
        options,
        answer,
        tuple(diagrams),
        steps,
    )


def _question(kind: str, names: Sequence[str]) -> str:
    match kind:
        case "total":
            return "What is the sum of all values?"
        case "twice":
            return f"What is twice {names[0]}?"
        case "area":
            return "What is the area of the triangle?"
        case "larger":
            choices = [f"({letter}) {name}" for letter, name in zip(_LETTERS, names, strict=True)]
            return "\n".join(["Which is larger?", "Choices:", *choices])
        case _:
            return f"What is the {kind} of {names[0]} and {names[1]}?"


def solve(
    problem: Problem, readings: Mapping[str, int] | None = None
) -> tuple[tuple[Step, ...], str]:
    """Solve a question with what was read (label to value; what is missing is read rightly).

    Returns the steps and the answer. Every calculation is right for what was read.
    """
    return _solve(problem.kind, problem.operands, readings or {})


def _solve(
    kind: str, operands: Sequence[Fact], readings: Mapping[str, int]
) -> tuple[tuple[Step, ...], str]:
    values = [readings.get(fact.label, fact.value) for fact in operands]
    texts, answer = conclude(kind, [fact.label for fact in operands], values)
    return (*read(operands, values), *(Step(text, None, text) for text in texts)), answer


def read(operands: Sequence[Fact], values: Sequence[int]) -> list[Step]:
    """Return the steps that read these values of facts, be they right or not."""
    return [
        Step(statement(fact.label, value), fact, fact.statement)
        for fact, value in zip(operands, values, strict=True)
    ]


def conclude(kind: str, labels: Sequence[str], values: Sequence[int]) -> tuple[list[str], str]:
    """Return the texts of the steps after the readings, and the answer."""
    if kind == "larger":
        first, second = values
        at = 0 if first >= second else 1
        return [comparison(labels, values, at)], _LETTERS[at]
    equation = calculation(kind, values)
    equations = [equation]
    if kind == "area":
        equations.append(equate("/", (int(equation.result), 2)))
    return [each.text for each in equations], f"{equations[-1].result:g}"


def comparison(labels: Sequence[str], values: Sequence[int], larger: int) -> str:
    """Compare two values, the larger first, and call one of them (0 or 1) the larger."""
    if values[0] == values[1]:
        return f"{values[0]} = {values[1]}, so neither is larger."
    return f"{max(values)} > {min(values)}, so the {labels[larger]} is larger."


def calculation(kind: str, values: Sequence[int]) -> Equation:
    """Return the equation that follows the readings; every kind but "larger" has one."""
    match kind:
        case "twice":
            operands = (2, *values)
        case "difference":
            operands = tuple(sorted(values, reverse=True))
        case _:
            operands = tuple(values)
    return equate(_OPERATORS[kind], operands)


def equate(operator: str, operands: tuple[int, ...]) -> Equation:
    """Return an equation with the right result: of + - * (any number of operands) or / (two)."""
    result: int | float = operands[0]
    for operand in operands[1:]:
        match operator:
            case "+":
                result += operand
            case "-":
                result -= operand
            case "*":
                result *= operand
            case _:
                result /= operand
    return Equation(operator, operands, result)
