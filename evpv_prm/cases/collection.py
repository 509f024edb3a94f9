"""Writing a collection: cases in chunks, an index of them, and `collection.json`.

Files that the page loads are scripts that hand over their content, because a page that is opened
from disk may load scripts but may not read files.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson

from evpv_prm.cases.shapes import Collection, Row
from evpv_prm.directories import atomic_directory
from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_lines, refuse_repeated, write_json

MARKER = "collection.json"
"""Written last; says what the collection is."""

CASES_PER_CHUNK = 16
ROWS_PER_INDEX = 1000

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Lines:
    """Successive lines of a file (number from 1, content); `name` is what the file belongs to."""

    name: str
    path: Path
    lines: Sequence[tuple[int, bytes]]


@dataclass(frozen=True)
class Block:
    """The cases of some lines, and their rows in the index."""

    lines: Lines
    rows: Sequence[Row]
    cases: Sequence[Mapping[str, Any]]


def read_blocks(files: Mapping[str, Sequence[Path]]) -> Iterator[Lines]:
    """Yield the lines of files, by what they belong to, as many at a time as a chunk has cases.

    Raises:
        InputError: a file cannot be opened.
    """
    for name, paths in files.items():
        for path in paths:
            lines = read_lines(path)
            while block := list(islice(lines, CASES_PER_CHUNK)):
                yield Lines(name, path, block)


def write_collection(folder: Path, about: Collection, blocks: Iterable[Block]) -> Collection:
    """Write a collection, all of it or nothing; return `about` with what was counted.

    Args:
        folder: to write; an older collection there is replaced.
        about: kind, name and path, and what else is known without reading a case.
        blocks: the cases; a pid appears once.

    Raises:
        InputError: a pid appears twice.
        UserError: `folder` holds something else; there is no case.
    """
    sources: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    policies: Counter[str] = Counter()
    places: dict[str, str] = {}
    with atomic_directory(folder, MARKER) as built:
        index = _Index(built, about["path"])
        for chunk, block in enumerate(blocks):
            for place, (row, (line, _)) in enumerate(
                zip(block.rows, block.lines.lines, strict=True)
            ):
                refuse_repeated(places, row["pid"], block.lines.path, line)
                sources[row["source"]] += 1
                failures.update(row["failures"])
                fields = cast(dict[str, Any], row)
                if "policy" in fields:
                    policies[fields["policy"]] += 1
                index.add({**fields, "at": (chunk, place)})
            _write_script(built, f"chunk-{chunk}", about["path"], block.cases)
        if not places:
            raise UserError(f"{folder}: expected at least one record")
        index.close()
        counted = Collection(
            **about,
            cases=len(places),
            indexes=index.written,
            sources=dict(sources),
            failures=dict(sorted(failures.items())),
        )
        if policies:
            counted["policies"] = dict(sorted(policies.items()))
        write_json(built / MARKER, counted)
    return counted


class _Index:
    """The index files of a collection, written as they fill."""

    def __init__(self, folder: Path, path: str) -> None:
        self._folder, self._path = folder, path
        self._rows: list[Mapping[str, Any]] = []
        self.written = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == ROWS_PER_INDEX:
            self.close()

    def close(self) -> None:
        if self._rows:
            _write_script(self._folder, f"index-{self.written}", self._path, self._rows)
            self._rows = []
            self.written += 1


def script(name: str, value: Any) -> bytes:
    """Return a script that hands a JSON value to the page under a name."""
    return b"evpv.data.add(%s, %s);\n" % (orjson.dumps(name), orjson.dumps(value))


def _write_script(folder: Path, name: str, path: str, value: Any) -> None:
    # The folder becomes visible when it is whole: its files need not be written one by one so.
    (folder / f"{name}.js").write_bytes(script(f"{path}/{name}", value))


def in_order(
    function: Callable[[ItemT], ResultT], items: Iterable[ItemT], workers: int
) -> Iterator[ResultT]:
    """Yield `function` of each item, in order, computed by processes.

    Items are taken only a few ahead of what was yielded, so that memory is bounded.
    """
    if workers == 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(workers, initializer=_prepare, initargs=(function,)) as pool:
        waiting: deque[Future[ResultT]] = deque()
        for item in items:
            waiting.append(pool.submit(_work, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_function: Callable[[Any], Any]


def _prepare(function: Callable[[Any], Any]) -> None:
    """Keep the function in a worker: it may hold much data, and goes there once."""
    global _function
    _function = function


def _work(item: Any) -> Any:
    return _function(item)
