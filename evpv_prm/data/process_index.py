"""Where the records of annotation files stand, by what they are about: small enough for memory."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from evpv_prm.data.visualprm import SolutionProcess, normalise_question, read_process
from evpv_prm.errors import InputError
from evpv_prm.jsonl import parse_row


class ProcessIndex:
    """The records of annotation files in order: 23 bytes each, whatever their length.

    Records are numbered from 0 in the order of the files and of their lines. `malformed` counts
    the lines that are no record; `problems` says what is wrong with the first `listed` of them.
    """

    def __init__(self, paths: Sequence[Path], listed: int) -> None:
        self.paths = paths
        self.malformed = 0
        self.problems: list[InputError] = []
        self._listed = listed
        self._keys = array("Q")
        self._is_right = array("B")
        self._files = array("H")
        self._offsets = array("Q")
        self._lengths = array("I")
        for number in range(len(paths)):
            self._scan(number)

    def __len__(self) -> int:
        return len(self._keys)

    def two_sided_groups(self) -> Iterator[list[int]]:
        """Yield the records with the same key (see `question_key`), right and wrong ones.

        Groups come in the order of their first records, the records of a group in theirs. Two
        questions may share a key by chance: compare the records themselves.
        """
        keys = np.frombuffer(self._keys, np.uint64)
        if not len(keys):
            return
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order[:1]]))
        ends = np.append(starts[1:], len(order))
        right = np.add.reduceat(np.frombuffer(self._is_right, np.uint8)[order], starts, dtype=int)
        chosen = np.flatnonzero((right > 0) & (right < ends - starts))
        for group in chosen[np.argsort(order[starts[chosen]])]:
            yield order[starts[group] : ends[group]].tolist()

    def reader(self) -> ProcessReader:
        """Return a context that reads single records again."""
        return ProcessReader(self.paths, self._files, self._offsets, self._lengths)

    def _scan(self, number: int) -> None:
        path = self.paths[number]
        end = 0
        try:
            with path.open("rb", buffering=1 << 20) as stream:
                for line, content in enumerate(stream, start=1):
                    start, end = end, end + len(content)
                    if content.isspace():
                        continue
                    try:
                        process = read_process(path, line, parse_row(path, line, content))
                    except InputError as problem:
                        self.malformed += 1
                        if len(self.problems) < self._listed:
                            self.problems.append(problem)
                        continue
                    self._keys.append(question_key(process))
                    self._is_right.append(process.is_right)
                    self._files.append(number)
                    self._offsets.append(start)
                    self._lengths.append(len(content))
        except OSError as error:
            raise InputError(path, expected=f"cannot be read: {error.strerror}") from error


class ProcessReader:
    """Reads records of an index from their files; use it as a context."""

    def __init__(
        self,
        paths: Sequence[Path],
        files: Sequence[int],
        offsets: Sequence[int],
        lengths: Sequence[int],
    ) -> None:
        self._paths, self._files, self._offsets, self._lengths = paths, files, offsets, lengths
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._descriptors = [
            self._stack.enter_context(path.open("rb")).fileno() for path in self._paths
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, record: int) -> tuple[dict[str, Any], SolutionProcess]:
        """Return a record as its file has it, and what it says.

        Raises:
            InputError: the file changed since it was indexed.
        """
        number, offset = self._files[record], self._offsets[record]
        content = os.pread(self._descriptors[number], self._lengths[record], offset)
        row = parse_row(self._paths[number], None, content)
        return row, read_process(self._paths[number], None, row)


def question_key(process: SolutionProcess) -> int:
    """Return 64 bits that are the same for records about the same question and image."""
    text = f"{process.image}\0{normalise_question(process.question)}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
