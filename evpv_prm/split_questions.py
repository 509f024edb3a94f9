"""Divide prepared questions into shards of neighbouring questions."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from evpv_prm import cli
from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_records, write_rows
from evpv_prm.records import Question, Record

T = TypeVar("T")


def split(items: Sequence[T], shards: int) -> list[Sequence[T]]:
    """Return `shards` ≥ 1 slices that hold all items once, in order; sizes differ by at most 1."""
    edges = [len(items) * index // shards for index in range(shards + 1)]
    return [items[start:end] for start, end in pairwise(edges)]


def add_outputs_option(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the shards of a command that divides a file."""
    parser.add_argument(
        "--outputs",
        type=Path,
        nargs="+",
        required=True,
        metavar="SHARD",
        help="JSONL files to write, one a shard",
    )


def write_shards(
    source: Path, items: str, records: Sequence[Record], outputs: Sequence[Path]
) -> None:
    """Divide the records of a file (`items` names them) among the outputs.

    Raises:
        UserError: there are more outputs than records, or one is named twice.
    """
    if len(outputs) > len(records):
        raise UserError(
            f"{source}: {len(records)} {items} do not fill {len(outputs)} shards; "
            f"expected at most {len(records)} shards, or more {items}"
        )
    if len(set(outputs)) < len(outputs):
        raise UserError("--outputs: the same file is named twice")
    for output, part in zip(outputs, split(records, len(outputs)), strict=True):
        write_rows(output, (record.to_row() for record in part))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see --help."""
    parser = cli.parser(__doc__, "split_questions")
    parser.add_argument(
        "--questions", type=Path, required=True, help="JSONL file of evpv_prm.prepare_questions"
    )
    add_outputs_option(parser)
    arguments = parser.parse_args(argv)
    questions = read_records(arguments.questions, Question)
    write_shards(arguments.questions, "questions", questions, arguments.outputs)
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
