"""Pictures for the page: made once from a benchmark's images, shared by all who show them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from PIL import Image as Pillow
from PIL import ImageOps

from evpv_prm.cases.shapes import Picture
from evpv_prm.data.images import load_images, mime_type
from evpv_prm.engine.base import Failure
from evpv_prm.errors import InputError
from evpv_prm.jsonl import atomic_write, read_document, read_rows
from evpv_prm.records import Record

FOLDER = "images"
"""Where pictures lie beside the page."""

Pictures: TypeAlias = Mapping[str, Picture]
"""Pictures by the path of the image in the records."""

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}
_LARGEST_COPY = 256 * 1024  # bytes


class PictureFile(Record):
    """The file that names the pictures of one benchmark."""

    side: int
    pictures: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class PictureMaker:
    """Makes pictures of at most `side` pixels a side in `folder`, from images below `root`.

    A picture is named after what it was made of, so that it is made once, whoever asks for it.
    """

    root: Path
    folder: Path
    side: int

    def __call__(self, relative: str) -> Picture:
        """Make one picture, unless it is there; an image that cannot be used is a failure."""
        images = load_images(self.root, [relative])
        if isinstance(images, Failure):
            return Picture(failure=images.kind)
        content = images[0].path.read_bytes()
        digest = hashlib.sha256(f"{self.side}\0".encode() + content).hexdigest()[:20]
        with Pillow.open(io.BytesIO(content)) as image:
            suffix = self._copied_as(image, content)
            file = f"{digest[:2]}/{digest}{suffix or '.webp'}"
            path = self.folder / file
            if not path.exists() or not path.stat().st_size:  # empty: after a power failure
                made = content if suffix else _reduced(image, self.side)
                with atomic_write(path, durable=False) as stream:
                    stream.write(made)
            width, height = _size(path)
        return Picture(file=f"{FOLDER}/{file}", width=width, height=height)

    def _copied_as(self, image: Pillow.Image, content: bytes) -> str | None:
        """Return the suffix of an image that is small enough to be shown as it is."""
        if max(image.size) > self.side or len(content) > _LARGEST_COPY:
            return None
        return _SUFFIXES.get(mime_type(content))


def image_paths(files: Iterable[Path]) -> list[str]:
    """Return the images that the records of some files name, each once.

    Raises:
        InputError: a line cannot be read, or names no image.
    """
    found: dict[str, None] = {}
    for file in files:
        for line, row in read_rows(file):
            image = row.get("image")
            paths = [image] if isinstance(image, str) else image
            if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
                raise InputError(file, line, "image", expected="expected a path or a list of paths")
            found.update(dict.fromkeys(paths))
    return list(found)


def read_pictures(path: Path) -> Pictures:
    """Read a `PictureFile`.

    Raises:
        InputError: as `jsonl.read_document`.
    """
    return cast(Pictures, read_document(path, PictureFile).pictures)


def pictures_of(pictures: Pictures, paths: Sequence[str]) -> list[Picture]:
    """Return the pictures of a record's images.

    Raises:
        KeyError: one of them is unknown.
    """
    return [pictures[path] for path in paths]


def _reduced(image: Pillow.Image, side: int) -> bytes:
    """Return an image as WebP, no side longer than `side` pixels, on white where transparent."""
    image.draft("RGB", (side, side))  # a JPEG need not be decoded in full to be made smaller
    ImageOps.exif_transpose(image, in_place=True)
    reduced = image.convert("RGBA" if image.has_transparency_data else "RGB")
    reduced.thumbnail((side, side), reducing_gap=2)
    if reduced.mode == "RGBA":
        ground = Pillow.new("RGBA", reduced.size, "white")
        ground.alpha_composite(reduced)
        reduced = ground.convert("RGB")
    stream = io.BytesIO()
    reduced.save(stream, "WEBP", quality=80, method=1)
    return stream.getvalue()


def _size(path: Path) -> tuple[int, int]:
    """Return width and height as a browser shows them, which turns photographs upright."""
    with Pillow.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(274) in (5, 6, 7, 8)  # the orientations on their side
    return (height, width) if turned else (width, height)
