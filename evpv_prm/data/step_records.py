"""Labelled solutions of VisualProcessBench: a question, a policy's steps, and what is right.

Source of the format: OpenGVLab's VisualProcessBench (`test.jsonl`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator

from evpv_prm.data.questions import assign_pids
from evpv_prm.errors import InputError
from evpv_prm.jsonl import parse_record, read_rows
from evpv_prm.records import Caption, Record, Verdict, path_or_paths

StepLabel = Literal[1, 0, -1]
"""Right, neutral, wrong."""


class LabelledSteps(Record):
    """A policy's steps and one label a step, which is never written to."""

    steps: list[str]
    process_correctness: list[StepLabel]

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        steps, labels = len(self.steps), len(self.process_correctness)
        if steps != labels:
            raise ValueError(f"expected one label a step, found {labels} for {steps} steps")
        return self


class StepRecord(Record):
    """One labelled solution. `pid` is unique in its file; image paths are relative to a root."""

    pid: str = Field(min_length=1)
    image: Annotated[str | list[str], BeforeValidator(path_or_paths)]
    question: str = Field(min_length=1)
    response: LabelledSteps
    policy_model: str = Field(min_length=1)
    data_source: str = Field(min_length=1)

    @property
    def images(self) -> tuple[str, ...]:
        """The image paths in the order of the question's markers."""
        return (self.image,) if isinstance(self.image, str) else tuple(self.image)

    @property
    def steps(self) -> list[str]:
        """The texts of the steps."""
        return self.response.steps


class JudgedRecord(StepRecord):
    """A labelled solution with the verifier's judgements.

    `step_predict` has one entry a step, 1 or -1, and None where the judge failed;
    `step_probabilities` is p of "1", where known. `failures` names each failed request as
    "question:KIND" (an image that cannot be used), "caption:KIND" or "judge[INDEX]:KIND"; it is
    "no_steps" alone for a record without steps.
    `structured_vision` is the caption that the judge was shown, None if there was none.
    """

    structured_vision: Caption | None = None
    step_predict: list[Verdict | None]
    step_probabilities: list[float | None]
    failures: list[str]

    @model_validator(mode="after")
    def _one_entry_a_step(self) -> Self:
        for name in ("step_predict", "step_probabilities"):
            found, steps = len(getattr(self, name)), len(self.steps)
            if found != steps:
                raise ValueError(f"{name}: expected one entry a step, found {found} for {steps}")
        return self


def read_step_records(path: Path | str, limit: int | None = None) -> list[StepRecord]:
    """Read the first `limit` labelled solutions of a file; None stands for all.

    A record without `pid` and `id` is named after its source, images, question, policy and steps;
    copies get -2, -3, …

    Raises:
        InputError: the first unreadable line or field; a repeated pid; an empty file.
    """
    entries = list(read_rows(path))
    if not entries:
        raise InputError(path, expected="expected at least one record, found an empty file")
    first_lines: dict[str, int] = {}
    records = []
    pids = assign_pids([row for _, row in entries], _name)
    for (line, row), pid in zip(entries, pids, strict=True):
        first = first_lines.setdefault(pid, line)
        if first != line:
            message = f"{pid!r} is already on line {first}; expected one of its own"
            raise InputError(path, line, "pid", expected=message)
        records.append(parse_record(path, line, {**row, "pid": pid}, StepRecord))
    return records[:limit]


def _name(row: Mapping[str, Any]) -> str:
    response = row.get("response")
    steps = response.get("steps") if isinstance(response, Mapping) else None
    content = [row.get("image"), row.get("question"), row.get("policy_model"), steps]
    digest = hashlib.sha256(orjson.dumps(content)).hexdigest()[:12]
    return f"{row.get('data_source')}-{digest}"
