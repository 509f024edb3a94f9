"""VisualPRM400K: solutions in steps, each step labelled right or wrong.

Two formats are read, both one JSON object a line:

- conversations (VisualPRM400K): `{id, image, conversations: [{from, value}, …]}`, an optional
  system turn, then human and gpt turns by turns. The first human turn holds
  `### Question: … ### Solution Process: …`, every later one a single step; each gpt turn is the
  label of the step before it, "+" or "-".
- steps with score (VisualPRM400K-v1.1-Raw): `{image, question, question_orig, answer, response,
  steps_with_score: [{step, score, num_mc_correct, num_mc_total}]}`; a step is right when its Monte
  Carlo score is above 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from evpv_prm.errors import InputError, UserError

QUESTION_MARK = "### Question:"
SOLUTION_MARK = "### Solution Process:"

# What follows a source's name in VisualPRM400K's file names: "_extracted…", "_prm…", and a language
# with a date, as in "unigeo_calc_en_20240402".
_FILE_SUFFIX = re.compile(r"[_-](?:extracted|prm|[a-z]{2}_\d{8})(?=[_.-]|$).*", re.IGNORECASE)


class SolutionProcess(msgspec.Struct, frozen=True, gc=False):
    """A solution of a question about an image; `labels` has one entry a step, True for right.

    A record with one judgement of the whole solution has one step. `image` is the path as the
    record has it.
    """

    image: str
    question: str
    steps: tuple[str, ...]
    labels: tuple[bool, ...]

    @property
    def is_right(self) -> bool:
        """Whether no step is wrong."""
        return all(self.labels)


def read_process(path: Path | str, line: int | None, row: Mapping[str, Any]) -> SolutionProcess:
    """Read one record of either format; path and line are for the message.

    Raises:
        InputError: the first field that is missing or wrong.
    """
    try:
        record = msgspec.convert(row, _Record)
    except msgspec.ValidationError as error:
        _refuse(path, line, error)
    return _process(path, line, record)


def parse_process(path: Path | str, line: int | None, content: bytes) -> SolutionProcess:
    """Read one line of an annotation file; path and line are for the message.

    Raises:
        InputError: the line is not JSON in UTF-8, or as `read_process`.
    """
    try:
        content.decode()  # msgspec does not look into the fields that it skips
        record = _decode(content)
    except msgspec.ValidationError as error:
        _refuse(path, line, error)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(path, line, expected=f"not valid JSON ({error})") from error
    return _process(path, line, record)


def normalise_question(question: str) -> str:
    """Return a question's text for comparison: Unicode NFC, every run of white space one space."""
    return " ".join(unicodedata.normalize("NFC", question).split())


