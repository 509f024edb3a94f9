"""The teacher's judgements of solution steps: read, and held against the record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.data.pair_records import Label, PairRecord
from evpv_prm.engine.base import Failure
from evpv_prm.jsonl import parse_record, read_rows
from evpv_prm.parsing import parse_json
from evpv_prm.prompts import CATEGORIES, SUBCATEGORIES

_STEP_NUMBER = re.compile(r"step\s*\d+\s*[:.)]?", re.IGNORECASE)
_LAYOUT = re.compile(r"[\s*#_]+")


def _verdict(value: int) -> int:
    if value not in (1, -1):
        raise ValueError(f"{value}: expected 1 or -1")
    return value


def _one_of(names: Sequence[str]) -> AfterValidator:
    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise ValueError(f"{value!r}: expected one of {', '.join(names)}, or null")
        return value

    return AfterValidator(check)


class StepResult(BaseModel):
    """The judgement of one step, numbered from 1, with evidence where that was asked for."""

    model_config = ConfigDict(strict=True, frozen=True)

    step: int
    evidence: Annotated[str, StringConstraints(strip_whitespace=True)] | None = None
    score: Annotated[int, AfterValidator(_verdict)]
    category: Annotated[str | None, _one_of(CATEGORIES)]
    subcategory: Annotated[str | None, _one_of(SUBCATEGORIES)] = None


class LabelledSolution(BaseModel):
    """What a line of the labels' file says about a solution's image and steps."""

    model_config = ConfigDict(strict=True)

    image: str
    step_judge_result: list[StepResult]


def read_labels(path: Path) -> Iterator[LabelledSolution]:
    """Yield the lines of a labels' file, which build_step_judge_sft_data writes.

    Raises:
        InputError: a line is not as it writes them.
    """
    for line, row in read_rows(path):
        yield parse_record(path, line, row, LabelledSolution)


class _TeacherSteps(BaseModel):
    model_config = ConfigDict(strict=True)

    Solution_steps: list[str]
    step_judge_result: list[StepResult]


@dataclass(frozen=True)
class Judgement:
    """A solution's steps and a result for each."""

    steps: tuple[str, ...]
    results: tuple[StepResult, ...]

    def results_json(self, *, evidence: bool = False) -> list[dict[str, Any]]:
        """Return the results as JSON objects, with their `evidence` or without."""
        left_out = set() if evidence else {"evidence"}
        return [result.model_dump(exclude=left_out) for result in self.results]


def parse_judgement(
    text: str, record: PairRecord, reply: JudgeReply = VERDICT_ALONE
) -> Judgement | Failure:
    """Read {"Solution_steps", "step_judge_result"} and hold it against the record.

    Kinds of failure: "invalid_json"; "invalid_steps" (a missing or wrong field, or not one result
    a step in order); "invalid_category" (a right step with a category, a wrong one without, or a
    sub-category that does not belong); "invalid_evidence" (none, or a longer one than the judge's
    `reply` may have, where that has evidence); "changed_steps" (not the record's text, but for
    white space and layout); "contradicts_label" (a wrong step in a solution labelled "+", or none
    in one labelled "-").
    """
    said = parse_json(text, _TeacherSteps, "invalid_steps")
    if isinstance(said, Failure):
        return said
    results = tuple(said.step_judge_result)
    steps = tuple(step.strip() for step in said.Solution_steps)
    numbers = [result.step for result in results]
    if not steps or not all(steps) or numbers != list(range(1, len(steps) + 1)):
        return Failure("invalid_steps", f"{len(steps)} steps, results for {numbers}", text)
    if problem_step := next((r for r in results if not _has_fitting_category(r)), None):
        return Failure("invalid_category", f"step {problem_step.step}", text)
    if reply.has_evidence:
        longest = reply.max_evidence_characters
        lengths = [len(result.evidence or "") for result in results]
        if not all(0 < length <= longest for length in lengths):
            return Failure("invalid_evidence", f"1 to {longest} expected, found {lengths}", text)
    if not _agree(steps, record):
        return Failure("changed_steps", "the steps are not the record's", text)
    if not _fits_label([result.score for result in results], record.label):
        return Failure("contradicts_label", f"the solution is labelled {record.label}", text)
    return Judgement(steps if record.step_labels is None else record.steps, results)


def _has_fitting_category(result: StepResult) -> bool:
    if (result.category is None) != (result.score == 1):
        return False
    return (result.subcategory is not None) == (result.category == CATEGORIES[0])


def _fits_label(scores: Sequence[int], label: Label) -> bool:
    return (-1 not in scores) == (label == "+")


def _agree(steps: Sequence[str], record: PairRecord) -> bool:
    """Compare step by step; a solution that is not divided has only its whole text."""
    if record.step_labels is None:
        return "".join(map(_bare, steps)) == "".join(map(_bare, record.steps))
    return list(map(_bare, steps)) == list(map(_bare, record.steps))


def _bare(step: str) -> str:
    return _LAYOUT.sub("", _STEP_NUMBER.sub("", step)).casefold()
