"""The kinds of exercises: each draws its values, then its diagram, its question and its solution.

An exercise asks for one whole number. Every step of its solution reads one fact off the diagram,
or calculates (`fact` is None).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import radians, sin
from random import Random
from typing import TypeAlias

from evpv_prm.diagrams.scene import (
    Arc,
    Circle,
    Diagram,
    Fact,
    Label,
    Point,
    Polyline,
    Shape,
    beyond,
    direction,
    fit,
    midpoint,
    polar,
)

LANDSCAPE, SQUARE = (196, 168), (168, 168)
MARGIN = 34
PALETTE = ("lightsteelblue", "khaki", "lightsalmon", "lightgreen", "plum")
PYTHAGOREAN_TRIPLES = ((3, 4, 5), (6, 8, 10), (5, 12, 13), (9, 12, 15), (8, 15, 17))
NAMES = ("ABCD", "EFGH", "JKLM", "PQRS", "WXYZ")


@dataclass(frozen=True)
class Step:
    """One step of a solution and the fact that it reads off the diagram."""

    text: str
    fact: Fact | None = None


@dataclass(frozen=True)
class Exercise:
    """A diagram, what is asked for ("the area of triangle ABC"), its value and the way there.

    `unit` is written behind the options of a multiple-choice question.
    """

    diagram: Diagram
    wanted: str
    value: int
    steps: tuple[Step, ...]
    unit: str = ""


Maker: TypeAlias = Callable[[Random], Exercise]


def triangle_area(rng: Random) -> Exercise:
    """The area of a right triangle with both legs labelled."""
    legs = rng.choice([(a, b) for a in range(4, 13) for b in range(4, 13) if a * b % 2 == 0])
    names = rng.choice(NAMES)[:3]
    diagram, (first, second) = _right_triangle(rng, names, legs)
    value = legs[0] * legs[1] // 2
    last = Step(f"The area is {legs[0]} × {legs[1]} ÷ 2 = {value}.")
    return Exercise(
        diagram, f"the area of triangle {names}", value, (_read(first), _read(second), last)
    )


def hypotenuse(rng: Random) -> Exercise:
    """The longest side of a right triangle with both legs labelled."""
    *legs, value = rng.choice(PYTHAGOREAN_TRIPLES)
    rng.shuffle(legs)
    names = rng.choice(NAMES)[:3]
    diagram, (first, second) = _right_triangle(rng, names, (legs[0], legs[1]))
    last = Step(f"By Pythagoras, {legs[0]}² + {legs[1]}² = {value**2}, the square of {value}.")
    wanted = f"the length of side {names[0]}{names[2]}"
    return Exercise(diagram, wanted, value, (_read(first), _read(second), last))


def rectangle_area(rng: Random) -> Exercise:
    """The area of a rectangle with two sides labelled."""
    diagram, names, (width, height) = _rectangle(rng)
    value = width.value * height.value
    last = Step(f"The area is {width.value} × {height.value} = {value}.")
    return Exercise(
        diagram, f"the area of rectangle {names}", value, (_read(width), _read(height), last)
    )


def rectangle_perimeter(rng: Random) -> Exercise:
    """The perimeter of a rectangle with two sides labelled."""
    diagram, names, (width, height) = _rectangle(rng)
    value = 2 * (width.value + height.value)
    last = Step(f"The perimeter is 2 × ({width.value} + {height.value}) = {value}.")
    wanted = f"the perimeter of rectangle {names}"
    return Exercise(diagram, wanted, value, (_read(width), _read(height), last))


def third_angle(rng: Random) -> Exercise:
    """The third angle of a triangle with two angles labelled."""
    left, right = rng.randint(38, 72), rng.randint(38, 72)
    names = rng.choice(NAMES)[:3]
    corners = fit(((0.0, 0.0), (1.0, 0.0), _apex(left, right)), LANDSCAPE, margin=22)
    middle = midpoint(corners)
    shapes: list[Shape] = [Polyline(corners, closed=True)]
    shapes += [Label(name, beyond(at, middle, 12)) for name, at in zip(names, corners, strict=True)]
    facts = []
    for name, value, start in ((names[0], left, 0), (names[1], right, 180 - right)):
        corner = corners[names.index(name)]
        facts.append(_angle(shapes, f"angle {name}", value, corner, start))
    value = 180 - left - right
    last = Step(f"The angles add up to 180°: 180 - {left} - {right} = {value}.")
    return Exercise(
        Diagram(LANDSCAPE, tuple(shapes), tuple(facts)),
        f"the size of angle {names[2]} in degrees",
        value,
        (_read(facts[0]), _read(facts[1]), last),
        unit="°",
    )


def angle_on_line(rng: Random) -> Exercise:
    """The angle that is left over on a straight line beside one labelled angle."""
    known = rng.randint(40, 140)
    left, right, foot, tip = list(rng.choice(NAMES))
    ends = ((14.0, 132.0), (182.0, 132.0))
    centre = (98.0 + rng.randint(-14, 14), 132.0)
    end = polar(centre, 84, known)
    shapes: list[Shape] = [Polyline(ends), Polyline((centre, end))]
    places = ((right, (176.0, 148.0)), (left, (20.0, 148.0)), (foot, (centre[0], 148.0)))
    shapes += [Label(name, at) for name, at in places]
    shapes.append(Label(tip, beyond(end, centre, 12)))
    fact = _angle(shapes, f"angle {right}{foot}{tip}", known, centre, 0)
    value = 180 - known
    last = Step(f"Angles on a straight line add up to 180°: 180 - {known} = {value}.")
    wanted = f"the size of angle {tip}{foot}{left} in degrees"
    diagram = Diagram(LANDSCAPE, tuple(shapes), (fact,))
    return Exercise(diagram, wanted, value, (_read(fact), last), unit="°")


def count_figures(rng: Random) -> Exercise:
    """How many figures of two of three kinds there are."""
    cells = [(28.0 + 37.5 * column, 28.0 + 37.5 * row) for row in range(4) for column in range(4)]
    rng.shuffle(cells)
    colours = rng.sample(PALETTE, 3)
    shapes: list[Shape] = []
    facts = []
    for kind, colour in zip(("circle", "square", "triangle"), colours, strict=True):
        count = rng.randint(2, 5)
        places = tuple(
            (x + rng.uniform(-4, 4), y + rng.uniform(-4, 4))
            for x, y in (cells.pop() for _ in range(count))
        )
        shapes += [_figure(kind, at, colour) for at in places]
        facts.append(Fact(f"{kind}s", count, f"There are {count} {kind}s.", places))
    first, second = rng.sample(facts, 2)
    value = first.value + second.value
    last = Step(f"Together there are {first.value} + {second.value} = {value}.")
    return Exercise(
        Diagram(SQUARE, tuple(shapes), tuple(facts)),
        f"the number of {first.name} and {second.name} together",
        value,
        (_read(first), _read(second), last),
    )


def bar_difference(rng: Random) -> Exercise:
    """By how much one bar of a bar chart is higher than another."""
    names = rng.choice(NAMES)
    values = rng.sample(range(2, 20), len(names))
    floor, unit = 144.0, 112 / max(values)
    shapes: list[Shape] = []
    facts = []
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        left = 16.0 + 43 * index
        top = floor - unit * value
        corners = ((left, floor), (left, top), (left + 30, top), (left + 30, floor))
        place = (left + 15, top - 11)
        shapes.append(Polyline(corners, closed=True, fill=PALETTE[index]))
        shapes += [Label(name, (left + 15, floor + 12)), Label(str(value), place)]
        facts.append(Fact(f"bar {name}", value, f"The bar {name} is labelled {value}.", (place,)))
    shapes.append(Polyline(((6.0, floor), (190.0, floor))))
    lower, higher = sorted(rng.sample(facts, 2), key=lambda fact: fact.value)
    value = higher.value - lower.value
    last = Step(f"The difference is {higher.value} - {lower.value} = {value}.")
    return Exercise(
        Diagram(LANDSCAPE, tuple(shapes), tuple(facts)),
        f"the difference between {higher.name} and {lower.name}",
        value,
        (_read(higher), _read(lower), last),
    )


def _read(fact: Fact) -> Step:
    return Step(f"Read the diagram: {fact.name} = {fact.value}.", fact)


def _right_triangle(
    rng: Random, names: str, legs: tuple[int, int]
) -> tuple[Diagram, tuple[Fact, Fact]]:
    """Draw a triangle with the right angle at the second corner; the facts are its legs."""
    across, up = rng.choice((1, -1)), rng.choice((1, -1))
    # The outline follows the proportions, but a leg never gets too short for its label.
    wide, high = (max(leg, max(legs) / 2) for leg in legs)
    corners = fit(((across * wide, 0.0), (0.0, 0.0), (0.0, up * high)), LANDSCAPE, MARGIN)
    shapes: list[Shape] = [Polyline(corners, closed=True), _right_angle(corners)]
    facts = tuple(_side(shapes, corners, names, side, legs[side]) for side in (0, 1))
    return Diagram(LANDSCAPE, tuple(shapes), facts), (facts[0], facts[1])


def _rectangle(rng: Random) -> tuple[Diagram, str, tuple[Fact, Fact]]:
    """Draw a rectangle; the facts are two neighbouring sides."""
    lengths = sorted(rng.sample(range(3, 15), 2), reverse=True)
    names = rng.choice(NAMES)
    wide, high = float(lengths[0]), max(lengths[1], lengths[0] / 2)
    corners = fit(((0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high)), LANDSCAPE, MARGIN)
    shapes: list[Shape] = [Polyline(corners, closed=True), _right_angle(corners)]
    facts = tuple(_side(shapes, corners, names, side, lengths[side]) for side in (0, 1))
    return Diagram(LANDSCAPE, tuple(shapes), facts), names, (facts[0], facts[1])


def _side(
    shapes: list[Shape], corners: tuple[Point, ...], names: str, side: int, length: int
) -> Fact:
    """Label a polygon's side, and its corners' names with the first side."""
    middle = midpoint(corners)
    if side == 0:
        shapes += [
            Label(name, beyond(at, middle, 13)) for name, at in zip(names, corners, strict=True)
        ]
    start, end = corners[side], corners[side + 1]
    centre = midpoint((start, end))
    # Straight away from the side, not from the middle: the label stands at the side's centre.
    along = direction(start, end)
    options = (polar(centre, 14, along + 90), polar(centre, 14, along - 90))
    place = max(options, key=lambda at: (at[0] - middle[0]) ** 2 + (at[1] - middle[1]) ** 2)
    shapes.append(Label(str(length), place))
    name = f"side {names[side : side + 2]}"
    return Fact(name, length, f"The {name} is labelled {length}.", (place,))


def _right_angle(corners: tuple[Point, ...]) -> Polyline:
    """Mark the right angle at the second corner."""
    first, corner, last = corners[:3]
    one = polar(corner, 11, direction(corner, first))
    other = polar(corner, 11, direction(corner, last))
    return Polyline((one, (one[0] + other[0] - corner[0], one[1] + other[1] - corner[1]), other))


def _angle(shapes: list[Shape], name: str, value: int, corner: Point, start: float) -> Fact:
    """Mark an angle of `value` degrees that opens at `start`, and label it."""
    shapes.append(Arc(corner, 20, start, start + value))
    place = polar(corner, 40, start + value / 2)
    shapes.append(Label(f"{value}°", place))
    return Fact(name, value, f"The {name} is labelled {value}°.", (place,))


def _apex(left: float, right: float) -> Point:
    """Return the apex of the triangle over (0, 0) and (1, 0) with these angles at its base."""
    # The law of sines gives the side from (0, 0); the angle that faces the base completes 180.
    side = sin(radians(right)) / sin(radians(180 - left - right))
    return polar((0.0, 0.0), side, left)


def _figure(kind: str, at: Point, colour: str) -> Shape:
    if kind == "circle":
        return Circle(at, 11, colour)
    count, start = (4, 45) if kind == "square" else (3, 90)
    corners = tuple(polar(at, 14, start + 360 / count * index) for index in range(count))
    return Polyline(corners, closed=True, fill=colour)
