"""What the builders of tiny models share: their command line and the directory that they fill."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evpv_prm.errors import UserError


def builder_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags that all builders have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m evpv_prm.diagrams.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random weights (default: %(default)s)"
    )
    return parser


@contextmanager
def model_directory(output: Path) -> Iterator[Path]:
    """Give a temporary directory that becomes `output` when the block ends without error.

    An older model at `output` is replaced.

    Raises:
        UserError: `output` exists and is something else than a model or an empty directory.
    """
    if output.exists() and not _may_be_replaced(output):
        raise UserError(f"--output {output}: exists and is not a model directory")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        built = Path(temporary, "model")
        built.mkdir()
        yield built
        if output.exists():
            shutil.rmtree(output)
        built.rename(output)


def _may_be_replaced(path: Path) -> bool:
    return path.is_dir() and (Path(path, "config.json").is_file() or not any(path.iterdir()))
