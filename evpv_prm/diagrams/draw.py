"""Drawing diagrams with Pillow and the font that it brings along.

A model in training asks for hundreds of thousands of pictures: glyphs are drawn once and kept, and
lines are not smoothed.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from evpv_prm.diagrams.scene import (
    BACKGROUND,
    BLACK,
    SIDE,
    Clutter,
    Colour,
    Diagram,
    Ellipse,
    Label,
    Line,
    Polygon,
    Rectangle,
    Shape,
)

Pixels: TypeAlias = npt.NDArray[np.uint8]

NOISE = 8.0
"""Standard deviation of the pixels' noise, in grey levels of 255."""

_OUTLINE = 3
_DOT_RADIUS = 2


def pixels(diagram: Diagram) -> Pixels:
    """Draw a diagram; return its colours, (SIDE, SIDE, 3), the same for the same diagram."""
    image = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    canvas = ImageDraw.Draw(image)
    for shape in diagram.shapes:
        _draw(image, canvas, shape)
    generator = np.random.Generator(np.random.SFC64(diagram.noise_seed))
    noise = generator.standard_normal((SIDE, SIDE, 1), np.float32)
    # Rounded before it is added: whole numbers add the same on every machine.
    noisy = np.asarray(image, np.int16) + np.rint(NOISE * noise).astype(np.int16)
    colours: Pixels = noisy.clip(0, 255).astype(np.uint8)
    return colours


def png(diagram: Diagram) -> bytes:
    """Draw a diagram; return the bytes of a PNG file, the same for the same diagram."""
    buffer = BytesIO()
    # Noise can hardly be compressed: trying less hard costs nothing.
    Image.fromarray(pixels(diagram)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _draw(image: Image.Image, canvas: ImageDraw.ImageDraw, shape: Shape) -> None:
    match shape:
        case Label(text, (x, y), size, contrast):
            glyphs = _glyphs(text, size)
            corner = (x - glyphs.width // 2, y - glyphs.height // 2)
            image.paste(_ink(contrast), corner, glyphs)
        case Line(points, width):
            canvas.line(points, fill=BLACK, width=width)
        case Rectangle(box, fill):
            canvas.rectangle(box, fill=fill, outline=fill or BLACK, width=_OUTLINE)
        case Ellipse(box, fill):
            canvas.ellipse(box, fill=fill, outline=fill or BLACK, width=_OUTLINE)
        case Polygon(points):
            canvas.polygon(points, outline=BLACK, width=_OUTLINE)
        case Clutter((start, end), grey):
            canvas.line((start, end), fill=(grey, grey, grey), width=1)
        case Clutter(points, grey):
            canvas.circle(points[0], _DOT_RADIUS, fill=(grey, grey, grey))


def _ink(contrast: float) -> Colour:
    red, green, blue = (round(level * (1 - contrast)) for level in BACKGROUND)
    return red, green, blue


@cache
def _glyphs(text: str, size: int) -> Image.Image:
    """Draw a text as a mask that ends where its ink ends."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font)
    return mask.crop(mask.getbbox())
