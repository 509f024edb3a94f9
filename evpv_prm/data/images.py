"""Image files: where they are, whether they can be used, and what they are."""

from __future__ import annotations

import os
import re
import stat
import struct
import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from evpv_prm.engine.base import Failure, Image
from evpv_prm.errors import UserError

MAX_SIDE = 16_384
"""Largest width and height, in pixels."""

MAX_PIXELS = 89_478_485
"""Largest number of pixels: 256 MiB as RGB, Pillow's own line for a decompression bomb."""

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_SIGNATURES = {
    re.compile(rb"\x89PNG\r\n\x1a\n"): "image/png",
    re.compile(rb"\xff\xd8\xff"): "image/jpeg",
    re.compile(rb"RIFF.{4}WEBP", re.DOTALL): "image/webp",
    re.compile(rb"GIF8[79]a"): "image/gif",
    re.compile(rb"BM"): "image/bmp",
}

# What Pillow's decoders raise on damaged files.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error)


class ImageError(UserError):
    """An image that cannot be used; `failure` says so in a record.

    Kinds: "missing_image", "unreadable_image", "image_too_large", "image_outside_root".
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.failure = Failure(kind, detail)


def resolve_image(root: Path, relative: str, *, may_link_out: bool = False) -> Path:
    """Return the place of an image that a record names; the file need not exist.

    A record may name its images with the folder, as VisualProcessBench does ("images/a/1.png"): one
    leading "images/" is left out when there is no such file under the root. With `may_link_out` the
    images may be symbolic links to anywhere, as pair extraction makes them across file systems.

    Raises:
        ImageError: "image_outside_root" for an absolute path and for one that leaves the root,
            through ".." or, unless allowed, a symbolic link; "missing_image" for what cannot be a
            path.
    """
    path = root / relative
    try:
        if relative.startswith("images/") and not _exists(path):
            path = root / relative.removeprefix("images/")
        if may_link_out:
            inside = Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root))
        else:
            inside = path.resolve().is_relative_to(root.resolve())
    except (ValueError, RuntimeError) as error:  # a NUL character; a loop of symbolic links
        raise ImageError("missing_image", f"{relative!r} is no path: {error}") from error
    if Path(relative).is_absolute() or not inside:
        raise ImageError("image_outside_root", f"{relative} is outside the image folder")
    return path


def check_image(path: Path) -> Failure | None:
    """Decode an image file; return why it cannot be used, None when it can.

    The detail is the rest of a sentence that begins with the image. Kinds: "missing_image";
    "unreadable_image" (not a file, no permission, empty, truncated, damaged or not one of PNG,
    JPEG, WebP, GIF, BMP); "image_too_large" (see MAX_SIDE, MAX_PIXELS).
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a file"
            return Failure("unreadable_image", f"is {what}")
        if status.st_size == 0:
            return Failure("unreadable_image", "is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # MAX_PIXELS decides
            with Pillow.open(path, formats=_FORMATS) as image:
                width, height = image.size
                if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                    return _too_large(f"{width:,} × {height:,}")
                image.load()
    except (FileNotFoundError, NotADirectoryError):
        return Failure("missing_image", "does not exist")
    except Pillow.DecompressionBombError:
        return _too_large(f"more than {2 * MAX_PIXELS:,}")
    except UnidentifiedImageError:
        return Failure("unreadable_image", f"is not one of {', '.join(_FORMATS)}")
    except _DECODER_ERRORS as error:
        reason = getattr(error, "strerror", None) or error
        return Failure("unreadable_image", f"cannot be read: {reason}")
    return None


def load_images(
    root: Path, paths: Iterable[str], *, may_link_out: bool = False
) -> list[Image] | Failure:
    """Return a question's images in order, or the failure of the first that cannot be used.

    `paths` are those of the record, relative to `root`; see `resolve_image` for `may_link_out`.
    Kinds of failure: see `ImageError`.
    """
    images = []
    for relative in paths:
        try:
            path = resolve_image(root, relative, may_link_out=may_link_out)
        except ImageError as error:
            return error.failure
        if failure := check_image(path):
            return Failure(failure.kind, f"{relative} {failure.detail}")
        images.append(Image(path))
    return images


def mime_type(content: bytes) -> str:
    """Return the MIME type of an image from its first bytes, whatever the file's name says.

    Raises:
        ImageError: "unreadable_image" if it is not one of PNG, JPEG, WebP, GIF, BMP.
    """
    for signature, name in _SIGNATURES.items():
        if signature.match(content):
            return name
    raise ImageError("unreadable_image", f"expected one of {', '.join(_FORMATS)}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no permission, or a name too long: checking the file will tell
        return False


def _too_large(size: str) -> Failure:
    allowed = f"at most {MAX_SIDE:,} a side and {MAX_PIXELS:,} in all"
    return Failure("image_too_large", f"has {size} pixels, expected {allowed}")
