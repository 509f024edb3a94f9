"""Algebra behind the fast paths: math-verify, with guards before it.

math-verify's own time limits are alarms, which work in the main thread of a process alone, so they
are off here. Instead, long or towering formulas never reach it; it parses what does, and is asked
for a proof only of what floating point cannot refute: SymPy is quick to prove two formulas equal
and may take for ever to find that they are not.
"""

from __future__ import annotations

import cmath
import logging
import math
import re
from functools import lru_cache
from typing import Any

_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "ln", "log",
              "exp", "frac"}  # fmt: skip
_GREEK = {"theta", "alpha", "beta", "gamma", "lambda", "phi"}
_EVALUATED = {
    **{name: getattr(cmath, name) for name in ("sin", "cos", "tan", "log", "exp")},
    **{f"a{name}": getattr(cmath, f"a{name}") for name in ("sin", "cos", "tan")},
    "Abs": abs,
}
_POINTS = (-7.31, -0.62, 0.41, 2.93, 11.7)
_TOLERANCE = 1e-7
_WORD = re.compile(r"[A-Za-z]+")
_ALLOWED = re.compile(r"[A-Za-z0-9\s+\-*/^=<>≤≥().,\[\]{}|√πθαβ∞∪°_\\]+")
_OPERATOR = re.compile(r"[-+*/^=<>≤≥|√∪\\]")
_NO_FORMULA = re.compile(r"\d{13}|\d\s*/\s*\d+\s*/\s*\d")  # an endless number, a date
_EXPONENT = re.compile(r"(.?)\^\s*(?:\{([^{}]*)\}|\(([^()]*)\)|(-?\w))")
_LONGEST = 160
_DEEPEST = 8
_MOST_BRACKETS = 8
_HIGHEST_DEGREE = 12
_LARGEST_NUMERIC_POWER = 2000
_TO_LATEX = str.maketrans(
    {"π": r"\pi ", "≤": r"\leq ", "≥": r"\geq ", "∞": r"\infty ", "∪": r"\cup ", "*": r"\cdot ",
     "°": r"^{\circ}", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta "}
)  # fmt: skip


def is_algebra(text: str) -> bool:
    """Whether a normalised text is a short formula without towers of powers."""
    if not 0 < len(text) <= _LONGEST or not _ALLOWED.fullmatch(text):
        return False
    if any(len(word) > 2 and word not in _FUNCTIONS | _GREEK for word in _WORD.findall(text)):
        return False
    if text.count("(") > _MOST_BRACKETS or not re.search(r"\w", text) or _NO_FORMULA.search(text):
        return False
    return _nesting(text) <= _DEEPEST and _powers_are_small(text)


def mixes_cases(text: str) -> bool:
    """Whether a letter occurs as a capital and as a small one, as in π(R+r)."""
    letters = set("".join(word for word in _WORD.findall(text) if len(word) < 3))
    return len({letter.lower() for letter in letters}) < len(letters)


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _powers_are_small(text: str) -> bool:
    exponents = _EXPONENT.findall(text)
    if len(exponents) != text.count("^"):
        return False  # an exponent that is no simple group may hide a tower of powers
    degree = 0
    for base, *groups in exponents:
        numbers = re.findall(r"\d+", "".join(groups))
        if len(numbers) > 2 or any(len(number) > 4 for number in numbers):
            return False
        largest = max(map(int, numbers), default=1)
        if base.isdigit() and len(numbers) == 1:
            if largest > _LARGEST_NUMERIC_POWER:
                return False
        else:
            degree += largest
    return degree <= _HIGHEST_DEGREE


def _variables(text: str) -> set[str]:
    words = [word for word in _WORD.findall(text) if word not in _FUNCTIONS]
    greek = {word for word in words if word in _GREEK} | set(re.findall("[θαβ]", text))
    return greek | set("".join(word for word in words if word not in _GREEK).lower())


def _relation(text: str) -> tuple[bool, bool, bool]:
    """Which kinds of relation a text states: strict, not strict, equality."""
    return bool(re.search("[<>]", text)), bool(re.search("[≤≥]", text)), "=" in text


@lru_cache(maxsize=4096)
def equal(truth: str, answer: str) -> bool:
    """Whether two normalised formulas, equations, inequalities or sets are mathematically equal.

    They must use the same variables. False where a guard refuses either.
    """
    if not _OPERATOR.search(truth + answer) or _variables(truth) != _variables(answer):
        return False
    if _relation(truth) != _relation(answer):
        return False
    if not (is_algebra(truth) and is_algebra(answer)):
        return False
    from math_verify import verify  # SymPy takes seconds to import; most runs never come here

    distinct = mixes_cases(truth + " " + answer)
    gold, target = _parse(truth, distinct), _parse(answer, distinct)
    if gold is None or target is None or not _may_be_equal(gold, target):
        return False
    return bool(verify(gold, target, timeout_seconds=None))


@lru_cache(maxsize=4096)
def _parse(text: str, distinct_cases: bool) -> Any | None:
    """Return the SymPy object that a formula states; None where math-verify reads none."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of each limit left off
    latex = re.sub(r"√\s*\(([^()]*)\)", r"\\sqrt{\1}", text).replace("√", r"\sqrt ")
    latex = re.sub(r"(?<![\\A-Za-z])(sin|cos|tan|ln|log|exp)(?![A-Za-z])", r"\\\1", latex)
    if distinct_cases:  # math-verify folds the case of symbols
        latex = re.sub(r"(?<![\\A-Za-z])([A-Z])(?![A-Za-z])", r"{\1_{1}}", latex)
    normalization = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none",
        equations=False,
    )  # fmt: skip
    found = parse(
        f"${latex.translate(_TO_LATEX)}$",
        extraction_config=[LatexExtractionConfig(normalization_config=normalization)],
        fallback_mode="no_fallback",
        parsing_timeout=None,
    )
    return found[0] if found else None


def _may_be_equal(gold: Any, target: Any) -> bool:
    """Compare two SymPy objects at a few points: expressions by value, relations by proportion."""
    if gold.is_Relational and target.is_Relational:
        gold, target = gold.lhs - gold.rhs, target.lhs - target.rhs
        factors = [_quotient(gold, target, point) for point in _POINTS]
        return all(
            factor is not None and cmath.isclose(factor, factors[0] or 0, rel_tol=_TOLERANCE)
            for factor in factors
        )
    if getattr(gold, "is_Set", False) or getattr(target, "is_Set", False):
        return not (gold.free_symbols or target.free_symbols)
    try:
        values = [(_value(gold, point), _value(target, point)) for point in _POINTS]
    except (ArithmeticError, ValueError):
        return False
    return all(cmath.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE) for a, b in values)


def _quotient(gold: Any, target: Any, point: float) -> complex | None:
    try:
        return _value(gold, point) / _value(target, point)
    except (ArithmeticError, ValueError):
        return None


def _value(node: Any, point: float) -> complex:
    """Evaluate a SymPy tree in floating point; each symbol has its own value near `point`."""
    if node.is_Symbol:
        return complex(point + sum(map(ord, node.name)) % 97 / 31)
    if node.is_Number or node.is_NumberSymbol:
        return complex(node)
    values = [_value(argument, point) for argument in node.args]
    name = node.func.__name__
    if node.is_Add:
        return sum(values)
    if node.is_Mul:
        return math.prod(values, start=complex(1))
    if node.is_Pow:
        return values[0] ** values[1]
    if name == "UnevaluatedExpr":
        return values[0]
    if name in _EVALUATED:
        return complex(_EVALUATED[name](*values))
    raise ValueError(f"no value for {name}")
