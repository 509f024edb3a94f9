"""The kinds of pictures: bars, segments, shapes, right triangles and tables.

Each shows two or three quantities, digits from 1 to 9. Names, their order and the places are
random; only the segments of a line follow each other.

One dial in [0, 1] sets how hard the values are to read. At 0 they are black, large and nothing is
in their way. It opens ranges from which every value's ink is drawn on its own: the contrast from
`FAINTEST ** dial` to 1 (evenly in its logarithm), the size, and up to two strokes across it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TypeAlias

from evpv_prm.diagrams.scene import (
    BLACK,
    Clutter,
    Colour,
    Diagram,
    Ellipse,
    Fact,
    Label,
    Line,
    Point,
    Polygon,
    Rectangle,
    Shape,
)

COLOURS: Mapping[str, Colour] = {
    "red": (220, 40, 40),
    "green": (30, 150, 50),
    "blue": (40, 70, 220),
    "orange": (245, 150, 20),
    "purple": (150, 50, 190),
}
CHAINS = ("ABCD", "EFGH", "KLMN", "PQRS", "WXYZ")
OUTLINES = ("circle", "square", "triangle", "star", "cross")
COLUMNS = "KLMNPR"

FAINTEST = 0.06
LARGEST, SMALLEST, SMALLEST_CLEAR = 34, 18, 30
MOST_CLUTTER = 2
_NAME_SIZE = 17

_Content: TypeAlias = tuple[list[Shape], list[Fact]]


def make_diagram(rng: Random, family: str, difficulty: float) -> Diagram:
    """Make a picture of a family of FAMILIES; `difficulty` is the dial, in [0, 1]."""
    shapes, facts = _MAKERS[family](rng, difficulty)
    return Diagram(family, tuple(shapes), tuple(facts), rng.getrandbits(32))


def _bars(rng: Random, difficulty: float) -> _Content:
    shapes: list[Shape] = [Line(((2, 107), (109, 107)))]
    facts: list[Fact] = []
    for place, name in enumerate(rng.sample(tuple(COLOURS), 3)):
        left, top = 5 + 37 * place + rng.randint(-2, 2), rng.randint(56, 72)
        shapes.append(Rectangle((left, top, left + 27, 106), COLOURS[name]))
        at = _near(rng, (left + 14, top - 21))
        _show(rng, difficulty, shapes, facts, f"{name} bar", place, at)
    return shapes, facts


def _segments(rng: Random, difficulty: float) -> _Content:
    names, level = rng.choice(CHAINS), rng.randint(72, 80)
    ends = [(x + rng.randint(-2, 2), level) for x in (11, 41, 71, 101)]
    shapes: list[Shape] = [Line((ends[0], ends[-1]))]
    for name, (x, y) in zip(names, ends, strict=True):
        shapes += [
            Ellipse((x - 3, y - 3, x + 3, y + 3), BLACK),
            Label(name, (x, y + 17), _NAME_SIZE),
        ]
    facts: list[Fact] = []
    for place in range(3):
        middle = (ends[place][0] + ends[place + 1][0]) // 2
        at = _near(rng, (middle, level - 28))
        label = f"segment {names[place : place + 2]}"
        _show(rng, difficulty, shapes, facts, label, place, at)
    return shapes, facts


def _shapes(rng: Random, difficulty: float) -> _Content:
    shapes: list[Shape] = []
    facts: list[Fact] = []
    for place, name in enumerate(rng.sample(OUTLINES, 3)):
        x, y = 19 + 37 * place + rng.randint(-2, 2), rng.randint(76, 86)
        shapes.append(_outline(name, (x, y)))
        at = _near(rng, (x, y - 39))
        _show(rng, difficulty, shapes, facts, name, place, at)
    return shapes, facts


def _outline(name: str, centre: Point) -> Shape:
    x, y = centre
    match name:
        case "circle":
            return Ellipse((x - 15, y - 15, x + 15, y + 15))
        case "square":
            return Rectangle((x - 14, y - 14, x + 14, y + 14))
        case "triangle":
            return Polygon(((x - 16, y + 14), (x, y - 16), (x + 16, y + 14)))
        case "star":
            tips = [
                (x + round(radius * math.sin(turn)), y - round(radius * math.cos(turn)))
                for corner in range(10)
                for radius, turn in [((17, 7)[corner % 2], corner * math.pi / 5)]
            ]
            return Polygon(tuple(tips))
        case _:
            arm, width = 15, 5
            corners = [(width, arm), (width, width), (arm, width), (arm, -width), (width, -width)]
            half = [*corners, (width, -arm)]
            return Polygon(tuple((x + s * dx, y + s * dy) for s in (1, -1) for dx, dy in half))


def _triangles(rng: Random, difficulty: float) -> _Content:
    names = list(rng.choice(CHAINS)[:3])
    # Which leg stands upright, and on which side of the triangle, is random.
    up_name, right_angle, level_name = names if rng.random() < 0.5 else names[::-1]
    side = rng.choice((1, -1))
    corner = (56 - side * rng.randint(18, 22), rng.randint(66, 72))
    top = (corner[0], rng.randint(10, 16))
    tip = (corner[0] + side * rng.randint(52, 58), corner[1])
    shapes: list[Shape] = [
        Polygon((top, corner, tip)),
        Label(up_name, (top[0] + side * 14, top[1]), _NAME_SIZE),
        Label(right_angle, (corner[0] - side * 9, corner[1] + 12), _NAME_SIZE),
        Label(level_name, (tip[0] + side * 3, tip[1] - 15), _NAME_SIZE),
    ]
    facts: list[Fact] = []
    beside = (corner[0] - side * 19, (top[1] + corner[1]) // 2 - 3)
    beneath = ((corner[0] + tip[0]) // 2 + side * 4, corner[1] + 20)
    for place, (name, at) in enumerate(((up_name, beside), (level_name, beneath))):
        ends = "".join(sorted(name + right_angle))
        _show(rng, difficulty, shapes, facts, f"leg {ends}", place, _near(rng, at))
    return shapes, facts


def _tables(rng: Random, difficulty: float) -> _Content:
    left, top = rng.randint(2, 6), rng.randint(12, 22)
    right, middle, bottom = left + 3 * 34, top + 28, top + 74
    shapes: list[Shape] = [
        Rectangle((left, top, right, bottom)),
        Line(((left, middle), (right, middle))),
    ]
    facts: list[Fact] = []
    for place, name in enumerate(rng.sample(COLUMNS, 3)):
        x = left + 34 * place + 17
        if place:
            shapes.append(Line(((x - 17, top), (x - 17, bottom))))
        shapes.append(Label(name, (x, top + 15), _NAME_SIZE))
        at = _near(rng, (x, middle + 23))
        _show(rng, difficulty, shapes, facts, f"cell {name}", place, at)
    return shapes, facts


def _near(rng: Random, at: Point) -> Point:
    return at[0] + rng.randint(-2, 2), at[1] + rng.randint(-2, 2)


def _show(
    rng: Random,
    difficulty: float,
    shapes: list[Shape],
    facts: list[Fact],
    label: str,
    place: int,
    at: Point,
) -> None:
    """Add a quantity: its value's ink, and what stands in its way."""
    value = rng.randint(1, 9)
    contrast = FAINTEST ** (difficulty * rng.random())
    smallest = SMALLEST_CLEAR - difficulty * (SMALLEST_CLEAR - SMALLEST)
    size = rng.randint(round(smallest), LARGEST)
    clutter = sum(rng.random() < difficulty / 2 for _ in range(MOST_CLUTTER))
    shapes.append(Label(str(value), at, size, contrast))
    shapes += [_clutter(rng, at, size) for _ in range(clutter)]
    facts.append(Fact(label, value, place, at, contrast, size, clutter))


