"""Training files of ms-swift: rows, and the images that are held out for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from evpv_prm.data.cards import SPLITS, DataCard, Labels
from evpv_prm.data.images import load_images
from evpv_prm.engine.base import IMAGE, Failure, Image
from evpv_prm.jsonl import atomic_write
from evpv_prm.prompts import Prompt

_MEDIA_MARKERS = ("<image>", "<video>", "<audio>")
"""What ms-swift replaces by a medium wherever it stands in a text."""


@dataclass(frozen=True)
class TrainingRow:
    """A line of a training file; `labels` are what its data card counts."""

    row: Mapping[str, Any]
    labels: Labels


def training_row(prompt: Prompt, answer: str, image: str) -> dict[str, Any] | Failure:
    """Return {"messages", "images"} of ms-swift's format: the prompt's text and its answer.

    The image's place in the prompt is marked `<image>`. Texts that hold such a marker themselves
    would change the number of images: they are the failure "media_marker".
    """
    [message] = prompt.messages
    user = "".join("<image>" if part == IMAGE else part["text"] for part in message["content"])
    written = "".join(part.get("text", "") for part in message["content"]) + answer
    if any(marker in written for marker in _MEDIA_MARKERS):
        return Failure("media_marker", "a text holds a marker of ms-swift")
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "images": [image]}


class ImageFolder:
    """Images below a folder, or links to them; each is checked once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._loaded: dict[str, Image | Failure] = {}

    def load(self, relative: str) -> Image | Failure:
        """Return an image, or why it cannot be used (see `evpv_prm.data.images`)."""
        if relative not in self._loaded:
            found = load_images(self._root, [relative], may_link_out=True)
            self._loaded[relative] = found if isinstance(found, Failure) else found[0]
        return self._loaded[relative]


def held_out_images(digests: Iterable[str], fraction: float, seed: int) -> set[str]:
    """Return the image digests that belong to validation: those of the smallest hashes.

    Whether an image is held out depends on its content, `fraction` and `seed` alone, so that the
    training files agree and copies of one image stay together. Only where that would leave
    validation or training empty, the image nearest to the line changes sides.
    """
    places = sorted((_place(digest, seed), digest) for digest in set(digests))
    count = sum(place < fraction for place, _ in places)
    if fraction > 0 and len(places) > 1:
        count = min(max(count, 1), len(places) - 1)
    return {digest for _, digest in places[:count]}


def _place(digest: str, seed: int) -> float:
    """Return a number in [0, 1) that is as good as random."""
    content = hashlib.sha256(f"{seed}/{digest}".encode()).digest()
    return int.from_bytes(content[:6]) / 2**48


def write_split(
    files: Mapping[str, Path],
    rows: Iterable[tuple[Image, TrainingRow]],
    held_out: Set[str],
    card: DataCard,
) -> None:
    """Write rows to the files "train" and "validation" by their image, and count them in `card`.

    Both files appear when all rows are written.
    """
    with ExitStack() as stack:
        streams = {name: stack.enter_context(atomic_write(files[name])) for name in SPLITS}
        for image, example in rows:
            split = "validation" if image.digest in held_out else "train"
            streams[split].write(orjson.dumps(example.row, option=orjson.OPT_APPEND_NEWLINE))
            card.count(split, example.row, image.digest, example.labels)
