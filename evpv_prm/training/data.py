"""The data of a training: checked before a GPU is taken, with images as ms-swift finds them."""

from __future__ import annotations

import filecmp
import hashlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import parse_record, read_rows, write_rows
from evpv_prm.spread import spread

logger = logging.getLogger(__name__)

IMAGE_TAG = "<image>"


class Message(BaseModel):
    """One turn of a sample."""

    role: Literal["system", "user", "assistant"]
    content: str


class SftRow(BaseModel):
    """A sample in ms-swift's format; other fields of a row are left out of the training."""

    messages: list[Message] = Field(min_length=2)
    images: list[str]


class DpoRow(SftRow):
    """A sample whose last turn is the chosen answer."""

    rejected_response: str


def training_rows(path: Path, images_root: Path, model: type[SftRow]) -> Iterator[dict[str, Any]]:
    """Yield the samples of a file, with their images as absolute paths.

    ms-swift looks for a relative path in the working folder first, and only then under a root: it
    could train on another image of the same name.

    Raises:
        InputError: a row is not in the format, its images are not there or are not those that
            its text speaks of.
        UserError: the file has no rows.
    """
    root = images_root.resolve()
    found: set[str] = set()
    count = 0
    for line, values in read_rows(path):
        row = parse_record(path, line, values, model)
        if row.messages[-1].role != "assistant":
            raise InputError(path, line, "messages", expected="the last turn to be the assistant's")
        tags = sum(message.content.count(IMAGE_TAG) for message in row.messages)
        if tags != len(row.images):
            raise InputError(
                path, line, "images", expected=f"{tags} images, as many as {IMAGE_TAG} in messages"
            )
        for image in row.images:
            if image not in found and not (root / image).is_file():
                raise InputError(path, line, "images", expected=f"{root / image} is not there")
            found.add(image)
        count += 1
        yield row.model_dump() | {"images": [str(root / image) for image in row.images]}
    if not count:
        raise UserError(f"{path}: expected at least one sample, found an empty file")
    logger.info("%s: %d samples", path, count)


def prepare(
    path: Path,
    images_root: Path,
    model: type[SftRow],
    output: Path,
    at_most: int | None = None,
) -> None:
    """Write a file of samples for ms-swift, or leave the one that is there if it is the same.

    What was encoded of a file is found again, after a stop, by the time at which it was written.

    Args:
        path: JSONL file in ms-swift's format.
        images_root: folder that its image paths are relative to.
        model: what a row must be.
        output: the file to write, with absolute image paths.
        at_most: number of samples to take, evenly spaced over the file; None: all.
    """
    rows: Iterable[dict[str, Any]] = training_rows(path, images_root, model)
    if at_most is not None:
        rows = spread(list(rows), at_most)
        logger.info("%s: %d of them are taken, evenly spaced", path, len(rows))
    written = output.with_suffix(".new")
    write_rows(written, rows)
    if output.exists() and filecmp.cmp(written, output, shallow=False):
        written.unlink()
    else:
        written.replace(output)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
