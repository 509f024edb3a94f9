"""Where the records of annotation files stand, by what they are about: small enough for memory."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from evpv_prm.data.visualprm import SolutionProcess, normalise_question, parse_process
from evpv_prm.errors import InputError


class Entry(NamedTuple):
    """One record: its number, its image and the overall label.

    Records of one question with the same `content` are copies of each other.
    """

    number: int
    image: str
    is_right: bool
    content: int


class ProcessIndex:
    """The records of annotation files in order: 35 bytes each, whatever their length.

    Records are numbered from 0 in the order of the files and of their lines. `malformed` counts
    the lines that are no record; `problems` says what is wrong with the first `listed` of them.

    Raises:
        InputError: a file cannot be read.
    """

    def __init__(self, paths: Sequence[Path], listed: int) -> None:
        self.malformed = 0
        self.problems: list[InputError] = []
        self._paths = paths
        self._listed = listed
        self._image_numbers: dict[str, int] = {}
        self._images = array("I")
        self._questions = array("q")
        self._contents = array("q")
        self._is_right = bytearray()
        self._files = array("H")
        self._offsets = array("Q")
        self._lengths = array("I")
        for number in range(len(paths)):
            self._scan(number)

    def __len__(self) -> int:
        return len(self._is_right)

    def questions(self) -> Iterator[list[Entry]]:
        """Yield the records of each question that has both right and wrong ones.

        Questions come in the order of their first records, the records of each in theirs.
        """
        if not self._is_right:
            return
        image_of = np.frombuffer(self._images, np.uint32)
        question_of = np.frombuffer(self._questions, np.int64)
        order = np.lexsort((question_of, image_of))
        is_new = np.diff(image_of[order]).astype(bool) | np.diff(question_of[order]).astype(bool)
        starts = np.flatnonzero(np.concatenate(([True], is_new)))
        ends = np.append(starts[1:], len(order))
        right = np.add.reduceat(np.frombuffer(self._is_right, np.uint8)[order], starts, dtype=int)
        chosen = np.flatnonzero((right > 0) & (right < ends - starts))
        images = list(self._image_numbers)
        for group in chosen[np.argsort(order[starts[chosen]])]:
            yield [
                Entry(
                    number,
                    images[self._images[number]],
                    bool(self._is_right[number]),
                    self._contents[number],
                )
                for number in order[starts[group] : ends[group]].tolist()
            ]

    def reader(self) -> LineReader:
        """Return a context that reads the lines of single records again."""
        return LineReader(self._paths, self._files, self._offsets, self._lengths)

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
                        process = parse_process(path, line, content)
                    except InputError as problem:
                        self.malformed += 1
                        if len(self.problems) < self._listed:
                            self.problems.append(problem)
                        continue
                    self._add(process)
                    self._files.append(file)
                    self._offsets.append(start)
                    self._lengths.append(len(content))
        except OSError as error:
            raise InputError(path, expected=f"cannot be read: {error.strerror}") from error

    def _add(self, process: SolutionProcess) -> None:
        # Hashes differ from run to run, which does not matter: they are compared within this one
        # alone, and only for records of the same image.
        numbers = self._image_numbers
        self._images.append(numbers.setdefault(process.image, len(numbers)))
        self._questions.append(_question_hash(process.question))
        self._contents.append(hash((process.steps, process.labels)))
        self._is_right.append(process.is_right)


class LineReader:
    """Reads the lines of records from their files; use it as a context."""

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
        streams = [self._stack.enter_context(path.open("rb")) for path in self._paths]
        self._descriptors = [stream.fileno() for stream in streams]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, number: int) -> bytes:
        """Return the line of a record, as its file has it."""
        descriptor = self._descriptors[self._files[number]]
        return os.pread(descriptor, self._lengths[number], self._offsets[number])


@lru_cache(maxsize=1 << 14)  # the solutions of a question often stand together
def _question_hash(question: str) -> int:
    return hash(normalise_question(question))
