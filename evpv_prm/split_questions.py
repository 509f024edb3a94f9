"""Divide prepared questions into shards of neighbouring questions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from evpv_prm import cli
from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_records, write_rows
from evpv_prm.records import Question

T = TypeVar("T")


def split(items: Sequence[T], shards: int) -> list[Sequence[T]]:
    """Return `shards` ≥ 1 slices that hold all items once, in order; sizes differ by at most 1."""
    edges = [len(items) * index // shards for index in range(shards + 1)]
    return [items[start:end] for start, end in pairwise(edges)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see --help."""
    parser = cli.parser(__doc__, "split_questions")
    parser.add_argument(
        "--questions", type=Path, required=True, help="JSONL file of evpv_prm.prepare_questions"
    )
    parser.add_argument(
        "--outputs",
        type=Path,
        nargs="+",
        required=True,
        metavar="SHARD",
        help="JSONL files to write, one a shard",
    )
    arguments = parser.parse_args(argv)
    questions = read_records(arguments.questions, Question)
    shards = len(arguments.outputs)
    if shards > len(questions):
        raise UserError(
            f"{arguments.questions}: {len(questions)} questions do not fill {shards} shards; "
            f"expected at most {len(questions)} shards, or more questions"
        )
    if len(set(arguments.outputs)) < shards:
        raise UserError("--outputs: the same file is named twice")
    for output, part in zip(arguments.outputs, split(questions, shards), strict=True):
        write_rows(output, (question.to_row() for question in part))
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
