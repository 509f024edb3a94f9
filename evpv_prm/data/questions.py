"""Benchmark files: every question with an identity of its own.

An image is not an identity: several questions can share one, and all of them count.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import parse_record, parse_row, read_lines
from evpv_prm.records import Question

ANY_DATASOURCE = "*"
"""Stands for all records of a file, whatever their datasource."""

_PID_FIELDS = ("pid", "id")
_TEXT_FIELDS = ("question", "answer", "datasource")


@dataclass(frozen=True)
class QuestionFile:
    """A benchmark file: (line number, question) of every sound line, and what is wrong elsewhere.

    `problems` is in the order of the lines.
    """

    path: Path
    questions: list[tuple[int, Question]]
    problems: list[InputError]

    def select(self, datasource: str | None, limit: int | None) -> list[tuple[int, Question]]:
        """Return the first `limit` questions of one datasource in file order.

        None and ANY_DATASOURCE stand for all.

        Raises:
            UserError: the file has no question of this datasource; names those that it has.
        """
        if limit is not None and limit < 1:
            raise UserError(f"limit: expected at least 1 question, found {limit}")
        if datasource in (None, ANY_DATASOURCE):
            return self.questions[:limit]
        found = [entry for entry in self.questions if entry[1].datasource == datasource]
        if not found:
            counts = Counter(question.datasource for _, question in self.questions)
            known = ", ".join(f"{name} ({count:,})" for name, count in counts.items()) or "none"
            message = f"no question of datasource {datasource!r}; the file has {known}"
            raise InputError(self.path, expected=message)
        return found[:limit]


def read_questions(
    path: Path | str, datasource: str | None = None, limit: int | None = None
) -> list[Question]:
    """Read the first `limit` questions of one datasource; None and ANY_DATASOURCE stand for all.

    Pids are assigned over the whole file, so they do not depend on what is selected.

    Raises:
        InputError: the first unreadable line, field or repeated pid of the file; an empty file; a
            datasource that the file does not have.
    """
    file = scan_questions(path)
    if file.problems:
        raise file.problems[0]
    return [question for _, question in file.select(datasource, limit)]


def scan_questions(path: Path | str) -> QuestionFile:
    """Read a benchmark file to its end and collect every problem instead of raising the first.

    Raises:
        InputError: the file cannot be opened or has no lines.
    """
    path = Path(path)
    rows: list[tuple[int, dict[str, Any]]] = []
    problems: list[InputError] = []
    for line, content in read_lines(path):
        try:
            row = parse_row(path, line, content)
            _check_fields(path, line, row)
        except InputError as problem:
            problems.append(problem)
        else:
            rows.append((line, row))
    if not rows and not problems:
        raise InputError(path, expected="expected at least one question, found an empty file")

    questions: list[tuple[int, Question]] = []
    first_lines: dict[str, int] = {}
    for (line, row), pid in zip(rows, assign_pids([row for _, row in rows]), strict=True):
        try:
            first = first_lines.setdefault(pid, line)
            if first != line:
                field = next(name for name in _PID_FIELDS if row.get(name) is not None)
                message = f"{pid!r} is already on line {first}; expected one of its own"
                raise InputError(path, line, field, expected=message)
            questions.append((line, parse_record(path, line, {**row, "pid": pid}, Question)))
        except InputError as problem:
            problems.append(problem)
    return QuestionFile(path, questions, sorted(problems, key=lambda problem: problem.line or 0))


def question_name(row: Mapping[str, Any]) -> str:
    """Return `DATASOURCE-DIGEST`, the name of a question without one; see `content_digest`."""
    return f"{row['datasource']}-{content_digest(row)}"


def assign_pids(
    rows: Sequence[Mapping[str, Any]], name: Callable[[Mapping[str, Any]], str] = question_name
) -> list[str]:
    """Return one pid a row, in order.

    A row's own `pid`, else its own `id`, is kept as it is, even when it repeats. Any other row gets
    the `name` of its content; the second, third, … such row of one content gets `-2`, `-3`, …, and
    a name that a row calls its own is passed over.
    """
    given = [_own_pid(row) for row in rows]
    taken = {pid for pid in given if pid is not None}
    copies: Counter[str] = Counter()
    pids: list[str] = []
    for row, own in zip(rows, given, strict=True):
        pid = own
        while pid is None:
            base = name(row)
            copies[base] += 1
            numbered = base if copies[base] == 1 else f"{base}-{copies[base]}"
            pid = None if numbered in taken else numbered
        taken.add(pid)
        pids.append(pid)
    return pids


def content_digest(row: Mapping[str, Any]) -> str:
    """Return 12 hexadecimal digits that stand for what is asked.

    They begin the SHA-256 of the compact JSON array `[image, question, answer]` in UTF-8, with
    `image` in its shape in the file: JSON's quotes and brackets keep "a" apart from ["a"] and
    ["a,b"] from ["a", "b"].
    """
    content = orjson.dumps([row["image"], row["question"], row["answer"]])
    return hashlib.sha256(content).hexdigest()[:12]


def _own_pid(row: Mapping[str, Any]) -> str | None:
    return next((str(row[name]) for name in _PID_FIELDS if row.get(name) is not None), None)


def _check_fields(path: Path, line: int, row: Mapping[str, Any]) -> None:
    for name in _TEXT_FIELDS:
        if not _is_text(row.get(name)):
            found = _describe(row, name)
            raise InputError(path, line, name, expected=f"expected a text, found {found}")
    image = row.get("image")
    paths = image if isinstance(image, list) and image else [image]
    if not all(_is_text(entry) for entry in paths):
        message = f"expected a path or a list of paths, found {_describe(row, 'image')}"
        raise InputError(path, line, "image", expected=message)
    for name in _PID_FIELDS:
        value = row.get(name)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not is_number and not _is_text(value):
            message = f"expected a text or a whole number, found {_describe(row, name)}"
            raise InputError(path, line, name, expected=message)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _describe(row: Mapping[str, Any], name: str) -> str:
    if name not in row:
        return "no such field"
    value = row[name]
    if isinstance(value, str) and not value.strip():
        return "a blank text"
    shown = orjson.dumps(value).decode()
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
