"""Typed records of the pipeline's files.

A record keeps every field of the line that it was read from, known or not: a benchmark's own fields
survive to the scored file. Known fields are written first, the others follow in the line's order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

RESPONSE_KEY = re.compile(r"vlmresponse([1-9][0-9]*)")
_STEP_INDEX = re.compile(r"\[\d+\]")


class Record(BaseModel):
    """Base of all records: immutable, unknown fields kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def to_row(self) -> dict[str, Any]:
        """Return the JSON object to write: the fields that were given."""
        return self.model_dump(exclude_unset=True)


def path_or_paths(value: Any) -> Any:
    """Refuse what is neither a path nor a list of paths, in one sentence for both shapes."""
    paths = value if isinstance(value, list) and value else [value]
    if not all(isinstance(path, str) and path for path in paths):
        raise ValueError("expected a path or a list of paths")
    return value


class Question(Record):
    """One benchmark question."""

    pid: str = Field(
        min_length=1,
        description="Its identity, in no other record of the file. A benchmark's own file may name "
        "it `id` or leave it out",
    )
    question: str = Field(min_length=1, description="`<image 1>` marks the place of an image")
    answer: str = Field(description="The right answer")
    image: Annotated[str | list[str], BeforeValidator(path_or_paths)] = Field(
        description="Relative to the benchmark's folder of images; one path or a list, as in the "
        "benchmark's file"
    )
    datasource: str = Field(min_length=1, description="What metrics are computed by")
    choices: list[str] | None = Field(
        None, description="The options; the one that a letter as answer stands for is right, too"
    )

    @property
    def images(self) -> tuple[str, ...]:
        """The image paths in the order of the question's markers."""
        return (self.image,) if isinstance(self.image, str) else tuple(self.image)


def failure_reason(failure: str) -> str:
    """Return a failure without the index of its step: "judge:timeout" for "judge[3]:timeout"."""
    return _STEP_INDEX.sub("", failure)


def null_if_blank(value: Any) -> Any:
    """Read null, blank and the word "null" in any case as no dependency."""
    if isinstance(value, str) and value.strip().lower() in ("", "null"):
        return None
    return value if value is None or isinstance(value, str) else str(value)


class Caption(Record):
    """What a model says of a question's images: a caption, key facts, and what it is unsure of."""

    caption: str
    key_facts: list[str]
    uncertain: list[str] = Field(default_factory=list)

    def to_text(self) -> str:
        """Return the caption as the judge reads it."""
        facts = [f"- {fact}" for fact in self.key_facts]
        doubts = [f"- {doubt}" for doubt in self.uncertain]
        parts = [self.caption] if self.caption else []
        parts += ["Key facts:", *facts] if facts else []
        return "\n".join([*parts, *(["Uncertain:", *doubts] if doubts else [])])


def number_as_text(value: Any) -> Any:
    """Return a number as text, and anything else as it is: answers are often numbers."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class Step(Record):
    """One reasoning step."""

    steptext: str = Field(description="What the step says")
    visualdependency: Annotated[str | None, BeforeValidator(null_if_blank)] = Field(
        None, description="The fact in the image that it depends on; null: none"
    )


class Evaluation(Record):
    """The verifier's opinion of one candidate. Lists of scores have one entry a step."""

    image_description: str | None = Field(
        description="What the verifier says of the images; null if that failed"
    )
    visual_checklist: str = Field(
        description='The visual facts that steps depend on, each once, as lines "- FACT"; '
        '"(empty)" if there are none'
    )
    visual_step_indices: list[int] = Field(
        description="The steps that depend on a visual fact, from 0"
    )
    visual_checklist_evaluation: dict[str, Any] | None = Field(
        description="The audit: errors with severity, omissions, p; null if there was none"
    )
    local_p_score: float | None = Field(
        description="Reliability p in [0, 1], 1 for an empty checklist; null if the audit failed"
    )
    raw_step_scores: list[int | None] = Field(
        description="The judgements, 1 or -1; null where the judge failed"
    )
    final_step_scores: list[float | None] = Field(
        description="Behind the gate, -1 or in [0, 1]; null where the judge, or the audit that the "
        "gate needs, failed"
    )
    step_probabilities: list[float | None] = Field(
        description='p of "1" at the verdict; null where it is not known'
    )
    step_evidence: list[str | None] | None = Field(
        None,
        description="What the judge says that the steps should say: the fact that a step reads, or "
        "the right result; null where it gave no evidence",
    )
    failures: list[str] = Field(
        description='Each failed request as "STAGE:KIND", or "judge[INDEX]:KIND"'
    )

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        lengths = {
            len(self.raw_step_scores),
            len(self.final_step_scores),
            len(self.step_probabilities),
            len(self.raw_step_scores if self.step_evidence is None else self.step_evidence),
        }
        if len(lengths) != 1:
            raise ValueError(
                "raw, final, probability and evidence lists must have one entry a step each"
            )
        return self


