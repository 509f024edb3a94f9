"""What the commands that write training files share: their flags, and how they write."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from evpv_prm.config_teacher import TrainingFiles
from evpv_prm.data.cards import SPLITS, DataCard, token_counter
from evpv_prm.data.training_files import TrainingRow, held_out_images, write_split
from evpv_prm.engine.base import Image
from evpv_prm.options import add_options, read_options


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a command that writes training files."""
    parser.add_argument(
        "--images", type=Path, required=True, help="folder that all image paths are relative to"
    )
    parser.add_argument("--train", type=Path, required=True, help="training rows to write (JSONL)")
    parser.add_argument(
        "--validation", type=Path, required=True, help="validation rows to write (JSONL)"
    )
    parser.add_argument("--card", type=Path, required=True, help="data card to write (JSON)")
    parser.add_argument(
        "--card-markdown", type=Path, required=True, help="the same as a page to write (Markdown)"
    )
    parser.add_argument(
        "--tokenizer", type=Path, metavar="DIR",
        help="folder of a tokenizer, for lengths in tokens; default: lengths in characters alone",
    )  # fmt: skip
    add_options(parser, TrainingFiles)


class TrainingOutput:
    """The training files and the data card of one run of a command."""

    def __init__(self, arguments: argparse.Namespace, title: str) -> None:
        """Read the flags of `add_output_options` and the tokenizer, if any.

        Raises:
            UserError: the tokenizer cannot be read.
        """
        count_tokens = token_counter(arguments.tokenizer) if arguments.tokenizer else None
        self.card = DataCard(title, count_tokens)
        self.options = read_options(arguments, TrainingFiles)
        self._arguments = arguments

    def held_out(self, images: Iterable[Image], seed: int) -> set[str]:
        """Return the digests of the images that belong to validation."""
        digests = (image.digest for image in images)
        return held_out_images(digests, self.options.validation_fraction, seed)

    def write(self, rows: Iterable[tuple[Image, TrainingRow]], held_out: set[str]) -> None:
        """Write the training files, then the card."""
        files = {name: getattr(self._arguments, name) for name in SPLITS}
        write_split(files, rows, held_out, self.card)
        self.card.write(self._arguments.card, self._arguments.card_markdown)
