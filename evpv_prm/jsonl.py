"""JSON Lines: reading with the file and line of every error, writing whole files or none."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from evpv_prm.errors import InputError, UserError

ModelT = TypeVar("ModelT", bound=BaseModel)


def read_lines(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line) for every non-blank line of a file.

    Raises:
        InputError: the file cannot be opened.
    """
    path = Path(path)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
    with stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line


def parse_row(path: Path | str, line: int, content: bytes) -> dict[str, Any]:
    """Read one line of a UTF-8 JSONL file.

    Raises:
        InputError: the line is not JSON or is not an object.
    """
    try:
        row = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InputError(path, line, expected=f"not valid JSON ({error.msg})") from error
    if not isinstance(row, dict):
        found = type(row).__name__
        raise InputError(path, line, expected=f"expected a JSON object, found {found}")
    return row


def read_rows(path: Path | str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every non-blank line of a UTF-8 JSONL file.

    Raises:
        InputError: the file cannot be opened, a line is not JSON or is not an object.
    """
    for number, line in read_lines(path):
        yield number, parse_row(path, number, line)


def read_records(path: Path | str, model: type[ModelT]) -> list[ModelT]:
    """Read a whole JSONL file as records of one pydantic model.

    Raises:
        InputError: as `read_rows`; also a record that the model refuses, with its field, and a
            file without records.
    """
    records = [parse_record(path, number, row, model) for number, row in read_rows(path)]
    if not records:
        raise InputError(path, expected="expected at least one record, found an empty file")
    return records


def refuse_repeated(places: dict[str, str], pid: str, path: Path | str, line: int) -> None:
    """Note in `places` where a pid stands, among several files that belong together.

    Raises:
        InputError: it stands somewhere already.
    """
    place = f"{path}:{line}"
    if (first := places.setdefault(pid, place)) is not place:
        raise InputError(path, line, "pid", expected=f"{pid!r} is also the pid of {first}")


def parse_record(
    path: Path | str, line: int | None, row: Mapping[str, Any], model: type[ModelT]
) -> ModelT:
    """Validate one object of a file; `line` is None where the object is the whole file.

    Raises:
        InputError: the first thing that the model refuses.
    """
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(path, line, field, expected=message) from error


def read_document(path: Path | str, model: type[ModelT]) -> ModelT:
    """Read a whole JSON file as one record of a pydantic model.

    Raises:
        InputError: it cannot be read, is not a JSON object, or the model refuses it.
    """
    try:
        value = orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(path, expected=f"not valid JSON ({error.msg})") from error
    if not isinstance(value, dict):
        raise InputError(path, expected=f"expected a JSON object, found {type(value).__name__}")
    return parse_record(path, None, value, model)


def read_shards(
    paths: Iterable[Path | str],
    model: type[ModelT],
    run: Callable[[ModelT], Hashable] = lambda _: None,
) -> Iterator[tuple[Path | str, int, ModelT]]:
    """Yield (file, line, record) of files that belong together, in order.

    Records have a `pid`, which is unique among those for which `run` gives the same.

    Raises:
        InputError: the first unreadable line or field; a repeated pid; no records at all.
    """
    places: defaultdict[Hashable, dict[str, str]] = defaultdict(dict)
    path: Path | str = ""
    for path in paths:
        for line, row in read_rows(path):
            record = parse_record(path, line, row, model)
            refuse_repeated(places[run(record)], attrgetter("pid")(record), path, line)
            yield path, line, record
    if not places:
        raise InputError(path, expected="expected at least one record, found an empty file")


@contextmanager
def atomic_write(path: Path | str, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its place when the block ends without error.

    A reader sees the old file or the new one, never a part; after an error nothing is left behind.
    Unless it is `durable`, the file may be empty after a power failure; many files are then
    written several times faster.

    Raises:
        UserError: the file cannot be written there, or no longer. Any OSError of the block counts
            as that: it should do nothing but write.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _replacement(path, durable) as stream:
            yield stream
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _replacement(path: Path, durable: bool) -> Iterator[IO[bytes]]:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_rows(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write objects as JSONL, atomically, in the order given."""
    with atomic_write(path) as stream:
        for row in rows:
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def write_json(path: Path | str, value: Any) -> None:
    """Write one indented JSON document, atomically; keys keep their order."""
    with atomic_write(path) as stream:
        stream.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def write_text(path: Path | str, text: str) -> None:
    """Write a text file as UTF-8, atomically."""
    with atomic_write(path) as stream:
        stream.write(text.encode())
