"""Benchmark images and questions that occur in the training data."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from evpv_prm.data.images import ImageError, check_image, resolve_image
from evpv_prm.markers import name_images

_IGNORED = re.compile(r"""[\s.,;:!?'"`*$\\(){}\[\]]+""")


@dataclass(frozen=True)
class Subject:
    """A question and its images, by digests: None for an image that cannot be read."""

    name: str
    question: str
    images: tuple[str | None, ...]


def pixel_digest(path: Path) -> str | None:
    """Return a SHA-256 of an image's size and pixels as RGBA, whatever its file format.

    Only files without loss keep pixels: a JPEG copy of a PNG is another image here. None if the
    file cannot be decoded.
    """
    if check_image(path) is not None:
        return None
    with Pillow.open(path) as image:
        pixels = image.convert("RGBA")
    return hashlib.sha256(f"{pixels.width}x{pixels.height}".encode() + pixels.tobytes()).hexdigest()


def digest_below(root: Path, relative: str, may_link_out: bool) -> str | None:
    """Return the pixel digest of an image below a folder; None if it cannot be used.

    `may_link_out`: see `evpv_prm.data.images.resolve_image`.
    """
    try:
        return pixel_digest(resolve_image(root, relative, may_link_out=may_link_out))
    except ImageError:
        return None


def text_digest(question: str) -> str:
    """Return a SHA-256 of a question without image markers, punctuation, spaces and case."""
    text = unicodedata.normalize("NFKC", name_images(question, 1)).casefold()
    return hashlib.sha256(_IGNORED.sub("", text).encode()).hexdigest()


def find_leakage(
    training: Iterable[Subject], benchmarks: Mapping[str, Sequence[Subject]]
) -> dict[str, Any]:
    """Return the report: totals, and for each benchmark the questions that training has seen.

    A question leaks by an image with the same pixels, by the same text, or by both; the report
    names one training record for each.
    """
    images: dict[str, str] = {}
    texts: dict[str, str] = {}
    records = unreadable = 0
    for subject in training:
        records += 1
        unreadable += None in subject.images
        texts.setdefault(text_digest(subject.question), subject.name)
        for digest in subject.images:
            if digest is not None:
                images.setdefault(digest, subject.name)
    return {
        "training": {
            "records": records,
            "images": len(images),
            "questions": len(texts),
            "records_with_unreadable_images": unreadable,
        },
        "benchmarks": {
            name: _benchmark(subjects, images, texts) for name, subjects in benchmarks.items()
        },
    }


def _benchmark(
    subjects: Sequence[Subject], images: Mapping[str, str], texts: Mapping[str, str]
) -> dict[str, Any]:
    leaks = []
    for subject in subjects:
        image = next((images[d] for d in subject.images if d is not None and d in images), None)
        question = texts.get(text_digest(subject.question))
        if image is not None or question is not None:
            leaks.append({"pid": subject.name, "image": image, "question": question})
    return {
        "questions": len(subjects),
        "same_image": sum(leak["image"] is not None for leak in leaks),
        "same_question": sum(leak["question"] is not None for leak in leaks),
        "same_image_and_question": sum(None not in leak.values() for leak in leaks),
        "questions_with_unreadable_images": sum(None in s.images for s in subjects),
        "leaks": leaks,
    }
