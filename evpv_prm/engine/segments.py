"""Segments of the response store: files of one result a line, each with a single writer.

A line that lacks its end was cut off by a kill, or is being written right now.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from evpv_prm.engine.base import Failure, Reply, Result, Usage
from evpv_prm.errors import InputError, UserError

SYNC_INTERVAL_S = 5.0
"""Seconds that a stored result may lack an fsync, which only the machine's crash can tell."""

LOWEST_LOGPROB = -9999.0
"""Stands for a log-probability of minus infinity, which JSON cannot hold (as in vLLM's server)."""


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a segment; the names are short because there are millions of lines."""

    k: str
    """The request's key."""
    t: str = ""
    """The reply's text, or what the model said before it failed."""
    l: list[dict[str, float]] | None = None  # noqa: E741
    """Log-probabilities, one object an output token."""
    u: tuple[int, int, int] = (0, 0, 0)
    """Prompt, cached and completion tokens."""
    f: str | None = None
    """The kind of failure; null for a reply."""
    d: str = ""
    """The failure's detail."""

    @property
    def failure(self) -> str | None:
        """The kind of failure; None for a reply.

        A prompt that was answered without a single token was none: so this engine stored requests
        that vLLM had given up, until it told them apart.
        """
        prompt, _, completion = self.u
        was_given_up = self.f is None and not self.t and prompt and not completion
        return "engine_error" if was_given_up else self.f

    def result(self) -> Result:
        """Return the reply or failure that the line holds."""
        if self.failure is not None:
            return Failure(self.failure, self.d, self.t)
        return Reply(self.t, self.l, Usage(*self.u))


decode = msgspec.json.Decoder(Line).decode
"""Reads one line of a segment; raises ValueError if it is not as `encode` writes it."""


def encode(key: str, result: Result) -> bytes:
    """Return the line for one result; log-probabilities are rounded to 6 decimals."""
    row: dict[str, Any] = {"k": key, "t": result.text}
    if isinstance(result, Failure):
        row |= {"f": result.kind, "d": result.detail}
    else:
        usage = result.usage
        row["u"] = [usage.prompt, usage.cached, usage.completion]
        if result.logprobs is not None:
            row["l"] = [
                # the floor comes first in max(), so that NaN becomes it as well
                {token: round(max(LOWEST_LOGPROB, value), 6) for token, value in position.items()}
                for position in result.logprobs
            ]
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


class Place(NamedTuple):
    """Where a line lies; sorts in reading order."""

    segment: str
    offset: int
    length: int


def whole_lines(segment: Path, offset: int) -> Iterator[bytes]:
    """Yield the whole lines from `offset` on; one without its end was cut off or is being written.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with segment.open("rb") as stream:
            stream.seek(offset)
            yield from (line for line in stream if line.endswith(b"\n"))
    except OSError as error:
        raise InputError(segment, expected=f"cannot be read: {error.strerror}") from error


class SegmentWriter:
    """Appends whole lines to a new file of its own."""

    def __init__(self, directory: Path) -> None:
        host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        self.path = directory / f"{now}-{host}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self.size = 0
        self.lines = 0
        self._synced_at = time.monotonic()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        try:
            self._descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise self._refusal(error) from error

    def append(self, line: bytes) -> Place:
        """Write one line, its end included, and hand it to the operating system.

        Raises:
            UserError: the disk refuses it. A part may lie at the file's end: append no more.
        """
        try:
            written = os.write(self._descriptor, line)
            while written < len(line):  # a disk that fills up takes a part, then refuses the rest
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            raise self._refusal(error) from error
        place = Place(str(self.path), self.size, len(line))
        self.size += len(line)
        self.lines += 1
        if time.monotonic() - self._synced_at > SYNC_INTERVAL_S:
            self._sync()
        return place

    def _sync(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._refusal(error) from error
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Bring the file to the disk and close it.

        Raises:
            UserError: the disk refuses it.
        """
        try:
            self._sync()
        finally:
            os.close(self._descriptor)

    def _refusal(self, error: OSError) -> UserError:
        return UserError(f"{self.path}: cannot store a reply: {error.strerror}")