class Candidate(Record):
    """One answer of the policy: its steps and the final answer."""

    reasoningprocess: list[Step] = Field(description="The steps in their order")
    finalanswer: Annotated[str, BeforeValidator(number_as_text)] = Field(
        description="A number is read as text"
    )
    eval: Evaluation | None = Field(None, description="In scored files alone")


class FailedCandidate(Record):
    """A candidate that could not be made."""

    error: str = Field(min_length=1, description="The kind of failure")
    detail: str = Field("", description="The same for people")
    rawoutput: str = Field("", description="What the model said, if anything")


class CandidateRecord(Question):
    """A question with its `vlmresponse1..N`, or with `error` and none of them.

    `error` stands on questions that were never put to the policy.
    """

    candidates: list[Candidate | FailedCandidate] = Field(
        default_factory=list,
        exclude=True,
        title="vlmresponse1, vlmresponse2, …",
        description="The candidates, one a field, without gaps",
    )
    error: str | None = Field(None, description='A kind of failure, such as "missing_image"')
    detail: str | None = Field(None, description="The same for people")

    @model_validator(mode="before")
    @classmethod
    def _collect_responses(cls, row: Any) -> Any:
        if not isinstance(row, Mapping) or "candidates" in row:
            return row
        numbers = sorted(int(m[1]) for key in row if (m := RESPONSE_KEY.fullmatch(key)))
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"vlmresponse1, vlmresponse2, … must have no gaps, found {numbers}")
        if not numbers and not row.get("error"):
            raise ValueError("expected vlmresponse1, vlmresponse2, … or error")
        rest = {key: value for key, value in row.items() if not RESPONSE_KEY.fullmatch(key)}
        responses = [_parse_response(row[f"vlmresponse{n}"], n) for n in numbers]
        return {**rest, "candidates": responses}

    def to_row(self) -> dict[str, Any]:
        """Return the JSON object to write, responses last.

        Responses that a question brought along from an earlier sampling are left out.
        """
        fields = {k: v for k, v in super().to_row().items() if not RESPONSE_KEY.fullmatch(k)}
        return fields | response_fields(self.candidates)


def _parse_response(value: Any, number: int) -> Candidate | FailedCandidate:
    """Read one response, so that an error names the response and not the union's members."""
    where = f"vlmresponse{number}"
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected an object, found {type(value).__name__}")
    try:
        if "error" in value:
            return FailedCandidate.model_validate(value)
        return Candidate.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in (where, *problem["loc"]))
        raise ValueError(f"{field}: {problem['msg']}") from error


def response_fields(candidates: Sequence[Candidate | FailedCandidate]) -> dict[str, Any]:
    """Name candidates as the file does: vlmresponse1, vlmresponse2, …"""
    return {f"vlmresponse{n}": c.to_row() for n, c in enumerate(candidates, start=1)}


Verdict = Literal[1, -1]
