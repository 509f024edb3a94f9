"""Data cards: what a training file holds, and what was left out of it and why."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evpv_prm.errors import InputError
from evpv_prm.jsonl import write_json, write_text

CountTokens = Callable[[str], int]
Labels = Mapping[str, Sequence[str]]
"""What a row is labelled as, by the kind of label: {"score": ["-1"], "category": ["logical"]}."""

SPLITS = ("train", "validation")


class DataCard:
    """Counts of the files that one command writes, by split.

    `records` says what the command read, `dropped` why records gave no row.
    """

    def __init__(self, title: str, count_tokens: CountTokens | None = None) -> None:
        self.records = 0
        self.dropped: Counter[str] = Counter()
        self._title = title
        self._count_tokens = count_tokens
        self._splits = {name: _Split() for name in SPLITS}

    def count(self, split: str, row: Mapping[str, Any], image: str, labels: Labels) -> None:
        """Count one row of a split, with its image's digest and what it is labelled as."""
        counts = self._splits[split]
        counts.rows += 1
        counts.images.add(image)
        for kind, values in labels.items():
            counts.labels.setdefault(kind, Counter()).update(values)
        counts.subsets[row["images"][0].split("/", 1)[0]] += 1
        for part, text in read_texts(row):
            counts.add_length("characters", part, len(text))
            if self._count_tokens is not None:
                counts.add_length("tokens", part, self._count_tokens(text))

    def to_json(self) -> dict[str, Any]:
        """Return the card as one JSON object."""
        return {
            "title": self._title,
            "records_read": self.records,
            "dropped": dict(sorted(self.dropped.items())),
            "files": {name: split.to_json() for name, split in self._splits.items()},
        }

    def to_markdown(self) -> str:
        """Return the card as a page."""
        card = self.to_json()
        lines = [f"# {self._title}", "", f"Records read: {self.records:,}", "", "## Left out", ""]
        lines += _table(("reason", "records"), card["dropped"].items())
        for name, split in card["files"].items():
            lines += ["", f"## {name}", "", f"{split['rows']:,} rows, {split['images']:,} images"]
            for kind, counts in split["labels"].items():
                rows = ((label, *_with_share(n, counts)) for label, n in counts.items())
                lines += ["", *_table((kind, "count", "share"), rows)]
            lines += ["", *_table(("subset", "rows"), split["subsets"].items())]
            for unit, parts in split["lengths"].items():
                columns = next(iter(parts.values())).keys()
                rows = ((part, *lengths.values()) for part, lengths in parts.items())
                lines += ["", *_table((f"length in {unit}", *columns), rows)]
        note = "Tokens are those of the text; those that an image becomes are not counted."
        return "\n".join([*lines, *(["", note] if self._count_tokens else [])]) + "\n"

    def write(self, json_file: Path, markdown_file: Path) -> None:
        """Write both forms."""
        write_json(json_file, self.to_json())
        write_text(markdown_file, self.to_markdown())


class _Split:
    def __init__(self) -> None:
        self.rows = 0
        self.images: set[str] = set()
        self.labels: dict[str, Counter[str]] = {}
        self.subsets: Counter[str] = Counter()
        self._lengths: dict[str, dict[str, array[int]]] = {}

    def add_length(self, unit: str, part: str, length: int) -> None:
        self._lengths.setdefault(unit, {}).setdefault(part, array("I")).append(length)

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "images": len(self.images),
            "labels": {kind: dict(sorted(counts.items())) for kind, counts in self.labels.items()},
            "subsets": dict(sorted(self.subsets.items())),
            "lengths": {
                unit: {part: _summary(values) for part, values in parts.items()}
                for unit, parts in self._lengths.items()
            },
        }


def read_texts(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (part, text) of a training row: "prompt", "answer" and, for DPO, "rejected"."""
    user, assistant = row["messages"]
    yield "prompt", user["content"]
    yield "answer", assistant["content"]
    if "rejected_response" in row:
        yield "rejected", row["rejected_response"]


def token_counter(folder: Path) -> CountTokens:
    """Return a function that counts a text's tokens with the tokenizer of a checkpoint folder.

    Raises:
        InputError: the folder has no tokenizer.
    """
    from transformers import AutoTokenizer  # imports for seconds; only cards with tokens need it

    if not folder.is_dir():
        raise InputError(folder, expected="expected a folder with a tokenizer")
    try:
        # Unsaid, it would ask on the terminal whether to run a tokenizer's own code.
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        expected = "expected a folder with a tokenizer that needs no code of its own"
        raise InputError(folder, expected=expected) from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _summary(values: array[int]) -> dict[str, float]:
    """Return the spread of lengths."""
    numbers = np.asarray(values)
    return {
        "min": int(numbers.min()),
        "median": float(np.median(numbers)),
        "mean": round(float(numbers.mean()), 1),
        "p95": float(np.percentile(numbers, 95)),
        "max": int(numbers.max()),
    }


def _with_share(count: int, counts: Mapping[str, int]) -> tuple[int, str]:
    return count, f"{count / sum(counts.values()):.1%}"


def _table(header: Sequence[str], rows: Any) -> list[str]:
    body = [f"| {' | '.join(map(_cell, row))} |" for row in rows] or [
        "| none |" + " |" * (len(header) - 1)
    ]
    return [f"| {' | '.join(header)} |", "|" + " --- |" * len(header), *body]


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
