"""What the builders of tiny models share: their command line and the directory that they fill."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from pathlib import Path

from evpv_prm import cli
from evpv_prm.directories import atomic_directory


def builder_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags that all builders have."""
    parser = cli.parser(description, f"diagrams.{module}")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random weights (default: %(default)s)"
    )
    return parser


def model_directory(output: Path) -> AbstractContextManager[Path]:
    """Give a temporary directory that becomes the model at `output`; an older one is replaced.

    Raises:
        UserError: `output` exists and is something else than a model or an empty directory.
    """
    return atomic_directory(output, "config.json")
