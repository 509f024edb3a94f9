"""Plausible errors in image descriptions, put in by fixed rules.

Descriptions to train on get errors of four kinds: numbers, relations (words with an opposite),
labels (names of points made of capital letters) and counts (number words). A statement that has to
be falsified is changed wherever that can be done: in any number, then in a sign of comparison, a
relation, a count, a label. What is changed and into what follows from the caller's draws alone.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from evpv_prm.engine.base import Failure
from evpv_prm.parsing import parse_json

OPPOSITES = (
    ("left", "right"), ("leftmost", "rightmost"), ("above", "below"), ("top", "bottom"),
    ("upper", "lower"), ("inside", "outside"), ("parallel", "perpendicular"),
    ("horizontal", "vertical"), ("horizontally", "vertically"), ("longer", "shorter"),
    ("longest", "shortest"), ("taller", "shorter"), ("larger", "smaller"), ("bigger", "smaller"),
    ("largest", "smallest"), ("greater", "less"), ("higher", "lower"), ("highest", "lowest"),
    ("wider", "narrower"), ("more", "fewer"), ("most", "fewest"), ("maximum", "minimum"),
    ("increasing", "decreasing"), ("increases", "decreases"), ("rising", "falling"),
    ("acute", "obtuse"), ("clockwise", "counterclockwise"), ("inscribed", "circumscribed"),
    ("solid", "dashed"), ("equal", "unequal"), ("before", "after"), ("shaded", "unshaded"),
    ("filled", "empty"), ("open", "closed"), ("interior", "exterior"), ("convex", "concave"),
    ("positive", "negative"), ("diameter", "radius"), ("tangent", "secant"),
)  # fmt: skip
"""Relations and comparatives with what takes their place."""

COUNTS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip

SIGNS = {
    "=": ("!=", "<", ">"), "==": ("!=", "<", ">"), "!=": ("=",), "≠": ("=",),
    "<": (">", ">=", "="), ">": ("<", "<=", "="),
    "<=": (">",), ">=": ("<",), "≤": (">",), "≥": ("<",),
}  # fmt: skip
"""Signs of comparison with those that contradict them."""

_RELATIONS = {second: first for first, second in reversed(OPPOSITES)} | dict(OPPOSITES)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PATTERNS = {
    "number": re.compile(r"(?<![\w.,])[0-9]+(?:\.[0-9]+)?(?!\d|[.,]\d|(?:D|st|nd|rd|th)\b)"),
    "relation": re.compile(rf"\b(?:{'|'.join(_RELATIONS)})\b", re.IGNORECASE),
    # "A" and "I" alone are words as well; so are most names longer than a polygon's.
    "label": re.compile(r"(?<![\w'])(?:[B-HJ-Z]|[A-Z]{2,5})(?![\w'])"),
    "count": re.compile(rf"\b(?:{'|'.join(COUNTS)})\b", re.IGNORECASE),
    # Also 1,000 and the numbers of (3,4), which is no thousands.
    "any_number": re.compile(
        r"(?<![A-Za-z0-9_])(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"
        r"(?!\d|,\d{3}|(?:D|st|nd|rd|th)\b)"
    ),
    "sign": re.compile(r"(?<![-<=>!])(?:[<>=!]=|[<>=≤≥≠])(?![<=>])"),  # no arrow
    "digits": re.compile(r"[0-9]+"),  # of x1, 2nd, 3D
}

_PLAUSIBLE = ("number", "relation", "label", "count")
_BY_WEIGHT = ("any_number", "sign", "relation", "count", "label", "digits")
"""What a statement's truth depends on, the weightiest first; a name with digits comes last."""


@dataclass(frozen=True)
class Error:
    """One wrong word: its kind, the words that stood there, and those that do now."""

    kind: str
    original: str
    replacement: str

    def to_json(self) -> dict[str, str]:
        """Return the error as a JSON object."""
        return {"kind": self.kind, "original": self.original, "replacement": self.replacement}


@dataclass(frozen=True)
class Corruption:
    """A description with errors, which are in the order of the text."""

    text: str
    errors: tuple[Error, ...]


def corrupt(
    description: str, key: str, seed: int, max_errors: int, min_errors: int = 1
) -> Corruption | None:
    """Put `min_errors` to `max_errors` errors into a description; None if nothing can be changed.

    It gets fewer where there is not so much to change.
    The kinds take turns in a drawn order, so that a description full of numbers gets other errors
    too. The text always differs from the description.
    """
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    draw = random.Random(int.from_bytes(digest))
    sites = {kind: _sites(kind, description) for kind in _PLAUSIBLE}
    kinds = [kind for kind in sites if sites[kind]]
    if not kinds:
        return None
    draw.shuffle(kinds)
    wanted = draw.randint(min_errors, max_errors)
    chosen: list[tuple[re.Match[str], str]] = []
    while kinds and len(chosen) < wanted:
        kind = kinds.pop(0)
        site = sites[kind].pop(draw.randrange(len(sites[kind])))
        chosen.append((site, kind))
        if sites[kind]:
            kinds.append(kind)
    text, end, errors = "", 0, []
    for site, kind in sorted(chosen, key=lambda entry: entry[0].start()):
        replacement = _CHANGES[kind](site[0], description, draw)
        errors.append(Error(kind, site[0], replacement))
        text += description[end : site.start()] + replacement
        end = site.end()
    return Corruption(text + description[end:], tuple(errors))


