"""Writing whole directories or none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evpv_prm.errors import UserError


def check_replaceable(output: Path, marker: str) -> None:
    """Refuse an output directory that holds something else than an older output.

    Raises:
        UserError: `output` exists, is not empty and has no file `marker`.
    """
    if not output.exists():
        return
    if not output.is_dir() or (any(output.iterdir()) and not (output / marker).is_file()):
        raise UserError(f"--output {output}: exists and holds no {marker}; it is not replaced")


@contextmanager
def atomic_directory(output: Path, marker: str) -> Iterator[Path]:
    """Give a temporary directory that becomes `output` when the block ends without error.

    An older directory at `output`, known by its file `marker`, is replaced.

    Raises:
        UserError: `output` exists, is not empty and has no file `marker`.
    """
    check_replaceable(output, marker)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        built = Path(temporary, "new")
        built.mkdir()
        yield built
        if output.exists():
            output.rename(Path(temporary, "old"))
        built.rename(output)