def _clutter(rng: Random, at: Point, size: int) -> Clutter:
    """Return a stroke across the box of a value, or a dot in it."""
    (x, y), wide, high = at, size // 3, round(size * 0.4)
    grey = rng.randint(40, 220)
    if rng.random() < 0.5:
        return Clutter(((x + rng.randint(-wide, wide), y + rng.randint(-high, high)),), grey)
    start = (x - wide, y + rng.randint(-high, high))
    return Clutter((start, (x + wide, y + rng.randint(-high, high))), grey)


_MAKERS: Mapping[str, Callable[[Random, float], _Content]] = {
    "Bars": _bars,
    "Segments": _segments,
    "Shapes": _shapes,
    "Triangles": _triangles,
    "Tables": _tables,
}

FAMILIES: Sequence[str] = tuple(_MAKERS)
"""The names of the families, which are datasources too."""


def _labels() -> Sequence[str]:
    segments = [f"segment {chain[i : i + 2]}" for chain in CHAINS for i in range(3)]
    legs = [f"leg {chain[i : i + 2]}" for chain in CHAINS for i in range(2)]
    bars = [f"{colour} bar" for colour in COLOURS]
    return sorted([*bars, *segments, *OUTLINES, *legs, *(f"cell {name}" for name in COLUMNS)])


LABELS: Sequence[str] = tuple(_labels())
"""Every label that a quantity can have, sorted."""

PHRASES: Mapping[str, str] = {
    "Bars": "A bar chart.",
    "Segments": "A line with points.",
    "Shapes": "A row of shapes.",
    "Triangles": "A triangle.",
    "Tables": "A table.",
}
"""What a caption calls a picture of each family: no number or relation, so that whatever spoils a
caption spoils a fact."""