def falsify(statement: str, draw: random.Random, context: str) -> Corruption | None:
    """Change one word of a statement so that it says something else; None if that cannot be done.

    The word is of the weightiest kind that the statement has. A label changes to one that the
    `context` names, if there is one.
    """
    for kind in _BY_WEIGHT:
        if sites := _sites(kind, statement):
            site = draw.choice(sites)
            replacement = _CHANGES[kind](site[0], context, draw)
            text = statement[: site.start()] + replacement + statement[site.end() :]
            return Corruption(text, (Error(kind, site[0], replacement),))
    return None


def corrupt_throughout(
    description: str, key: str, seed: int, max_errors: int, min_errors: int = 1
) -> Corruption | None:
    """Put the errors of `corrupt` wherever their words stand, so that no sentence betrays another.

    Each error is named once; there are fewer where the same word was chosen twice.
    """
    found = corrupt(description, key, seed, max_errors, min_errors)
    if found is None:
        return None
    changes: dict[tuple[str, str], Error] = {}
    for error in found.errors:
        changes.setdefault((error.kind, error.original), error)
    text = description
    for kind, pattern in _PATTERNS.items():
        words = {error.original: error for error in changes.values() if error.kind == kind}
        places = [match for match in pattern.finditer(text) if match[0] in words]
        for match in reversed(places):
            text = text[: match.start()] + words[match[0]].replacement + text[match.end() :]
    return Corruption(text, tuple(changes.values()))


class _NoiseError(BaseModel):
    kind: Literal["number", "relation", "label", "count"]
    original: str = Field(min_length=1)
    replacement: str = Field(min_length=1)


class _Noise(BaseModel):
    errors: list[_NoiseError] = Field(min_length=1)
    image_description: str


def parse_noise(
    text: str, chosen: str, max_errors: int, min_errors: int = 1
) -> Corruption | Failure:
    """Read a model's {"errors", "image_description"} and hold it against the right description.

    Kinds of failure: "invalid_json"; "invalid_noise" (a missing or wrong field, too many errors or
    too few, or one that does not say what stood in the right text and what in the wrong one);
    "unchanged".
    """
    noise = parse_json(text, _Noise, "invalid_noise")
    if isinstance(noise, Failure):
        return noise
    rejected = noise.image_description.strip()
    if not rejected or rejected.split() == chosen.split():
        return Failure("unchanged", text=text)
    if not min_errors <= len(noise.errors) <= max_errors:
        expected = f"expected {min_errors} to {max_errors} errors, found {len(noise.errors)}"
        return Failure("invalid_noise", expected, text)
    errors = tuple(Error(e.kind, e.original, e.replacement) for e in noise.errors)
    for error in errors:
        is_told = error.original in chosen and error.replacement in rejected
        if not is_told or error.original == error.replacement:
            return Failure("invalid_noise", f"error {error.to_json()}", text)
    return Corruption(rejected, errors)


def _sites(kind: str, description: str) -> list[re.Match[str]]:
    """Find what can be changed; no two kinds share a word."""
    found = _PATTERNS[kind].finditer(description)
    words = _RELATIONS.keys() | set(COUNTS)
    return [match for match in found if kind != "label" or match[0].lower() not in words]


def _other_number(word: str, _description: str, draw: random.Random) -> str:
    """Misread a number by a little, or double it, with as many decimals."""
    decimals = len(word.partition(".")[2])
    value = int(re.sub("[.,]", "", word))  # in units of the last decimal
    changed = draw.choice([value + 1, value + 2, 2 * value + 1, max(value - 1, 0), 10 * value + 5])
    if changed == value:  # 0 cannot be lowered
        changed = value + 1
    whole, part = divmod(changed, 10**decimals)
    text = f"{whole:,}" if "," in word else str(whole)
    return f"{text}.{part:0{decimals}}" if decimals else text


def _other_sign(word: str, _description: str, draw: random.Random) -> str:
    return draw.choice(SIGNS[word])


def _other_relation(word: str, _description: str, _draw: random.Random) -> str:
    return _in_case_of(word, _RELATIONS[word.lower()])


def _other_label(word: str, description: str, draw: random.Random) -> str:
    """Change one letter of a label to one that the description names elsewhere, if there is one."""
    labels = _sites("label", description)
    named = sorted({letter for label in labels for letter in label[0]} - set(word))
    others = named or [letter for letter in _ALPHABET if letter not in word]
    place = draw.randrange(len(word))
    return word[:place] + draw.choice(others) + word[place + 1 :]


def _other_count(word: str, _description: str, draw: random.Random) -> str:
    index = COUNTS.index(word.lower())
    near = [n for n in (index - 1, index + 1, index + 2) if 0 <= n < len(COUNTS)]
    return _in_case_of(word, COUNTS[draw.choice(near)])


def _in_case_of(word: str, other: str) -> str:
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


_CHANGES: dict[str, Callable[[str, str, random.Random], str]] = {
    "number": _other_number,
    "relation": _other_relation,
    "label": _other_label,
    "count": _other_count,
    "any_number": _other_number,
    "sign": _other_sign,
    "digits": _other_number,
}
