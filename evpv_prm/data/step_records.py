"""Labelled solutions of VisualProcessBench: a question, a policy's steps, and what is right.

Source of the format: OpenGVLab's VisualProcessBench (`test.jsonl`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator

from evpv_prm.data.questions import assign_pids
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import parse_record, parse_row, read_lines, read_shards
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.records import Caption, Record, Verdict, path_or_paths

StepLabel = Literal[1, 0, -1]
"""Right, neutral, wrong."""


class LabelledSteps(Record):
    """A policy's steps and their labels, which are never written to."""

    steps: list[str] = Field(description="The texts")
    process_correctness: list[StepLabel] = Field(
        description="One label a step: 1 right, 0 neutral, -1 wrong"
    )

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        steps, labels = len(self.steps), len(self.process_correctness)
        if steps != labels:
            raise ValueError(f"expected one label a step, found {labels} for {steps} steps")
        return self


class StepRecord(Record):
    """One labelled solution."""

    pid: str = Field(
        min_length=1,
        description="Its identity, in no other record of the file; VisualProcessBench has none",
    )
    image: Annotated[str | list[str], BeforeValidator(path_or_paths)] = Field(
        description="Relative to a folder of images; one path or a list"
    )
    question: str = Field(min_length=1, description="`<image>` marks the place of an image")
    response: LabelledSteps = Field(description="The solution")
    policy_model: str = Field(min_length=1, description="Who wrote it")
    data_source: str = Field(min_length=1, description="What metrics are computed by")

    @property
    def images(self) -> tuple[str, ...]:
        """The image paths in the order of the question's markers."""
        return (self.image,) if isinstance(self.image, str) else tuple(self.image)

    @property
    def steps(self) -> list[str]:
        """The texts of the steps."""
        return self.response.steps


_LISTS = (
    *("step_predict", "step_probabilities", "step_evidence"),
    *("visual_dependencies", "final_step_scores"),
)


class JudgedRecord(StepRecord):
    """A labelled solution with the verifier's judgements.

    `step_predict` has one entry a step, 1 or -1, and None where the judge failed;
    `step_probabilities` is p of "1", where known, and `step_evidence` what the judge says that the
    step should say, where it gives evidence. `failures` names each failed request as
    "question:KIND" (an image that cannot be used), "caption:KIND" or "judge[INDEX]:KIND"; it is
    "no_steps" alone for a record without steps.
    `structured_vision` is the caption that the judge was shown, None if there was none.

    The fields from `visual_dependencies` on are those of a gated record: the visual fact behind
    each step, and the rest as in `Evaluation`. Its `failures` can also hold
    "premises:KIND" and "audit:KIND", which concern the gate alone.
    """

    structured_vision: Caption | None = None
    step_predict: list[Verdict | None]
    step_probabilities: list[float | None]
    step_evidence: list[str | None] | None = None
    failures: list[str]
    visual_dependencies: list[str | None] | None = None
    visual_checklist: str | None = None
    visual_step_indices: list[int] | None = None
    visual_checklist_evaluation: dict[str, Any] | None = None
    local_p_score: float | None = Field(None, ge=0, le=1)
    final_step_scores: list[float | None] | None = None

    @property
    def is_judged(self) -> bool:
        """Whether every step has a judgement; a failure of the gate changes nothing about it."""
        return None not in self.step_predict

    @model_validator(mode="after")
    def _one_entry_a_step(self) -> Self:
        for name in _LISTS:
            entries, steps = getattr(self, name), len(self.steps)
            if entries is not None and len(entries) != steps:
                found = f"found {len(entries)} for {steps}"
                raise ValueError(f"{name}: expected one entry a step, {found}")
        return self


@dataclass(frozen=True)
class StepFile:
    """A benchmark file: (line number, record) of every sound line, and what is wrong elsewhere.

    `problems` is in the order of the lines.
    """

    records: list[tuple[int, StepRecord]]
    problems: list[InputError]


def read_step_records(path: Path | str, limit: int | None = None) -> list[StepRecord]:
    """Read the first `limit` labelled solutions of a file; None stands for all.

    A record without `pid` and `id` is named after its source, images, question, policy and steps;
    copies get -2, -3, … Pids are assigned over the whole file.

    Raises:
        InputError: the first unreadable line, field or repeated pid of the file; an empty file.
        UserError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise UserError(f"limit: expected at least 1 record, found {limit}")
    file = scan_step_records(path)
    if file.problems:
        raise file.problems[0]
    return [record for _, record in file.records[:limit]]


def scan_step_records(path: Path | str) -> StepFile:
    """Read a benchmark file to its end and collect every problem instead of raising the first.

    Raises:
        InputError: the file cannot be opened or has no lines.
    """
    rows: list[tuple[int, dict[str, Any]]] = []
    problems: list[InputError] = []
    for line, content in read_lines(path):
        try:
            rows.append((line, parse_row(path, line, content)))
        except InputError as problem:
            problems.append(problem)
    if not rows and not problems:
        raise InputError(path, expected="expected at least one record, found an empty file")

    records: list[tuple[int, StepRecord]] = []
    first_lines: dict[str, int] = {}
    for (line, row), pid in zip(rows, assign_pids([row for _, row in rows], _name), strict=True):
        try:
            first = first_lines.setdefault(pid, line)
            if first != line:
                message = f"{pid!r} is already on line {first}; expected one of its own"
                raise InputError(path, line, "pid", expected=message)
            records.append((line, parse_record(path, line, {**row, "pid": pid}, StepRecord)))
        except InputError as problem:
            problems.append(problem)
    return StepFile(records, sorted(problems, key=lambda problem: problem.line or 0))


def read_judged_records(paths: Iterable[Path | str]) -> list[JudgedRecord]:
    """Read files of judged solutions (shards of one run), in order.

    Raises:
        InputError: the first unreadable line or field; a pid that appears twice; files without any
            record.
    """
    records = []
    for path, line, record in read_shards(paths, JudgedRecord):
        if record.data_source == OVERALL:
            reason = f"{OVERALL!r} is the name of all sources taken together"
            raise InputError(path, line, "data_source", expected=reason)
        records.append(record)
    return records


def _name(row: Mapping[str, Any]) -> str:
    response = row.get("response")
    steps = response.get("steps") if isinstance(response, Mapping) else None
    content = [row.get("image"), row.get("question"), row.get("policy_model"), steps]
    digest = hashlib.sha256(orjson.dumps(content)).hexdigest()[:12]
    return f"{row.get('data_source')}-{digest}"
