"""Drawing diagrams with Pillow and the font that it brings along."""

from __future__ import annotations

from functools import cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from evpv_prm.diagrams.scene import Arc, Circle, Diagram, Point, Polyline, Shape

FONT_SIZE = 17
LINE_WIDTH = 2
OVERSAMPLING = 3  # Pillow draws lines without smoothing: draw larger, then shrink


def png(diagram: Diagram) -> bytes:
    """Draw a diagram; return the bytes of a PNG file, the same for the same diagram."""
    size = tuple(length * OVERSAMPLING for length in diagram.size)
    image = Image.new("RGB", (size[0], size[1]), "white")
    canvas = ImageDraw.Draw(image)
    for shape in diagram.shapes:
        _draw(canvas, shape)
    buffer = BytesIO()
    image.resize(diagram.size, Image.Resampling.BOX).save(buffer, "PNG")
    return buffer.getvalue()


def _draw(canvas: ImageDraw.ImageDraw, shape: Shape) -> None:
    width = LINE_WIDTH * OVERSAMPLING
    if isinstance(shape, Polyline):
        points = [_enlarge(point) for point in shape.points]
        if shape.fill:
            canvas.polygon(points, fill=shape.fill)
        # A closed line goes on to its second point: the join at the first one is then drawn too.
        outline = [*points, *points[:2]] if shape.closed else points
        canvas.line(outline, fill="black", width=width, joint="curve")
    elif isinstance(shape, Circle):
        centre, radius = _enlarge(shape.centre), shape.radius * OVERSAMPLING
        canvas.circle(centre, radius, fill=shape.fill, outline="black", width=width)
    elif isinstance(shape, Arc):
        (x, y), radius = _enlarge(shape.centre), shape.radius * OVERSAMPLING
        box = (x - radius, y - radius, x + radius, y + radius)
        # Pillow measures angles clockwise.
        canvas.arc(box, -shape.end, -shape.start, fill="black", width=width)
    else:
        canvas.text(_enlarge(shape.at), shape.text, fill="black", font=_font(), anchor="mm")


def _enlarge(point: Point) -> Point:
    return point[0] * OVERSAMPLING, point[1] * OVERSAMPLING


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE * OVERSAMPLING)
