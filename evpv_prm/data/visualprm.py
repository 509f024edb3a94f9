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
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from evpv_prm.errors import InputError, UserError

QUESTION_MARK = "### Question:"
SOLUTION_MARK = "### Solution Process:"

_LABELS = {"+": True, "-": False}

# What follows a source's name in VisualPRM400K's file names: "_extracted…", "_prm…", and a language
# with a date, as in "unigeo_calc_en_20240402".
_FILE_SUFFIX = re.compile(r"[_-](?:extracted|prm|[a-z]{2}_\d{8})(?=[_.-]|$).*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SolutionProcess:
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
    image = row.get("image")
    if not isinstance(image, str) or not image.strip():
        raise InputError(path, line, "image", expected=f"expected a path, found {_name(image)}")
    if "conversations" in row:
        question, steps, labels = _read_turns(path, line, row["conversations"])
    elif "steps_with_score" in row:
        question = _read_question(path, line, row)
        steps, labels = _read_scores(path, line, row["steps_with_score"])
    else:
        raise InputError(path, line, expected="expected `conversations` or `steps_with_score`")
    return SolutionProcess(image, question, tuple(steps), tuple(labels))


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


def _read_turns(
    path: Path | str, line: int | None, turns: Any
) -> tuple[str, list[str], list[bool]]:
    if not isinstance(turns, list):
        message = f"expected a list of turns, found {_name(turns)}"
        raise InputError(path, line, "conversations", expected=message)
    for index, turn in enumerate(turns):
        if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
            field = f"conversations.{index}"
            raise InputError(path, line, field, expected="expected a turn with the text `value`")
    first = 1 if turns and turns[0].get("from") == "system" else 0
    speakers = [turn.get("from") for turn in turns[first:]]
    if not speakers or speakers != ["human", "gpt"] * (len(speakers) // 2):
        message = "expected human and gpt by turns, after at most one system turn"
        raise InputError(path, line, "conversations", expected=message)

    labels = []
    for index in range(first + 1, len(turns), 2):
        label = _LABELS.get(turns[index]["value"].strip())
        if label is None:
            message = f'expected "+" or "-", found {turns[index]["value"][:40]!r}'
            raise InputError(path, line, f"conversations.{index}.value", expected=message)
        labels.append(label)
    opening = turns[first]["value"]
    question, mark, solution = opening.partition(SOLUTION_MARK)
    _, question_mark, question = question.partition(QUESTION_MARK)
    if not mark or not question_mark or not question.strip():
        message = f"expected a question as `{QUESTION_MARK} … {SOLUTION_MARK} …`"
        raise InputError(path, line, f"conversations.{first}.value", expected=message)
    steps = [solution.strip(), *(turn["value"].strip() for turn in turns[first + 2 :: 2])]
    return question.strip(), steps, labels


def _read_question(path: Path | str, line: int | None, row: Mapping[str, Any]) -> str:
    # `question` carries the prompt's instructions; `question_orig` is what was asked.
    field = "question_orig" if row.get("question_orig") is not None else "question"
    question = row.get(field)
    if not isinstance(question, str) or not question.strip():
        raise InputError(path, line, field, expected=f"expected a text, found {_name(question)}")
    return question.strip()


def _read_scores(path: Path | str, line: int | None, entries: Any) -> tuple[list[str], list[bool]]:
    if not isinstance(entries, list) or not entries:
        message = "expected a list of at least one step"
        raise InputError(path, line, "steps_with_score", expected=message)
    steps, labels = [], []
    for index, entry in enumerate(entries):
        step = entry.get("step") if isinstance(entry, dict) else None
        score = entry.get("score") if isinstance(entry, dict) else None
        if (
            not isinstance(step, str)
            or isinstance(score, bool)
            or not isinstance(score, int | float)
        ):
            message = "expected an object with the text `step` and the number `score`"
            raise InputError(path, line, f"steps_with_score.{index}", expected=message)
        steps.append(step.strip())
        labels.append(score > 0)
    return steps, labels


def _name(value: Any) -> str:
    if value is None:
        return "none"
    return "a blank text" if isinstance(value, str) else type(value).__name__
