"""Algebra behind the fast paths: math-verify, with a guard before it.

math-verify's own time limits are alarms, which work in the main thread of a process alone. Here
they are off; what could run for long is kept away from it instead.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "ln", "log",
              "exp", "frac", "theta", "alpha", "beta", "gamma", "lambda", "phi"}  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+")
_ALLOWED = re.compile(r"[A-Za-z0-9\s+\-*/^=<>≤≥().,\[\]{}|√πθαβ∞∪°_\\]+")
_LONGEST = 160
_DEEPEST = 8
_MOST_BRACKETS = 8
_HIGHEST_DEGREE = 12
_LARGEST_NUMERIC_POWER = 2000
_EXPONENT = re.compile(r"(.?)\^\s*(?:\{([^{}]*)\}|\(([^()]*)\)|(-?\w))")
_TO_LATEX = str.maketrans(
    {"π": r"\pi ", "≤": r"\leq ", "≥": r"\geq ", "∞": r"\infty ", "∪": r"\cup ", "*": r"\cdot ",
     "°": r"^{\circ}", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta "}
)  # fmt: skip


def is_algebra(text: str) -> bool:
    """Whether a normalised text is a short formula that math-verify handles in milliseconds."""
    if not 0 < len(text) <= _LONGEST or not _ALLOWED.fullmatch(text):
        return False
    if any(len(word) > 2 and word not in _FUNCTIONS for word in _WORD.findall(text)):
        return False
    if text.count("(") > _MOST_BRACKETS or re.search(r"\d{13}", text):
        return False
    return _nesting(text) <= _DEEPEST and _powers_are_small(text)


def mixes_cases(text: str) -> bool:
    """Whether a letter occurs as a capital and as a small one, as in π(R+r)."""
    letters = {word for word in _WORD.findall(text) if len(word) < 3}
    return any(
        letter.lower() in "".join(letters) for letter in "".join(letters) if letter.isupper()
    )


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


@lru_cache(maxsize=4096)
def equal(truth: str, answer: str) -> bool:
    """Whether two normalised formulas, equations, inequalities or sets are mathematically equal.

    False where the guard refuses either.
    """
    if not (is_algebra(truth) and is_algebra(answer)):
        return False
    from math_verify import verify  # SymPy takes seconds to import; most runs never come here

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    distinct = mixes_cases(truth + " " + answer)
    gold, target = _parse(truth, distinct), _parse(answer, distinct)
    return bool(gold and target and verify(gold, target, timeout_seconds=None))


@lru_cache(maxsize=4096)
def _parse(text: str, distinct_cases: bool) -> list[Any]:
    from math_verify import LatexExtractionConfig, parse

    latex = re.sub(r"√\s*\(([^()]*)\)", r"\\sqrt{\1}", text).replace("√", r"\sqrt ")
    latex = re.sub(r"(?<![\\A-Za-z])(sin|cos|tan|ln|log|exp)(?![A-Za-z])", r"\\\1", latex)
    if distinct_cases:  # math-verify folds the case of symbols
        latex = re.sub(r"(?<![\\A-Za-z])([A-Z])(?![A-Za-z])", r"{\1_{1}}", latex)
    return list(
        parse(
            f"${latex.translate(_TO_LATEX)}$",
            extraction_config=[LatexExtractionConfig()],
            parsing_timeout=None,
        )
    )
