"""Errors that a user can mend: each is one line, and ends the command with status 2."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """Something outside the program is wrong: a file, a flag, a key, an address.

    The message is one line that says what is wrong and what was expected. Commands print it
    without a traceback and exit with status 2 (see `evpv_prm.cli.run`).
    """


class InputError(UserError):
    """A file holds something that cannot be read; the message names file, line and field."""

    def __init__(
        self, path: Path | str, line: int | None = None, field: str | None = None, *, expected: str
    ) -> None:
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {field}: {expected}" if field else f"{where}: {expected}")
        self.path, self.line, self.field, self.expected = str(path), line, field, expected
