"""Image markers in question texts: `<image1>`, `<image 2>`, `<image>`.

A marker names an image by its number from 1; the n-th `<image>` without a number names image n.
Where a question names more images than it has, its pictures are sheets of numbered panels (as in
MathVision: one file whose panels are captioned "<image1>:", "<image2>:"); its markers then name
panels, and no image belongs to any one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from evpv_prm.engine.base import IMAGE, text

# The last alternative is a marker that lost its bracket at the end of a line, as some lines of
# VisualProcessBench have it.
_MARKER = re.compile(
    r"<\s?image[ _]?(?:(?P<number>[0-9]{1,3})(?:\s?>|(?=[ \t]*(?:\r?\n|\Z)))|>)", re.IGNORECASE
)


class PlacedImages(NamedTuple):
    """A question as the parts of a message: its n-th IMAGE part is the image `order[n]`, from 0."""

    parts: list[Mapping[str, str]]
    order: list[int]


def markers_beyond(question: str, images: int) -> list[int]:
    """Return the numbers that the question's markers name and that no image has, ascending."""
    named = {number for _, number in _markers(question)}
    return sorted(number for number in named if not 1 <= number <= images)


def place_images(question: str, images: int) -> PlacedImages:
    """Put every image where the question first names it.

    Images that are never named stand in front of the text. A later mention becomes `[image k]`. If
    the markers name panels (see the module), all images stand in front and every marker becomes
    `[image k]`. Every image is placed once and the rest of the text stays as it is.
    """
    panels = bool(markers_beyond(question, images))
    named = {number for _, number in _markers(question)} if not panels else set()
    order = [index for index in range(images) if index + 1 not in named]
    parts: list[Mapping[str, str]] = [IMAGE] * len(order)
    pending, end = "", 0
    for marker, number in _markers(question):
        pending += question[end : marker.start()]
        end = marker.end()
        if panels or number - 1 in order:
            pending += f"[image {number}]"
            continue
        if pending:
            parts.append(text(pending))
        parts.append(IMAGE)
        order.append(number - 1)
        pending = ""
    pending += question[end:]
    if pending:
        parts.append(text(pending))
    return PlacedImages(parts, order)


def name_images(question: str, images: int) -> str:
    """Return the question for a message in which all images stand in front of it, in order.

    Markers become `[image k]`. If there is one image, and they do not name its panels (see the
    module), they say nothing and are left out.
    """
    if images != 1 or markers_beyond(question, images):
        names = iter([f"[image {number}]" for _, number in _markers(question)])
        return _MARKER.sub(lambda _: next(names), question)
    while _MARKER.search(question):  # what stood around a marker can close up to another
        question = _MARKER.sub("", question)
    return question


def _markers(question: str) -> Iterator[tuple[re.Match[str], int]]:
    """Yield every marker with the number of the image that it names."""
    unnumbered = 0
    for marker in _MARKER.finditer(question):
        if marker["number"] is None:
            unnumbered += 1
        yield marker, int(marker["number"] or unnumbered)
