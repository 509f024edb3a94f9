"""Numbers in answers: their value, their decimals, their unit, and when two are equal."""

from __future__ import annotations

import math
import re
from collections.abc import Set
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from evpv_prm.answers.units import compatible, split_unit

_LITERAL = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?!\d))?"
_PLAIN = re.compile(rf"[+-]?\s*(?:{_LITERAL}|\d{{1,3}}(?: \d{{3}})+(?:\.\d+)?)")
_TOKEN = re.compile(rf"\s*({_LITERAL}|\\frac(?![A-Za-z])|[-+*/^()\[\]{{}}π√])")
_APPROXIMATELY = re.compile(
    r"^(?:(?:about|around|approximately|approx\.?|roughly|nearly)(?![a-z])|[≈=])\s*", re.IGNORECASE
)
_CURRENCY = re.compile(r"^([+-]?)\s*[£€¥¢]\s*(?=[\d.])")
_MIXED = re.compile(r"(?<![\d./^_,])(\d+)\s*(?:\\frac\{(\d+)\}\{(\d+)\}|\s(\d+)/(\d+)(?!\d))")
_DATE = re.compile(r"\d+\s*/\s*\d+\s*/\s*\d+")
_COUNTED = re.compile(r"([+-]?[\d.,]+)\s+([A-Za-z-]{3,}(?:\s+[A-Za-z-]{3,}){0,2})")
_MAGNITUDES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MAGNITUDE = re.compile(
    rf"([+-]?\s*{_LITERAL})\s*({'|'.join(_MAGNITUDES)})(?![A-Za-z])", re.IGNORECASE
)
_NOT_COUNTED = {"squared", "cubed", "dozen", "half", "third", "quarter", "not", "and", "minus",
                "plus", "over", "sqrt", *_MAGNITUDES}  # fmt: skip
_LONGEST = 200
_DEEPEST = 20


@dataclass(frozen=True)
class Quantity:
    """A number that an answer states.

    `decimals` counts the digits after the point of a plain number and is 0 for an expression such
    as 4π; `unit` is None for a bare number.
    """

    value: Decimal
    decimals: int
    unit: str | None


@lru_cache(maxsize=1 << 14)
def read_quantity(text: str, words: frozenset[str] = frozenset()) -> Quantity | None:
    """Read a normalised text that is one number, with or without a unit.

    `words` are the words of the question, in lower case: "5 apples" is 5 where the question speaks
    of apples. Closed forms of + - * / ^, fractions, roots and π are evaluated here in floating
    point, which bounds the cost of any power. Returns None for everything else.
    """
    text = _CURRENCY.sub(r"\1", _APPROXIMATELY.sub("", text.strip())).strip()
    if not text or len(text) > _LONGEST:
        return None
    if plain := _plain(text):
        return Quantity(*plain, unit=None)
    number, unit = split_unit(text)
    if unit is None and (match := _COUNTED.fullmatch(text)):
        counted = set(match[2].lower().split())
        if counted <= words and not counted & _NOT_COUNTED:
            number = match[1]
    if match := _MAGNITUDE.fullmatch(number):
        value, decimals = _plain(match[1]) or (Decimal(0), 0)
        power = _MAGNITUDES[match[2].lower()]
        return Quantity(value.scaleb(power), max(0, decimals - power), unit)
    read = _plain(number) or _closed_form(number)
    return Quantity(*read, unit=unit) if read else None


def _plain(text: str) -> tuple[Decimal, int] | None:
    if not _PLAIN.fullmatch(text):
        return None
    digits = re.sub(r"[,\s]", "", text)
    try:
        value = Decimal(digits)
    except InvalidOperation:
        return None
    exponent = value.as_tuple().exponent
    return value, max(0, -exponent) if isinstance(exponent, int) else 0


