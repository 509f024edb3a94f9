"""Where the records of annotation files stand, by what they are about: small enough for memory."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from struct import Struct
from typing import NamedTuple, Self

from evpv_prm.data.visualprm import normalise_question, parse_process
from evpv_prm.errors import InputError


class Entry(NamedTuple):
    """One record: where its line is, and the overall label; sorts in reading order.

    Records of one question with the same `content` are copies of each other.
    """

    file: int
    offset: int
    length: int
    content: int
    is_right: bool


_PACKED = Struct("=HQIq?")
"""An entry in 23 bytes."""


class ProcessIndex:
    """The records of annotation files: 23 bytes each and some 600 a question, however long.

    `malformed` counts the lines that are no record; `problems` says what is wrong with the first
    `listed` of them.

    Raises:
        InputError: a file cannot be read.
    """

    def __init__(self, paths: Sequence[Path], listed: int) -> None:
        self.malformed = 0
        self.problems: list[InputError] = []
        self._paths = paths
        self._listed = listed
        self._questions: defaultdict[tuple[str, int], bytearray] = defaultdict(bytearray)
        self._spellings: dict[tuple[str, int], bytearray] = {}
        for number in range(len(paths)):
            self._scan(number)

    def __len__(self) -> int:
        return sum(map(len, self._questions.values())) // _PACKED.size

    def questions(self) -> Iterator[tuple[str, list[Entry]]]:
        """Yield the image and the records of each question that has both right and wrong ones.

        Questions come in the order of their first records, the records of each in theirs.
        """
        for (image, _), packed in self._questions.items():
            entries = [*map(Entry._make, _PACKED.iter_unpack(packed))]
            if len({entry.is_right for entry in entries}) == 2:
                yield image, entries

    def reader(self) -> LineReader:
        """Return a context that reads the lines of single records again."""
        return LineReader(self._paths)

    def _scan(self, file: int) -> None:
        path = self._paths[file]
        end = 0
        try:
            with path.open("rb", buffering=1 << 20) as stream:
                for line, content in enumerate(stream, start=1):
                    start, end = end, end + len(content)
                    if content.isspace():
                        continue
                    try:
                        solution = parse_process(path, line, content)
                    except InputError as problem:
                        self.malformed += 1
                        if len(self.problems) < self._listed:
                            self.problems.append(problem)
                        continue
                    entries = self._entries_of(solution.image, solution.question)
                    copy = hash((solution.steps, solution.labels))
                    entries += _PACKED.pack(file, start, len(content), copy, solution.is_right)
        except OSError as error:
            raise InputError(path, expected=f"cannot be read: {error.strerror}") from error

    def _entries_of(self, image: str, question: str) -> bytearray:
        """Return the packed records of a question; to normalise each record's takes too long."""
        # Hashes differ from run to run, which does not matter: they are compared within this one
        # alone, and only for records of the same image.
        spelling = image, hash(question)
        entries = self._spellings.get(spelling)
        if entries is None:
            entries = self._questions[image, hash(normalise_question(question))]
            self._spellings[spelling] = entries
        return entries


class LineReader:
    """Reads the lines of records from their files; use it as a context."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        streams = [self._stack.enter_context(path.open("rb")) for path in self._paths]
        self._descriptors = [stream.fileno() for stream in streams]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, entry: Entry) -> bytes:
        """Return the line of a record, as its file has it."""
        return os.pread(self._descriptors[entry.file], entry.length, entry.offset)
