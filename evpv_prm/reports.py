"""What the commands share that make tables and figures: named files in, one stem out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from evpv_prm import cli
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_json, write_text
from evpv_prm.metrics.rendering import Table, to_markdown


def parser(
    doc: str | None, command: str, makers: Mapping[str, Callable[..., Any]]
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of `python -m evpv_prm.COMMAND NAME` and, by NAME, those of its parts.

    Each part reads `metrics` (see `named_files`), sets `make` to its maker and takes its help from
    the maker's text.
    """
    whole = cli.parser(doc, command)
    commands = whole.add_subparsers(title=command, required=True, prog=whole.prog, metavar="NAME")
    parts = {}
    for name, make in makers.items():
        text = (make.__doc__ or "").strip()
        part = commands.add_parser(
            name,
            usage="%(prog)s [options]",
            help=text.splitlines()[0],
            description=text,
            allow_abbrev=False,
        )
        part.set_defaults(make=make)
        part.add_argument(
            "--metrics", nargs="+", required=True, metavar="NAME=M.json",
            help="metrics files and their names, in the order in which they appear",
        )  # fmt: skip
        parts[name] = part
    return whole, parts


def add_stem(parser: argparse.ArgumentParser) -> None:
    """Add the flag `output_stem`, of a command that writes one thing in several formats."""
    parser.add_argument(
        "--output-stem", type=Path, required=True, metavar="STEM",
        help="path of the files without their suffix",
    )  # fmt: skip


def add_metrics_output(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a command that computes metrics: where `write_metrics` writes them."""
    parser.add_argument(
        "--output", type=Path, required=True, metavar="M.json", help="metrics file to write"
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="M.md", help="write the tables for reading, too"
    )


def write_metrics(
    arguments: argparse.Namespace, metrics: BaseModel, tables: Sequence[Table]
) -> None:
    """Write metrics as JSON and, where they are asked for, their tables as Markdown."""
    write_json(arguments.output, metrics.model_dump(mode="json"))
    if arguments.markdown:
        write_text(arguments.markdown, to_markdown(tables))


def named_files(flag: str, words: Sequence[str]) -> dict[str, Path]:
    """Read the words NAME=FILE of a flag, in the order given.

    Raises:
        UserError: a word is not of this form, or a name is given twice.
    """
    files: dict[str, Path] = {}
    for name, path in _pairs(flag, words):
        if name in files:
            raise UserError(f"{flag}: {name!r} is given twice")
        files[name] = path
    return files


def grouped_files(flag: str, words: Sequence[str]) -> dict[str, list[Path]]:
    """Read the words NAME=FILE of a flag whose files belong together by name, in the order given.

    Raises:
        UserError: a word is not of this form.
    """
    files: dict[str, list[Path]] = {}
    for name, path in _pairs(flag, words):
        files.setdefault(name, []).append(path)
    return files


def _pairs(flag: str, words: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for word in words:
        name, _, path = word.partition("=")
        if not (name and path):
            raise UserError(f"{flag}: expected NAME=FILE, found {word!r}")
        yield name, Path(path)
