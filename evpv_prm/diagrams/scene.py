"""A diagram as data: the shapes to draw and the facts that they show.

Points are (x, y) in pixels from the upper left corner, angles in degrees, counter-clockwise from
the positive x axis as a reader of the picture sees them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Polyline:
    """Straight lines from point to point; `closed` joins the last to the first."""

    points: tuple[Point, ...]
    closed: bool = False
    fill: str | None = None


@dataclass(frozen=True)
class Circle:
    """A circle with its outline."""

    centre: Point
    radius: float
    fill: str | None = None


@dataclass(frozen=True)
class Arc:
    """A part of a circle's outline, counter-clockwise from `start` to `end`."""

    centre: Point
    radius: float
    start: float
    end: float


@dataclass(frozen=True)
class Label:
    """A text centred at a point."""

    text: str
    at: Point


Shape: TypeAlias = Polyline | Circle | Arc | Label


@dataclass(frozen=True)
class Fact:
    """One thing that the picture shows, e.g. that the side AB is labelled 6.

    `places` are the points where it can be seen: the label's, or each counted figure's.
    """

    name: str
    value: int
    statement: str
    places: tuple[Point, ...]


@dataclass(frozen=True)
class Diagram:
    """A picture of `size` (width, height): shapes in drawing order, and all facts to be seen."""

    size: tuple[int, int]
    shapes: tuple[Shape, ...]
    facts: tuple[Fact, ...]


def polar(centre: Point, radius: float, angle: float) -> Point:
    """Return the point at `radius` from `centre` in the direction `angle`."""
    radians = math.radians(angle)
    return centre[0] + radius * math.cos(radians), centre[1] - radius * math.sin(radians)


def direction(start: Point, end: Point) -> float:
    """Return the angle of the way from `start` to `end`, in [0, 360)."""
    return math.degrees(math.atan2(start[1] - end[1], end[0] - start[0])) % 360


def midpoint(points: Sequence[Point]) -> Point:
    """Return the mean of the points."""
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def beyond(point: Point, centre: Point, distance: float) -> Point:
    """Return the place `distance` behind `point` as seen from `centre`."""
    return polar(point, distance, direction(centre, point))


def fit(points: Sequence[Point], size: tuple[int, int], margin: float) -> tuple[Point, ...]:
    """Scale the points evenly and centre them, so that they fill `size` but for a margin."""
    left, top = min(x for x, _ in points), min(y for _, y in points)
    width, height = max(x for x, _ in points) - left, max(y for _, y in points) - top
    scale = min((size[0] - 2 * margin) / width, (size[1] - 2 * margin) / height)
    shift_x, shift_y = (size[0] - scale * width) / 2, (size[1] - scale * height) / 2
    return tuple(((x - left) * scale + shift_x, (y - top) * scale + shift_y) for x, y in points)