def _closed_form(text: str) -> tuple[Decimal, int] | None:
    if _DATE.fullmatch(text):
        return None
    text = _MIXED.sub(_mixed_number, text)
    try:
        value = _Evaluator(text).value()
    except (ValueError, ArithmeticError):
        return None
    return (Decimal(repr(value)), 0) if math.isfinite(value) else None


def _mixed_number(match: re.Match[str]) -> str:
    whole, *fraction = (part for part in match.groups() if part)
    numerator, denominator = fraction
    return f"({whole}+{numerator}/{denominator})" if int(numerator) < int(denominator) else match[0]


class _Evaluator:
    """A recursive-descent parser over numbers, + - * / ^, brackets, \\frac, √ and π."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        self._next = 0
        self._depth = 0
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if not match:
                raise ValueError("not a closed form")
            self._tokens.append(match[1])
            position = match.end()

    def value(self) -> float:
        value = self._sum()
        if self._peek():
            raise ValueError("not a closed form")
        return value

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self._peek()
        if not token or (expected and token != expected):
            raise ValueError("not a closed form")
        self._next += 1
        return token

    def _sum(self) -> float:
        value = self._product()
        while self._peek() in ("+", "-"):
            sign = 1 if self._take() == "+" else -1
            value += sign * self._product()
        return value

    def _product(self) -> float:
        value = self._signed()
        while token := self._peek():
            if token in ("*", "/"):
                self._take()
                factor = self._signed()
                value = value * factor if token == "*" else value / factor
            elif token in ("(", "π", "√", "\\frac"):
                value *= self._power()
            else:
                break
        return value

    def _signed(self) -> float:
        negative = False
        while self._peek() in ("+", "-"):
            negative ^= self._take() == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> float:
        value = self._atom()
        if self._peek() != "^":
            return value
        self._take()
        self._descend()
        power = math.pow(value, self._signed())  # bounded: overflows instead of growing
        self._depth -= 1
        return power

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("nested too deeply")

    def _group(self, opening: str, closing: str) -> float:
        self._take(opening)
        self._descend()
        value = self._sum()
        self._depth -= 1
        self._take(closing)
        return value

    def _argument(self) -> float:
        """Read what a \\frac takes: a group, or one digit or π without braces."""
        if self._peek() == "{":
            return self._group("{", "}")
        token = self._take()
        if len(token) > 1:
            raise ValueError("not a closed form")
        return math.pi if token == "π" else float(token)

    def _atom(self) -> float:
        token = self._peek()
        if token == "(":
            return self._group("(", ")")
        if token == "{":
            return self._group("{", "}")
        self._take()
        if token == "π":
            return math.pi
        if token == "\\frac":
            return self._argument() / self._argument()
        if token == "√":
            degree = self._group("[", "]") if self._peek() == "[" else 2.0
            radicand = self._atom()
            return math.sqrt(radicand) if degree == 2 else math.pow(radicand, 1 / degree)
        return float(token.replace(",", ""))  # a ValueError for an operator out of place


def equal(truth: Quantity, answer: Quantity, words: Set[str] = frozenset()) -> bool:
    """Whether an answer's number is the truth's, within the tolerance and the units' rules.

    A percentage is equal to itself without its sign and to its fraction: 13% = 13 = 0.13. Where
    the truth is bare, 50% is 0.5, and 50 if the question speaks of percentages.
    """
    if answer.unit == "%" and truth.unit is None:
        asked = bool(words & {"%", "percent", "percentage"})
        return _close(truth, answer.value.scaleb(-2)) or (asked and _close(truth, answer.value))
    if truth.unit == "%" and answer.unit is None and _close(truth, answer.value.scaleb(2)):
        return True
    return compatible(truth.unit, answer.unit) and _close(truth, answer.value)


def _close(truth: Quantity, value: Decimal) -> bool:
    half_unit = Decimal(5).scaleb(-max(2, truth.decimals) - 1)
    difference = abs(truth.value - value)
    return difference <= half_unit and difference <= abs(truth.value) / 50
