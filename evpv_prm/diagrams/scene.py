"""A diagram as data: the drawing commands, and the quantities that they show.

Points are (x, y) in pixels from the upper left corner. A text's contrast is that of its ink against
the background: 1 is black, near 0 it can hardly be seen. Nothing here draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Point: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[int, int, int, int]  # left, top, right, bottom
Colour: TypeAlias = tuple[int, int, int]

SIDE = 112
"""Width and height of every picture, in pixels."""

BACKGROUND: Colour = (250, 250, 245)
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True)
class Line:
    """Straight lines from point to point."""

    points: tuple[Point, ...]
    width: int = 2


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle, or the outline of one."""

    box: Box
    fill: Colour | None = None


@dataclass(frozen=True)
class Polygon:
    """The outline of a polygon."""

    points: tuple[Point, ...]


@dataclass(frozen=True)
class Ellipse:
    """The outline of an ellipse, or a filled one."""

    box: Box
    fill: Colour | None = None


@dataclass(frozen=True)
class Label:
    """A text whose ink is centred at a point; `size` is its font's, in pixels."""

    text: str
    at: Point
    size: int
    contrast: float = 1.0


@dataclass(frozen=True)
class Clutter:
    """What stands in the way: a thin line between two points, or a dot at one, in a grey."""

    points: tuple[Point, ...]
    grey: int


Shape: TypeAlias = Line | Rectangle | Polygon | Ellipse | Label | Clutter


@dataclass(frozen=True)
class Fact:
    """One quantity that a picture shows, e.g. that the red bar shows 7.

    `place` numbers the quantities of a picture from the left (of a triangle: the upright leg, then
    the level one); `at` is the centre of the value's ink. `contrast`, `size` (of the font, in
    pixels) and `clutter` (strokes across the value) tell how hard it is to read.
    """

    label: str
    value: int
    place: int
    at: Point
    contrast: float
    size: int
    clutter: int

    @property
    def statement(self) -> str:
        """The fact as a sentence."""
        return statement(self.label, self.value)


@dataclass(frozen=True)
class Diagram:
    """A picture of SIDE × SIDE pixels: shapes in drawing order, and its facts by their places.

    `noise_seed` decides the noise of its pixels.
    """

    family: str
    shapes: tuple[Shape, ...]
    facts: tuple[Fact, ...]
    noise_seed: int


def statement(label: str, value: int) -> str:
    """Say that a quantity has a value; it need not be the true one."""
    return f"The {label} shows {value}."