def find_annotations(
    folder: Path, image_folders: Sequence[str], subset_of: Mapping[str, str]
) -> dict[str, list[Path]]:
    """Return the annotation files (`*.jsonl`) anywhere below a folder, by subset, both sorted.

    See `subset_name` for how a file is assigned.

    Raises:
        UserError: no such folder, or no annotation file in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of annotation files")
    found: dict[str, list[Path]] = {}
    paths = [path for path in folder.rglob("*.jsonl") if not path.name.startswith(".")]
    for path in sorted(paths, key=lambda path: path.relative_to(folder).parts):
        found.setdefault(subset_name(path.name, image_folders, subset_of), []).append(path)
    if not found:
        raise UserError(f"{folder}: expected annotation files (*.jsonl), found none")
    return dict(sorted(found.items()))


def subset_name(file_name: str, image_folders: Sequence[str], subset_of: Mapping[str, str]) -> str:
    """Return the subset that an annotation file belongs to.

    In this order: the first pattern of `subset_of` that matches the file's name; the longest folder
    of images that the name begins with, whatever the case and the punctuation
    (`mavis_geometry_prm.jsonl` belongs to `MAVIS-Geometry`); the name up to `_extracted`, `_prm` or
    a language and date.
    """
    for pattern, subset in subset_of.items():
        if fnmatchcase(file_name, pattern):
            return subset
    folders = [folder for folder in image_folders if _begins_with(file_name, folder)]
    if folders:
        return max(folders, key=len)
    stem = Path(file_name).stem
    return _FILE_SUFFIX.sub("", stem) or stem


def _begins_with(file_name: str, folder: str) -> bool:
    letters = [re.escape(letter) for letter in folder.lower() if letter.isalnum()]
    pattern = r"[^a-z0-9]*".join(letters) + r"(?![a-z0-9])"
    return bool(letters) and re.match(pattern, file_name.lower()) is not None


# Gigabytes of lines are read into these types, with nothing for the garbage collector to follow.
class _System(msgspec.Struct, gc=False, tag_field="from", tag="system"):
    value: str


class _Human(msgspec.Struct, gc=False, tag_field="from", tag="human"):
    value: str


class _Verdict(msgspec.Struct, gc=False, tag_field="from", tag="gpt"):
    value: str


class _ScoredStep(msgspec.Struct, gc=False):
    step: str
    score: float


class _Record(msgspec.Struct, gc=False):
    image: str
    conversations: list[_System | _Human | _Verdict] | None = None
    steps_with_score: list[_ScoredStep] | None = None
    question: str | None = None
    question_orig: str | None = None


_decode = msgspec.json.Decoder(_Record).decode


def _refuse(path: Path | str, line: int | None, error: msgspec.ValidationError) -> NoReturn:
    """Raise what msgspec found, as in "Expected `str`, got `int` - at `$.turns[0].value`"."""
    message, _, place = str(error).partition(" - at `$.")
    field = re.sub(r"\[(\d+)\]", r".\1", place.rstrip("`"))
    raise InputError(path, line, field or None, expected=message[0].lower() + message[1:])


def _process(path: Path | str, line: int | None, record: _Record) -> SolutionProcess:
    if not record.image or record.image.isspace():
        raise InputError(path, line, "image", expected="expected a path, found a blank text")
    if record.conversations is not None:
        return _read_turns(path, line, record.image, record.conversations)
    if not record.steps_with_score:
        message = "expected `conversations`, or at least one step in `steps_with_score`"
        raise InputError(path, line, expected=message)
    # `question` carries the prompt's instructions; `question_orig` is what was asked.
    question = record.question if record.question_orig is None else record.question_orig
    if question is None or not question.strip():
        raise InputError(path, line, "question", expected="expected a text")
    steps = record.steps_with_score
    return SolutionProcess(
        record.image,
        question.strip(),
        tuple(step.step.strip() for step in steps),
        tuple(step.score > 0 for step in steps),
    )


def _read_turns(
    path: Path | str, line: int | None, image: str, turns: Sequence[_System | _Human | _Verdict]
) -> SolutionProcess:
    first = 1 if turns and type(turns[0]) is _System else 0
    if [*map(type, turns[first:])] != [_Human, _Verdict] * max(1, len(turns) // 2):
        message = "expected human and gpt by turns, after at most one system turn"
        raise InputError(path, line, "conversations", expected=message)
    verdicts = [turn.value for turn in turns[first + 1 :: 2]]
    if verdicts.count("+") + verdicts.count("-") != len(verdicts):
        index = next(index for index, verdict in enumerate(verdicts) if verdict not in ("+", "-"))
        field = f"conversations.{first + 1 + 2 * index}.value"
        message = f'expected "+" or "-", found {verdicts[index][:40]!r}'
        raise InputError(path, line, field, expected=message)
    question, mark, solution = turns[first].value.partition(SOLUTION_MARK)
    _, question_mark, question = question.partition(QUESTION_MARK)
    question = question.strip()
    if not mark or not question_mark or not question:
        message = f"expected a question as `{QUESTION_MARK} … {SOLUTION_MARK} …`"
        raise InputError(path, line, f"conversations.{first}.value", expected=message)
    steps = [turn.value.strip() for turn in turns[first::2]]
    steps[0] = solution.strip()
    labels = tuple([verdict == "+" for verdict in verdicts])
    return SolutionProcess(image, question, tuple(steps), labels)
