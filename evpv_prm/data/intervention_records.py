"""Questions that were answered with and without what there is to see, and how that was judged.

The fields are the reference implementation's: `perception_intervention_exps.cond1` … `cond4` and
`perception_intervention_meta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from evpv_prm.data.conditions import CONDITIONS, Condition, DescriptionKind
from evpv_prm.engine.base import Failure
from evpv_prm.parsing import parse_json
from evpv_prm.records import (
    Caption,
    FailedCandidate,
    Question,
    Record,
    Verdict,
    number_as_text,
)

META, EXPERIMENTS = "perception_intervention_meta", "perception_intervention_exps"
"""The names of the fields."""


class NoisyDescription(Record):
    """A description with errors as the solver reads it, and which errors they are."""

    text: str = Field(min_length=1)
    source: Literal["rules", "teacher"]
    errors: list[dict[str, str]]


class Meta(Record):
    """The descriptions of a question's images.

    `failures` names what could not be had as "question:KIND" (an image that cannot be used),
    "describe:KIND" or "noise:KIND"; there is at most one, as each needs what is before it.
    """

    oracle_description: Caption | None
    noisy_description: NoisyDescription | None
    failures: list[str]

    @model_validator(mode="after")
    def _absence_has_a_reason(self) -> Self:
        whole = self.oracle_description is not None and self.noisy_description is not None
        if whole == bool(self.failures):
            raise ValueError("expected both descriptions, or a failure that says why not")
        return self

    def description(self, kind: DescriptionKind) -> str | None:
        """Return a description as a model reads it; None where it could not be had."""
        if kind == "oracle" and self.oracle_description is not None:
            return self.oracle_description.to_text()
        if kind == "noisy" and self.noisy_description is not None:
            return self.noisy_description.text
        return None


class StepEvaluation(Record):
    """The verifier's judgement of each step of an answer.

    Scores are 1 or -1, probabilities p of "1" where known; both are None where the judge failed.
    Evidence is what the judge says that the step should say, None where it gave none.
    `failures` names what failed as "judge[INDEX]:KIND", or why nothing was judged, as "STAGE:KIND".
    """

    steps: list[str]
    step_scores: list[Verdict | None]
    step_probabilities: list[float | None]
    step_evidence: list[str | None] | None = None
    failures: list[str]

    @model_validator(mode="after")
    def _one_entry_a_step(self) -> Self:
        for name in ("step_scores", "step_probabilities", "step_evidence"):
            entries, steps = getattr(self, name), len(self.steps)
            if entries is not None and len(entries) != steps:
                found = f"found {len(entries)} for {steps}"
                raise ValueError(f"{name}: expected one entry a step, {found}")
        return self


class Solution(Record):
    """The solver's reasoning and final answer, and how its steps were judged, once they are."""

    reasoning: str = Field(min_length=1)
    final: str = Field(min_length=1)
    prm_eval: StepEvaluation | None = None


class _Reply(BaseModel):
    reasoning: str
    final: Annotated[str, BeforeValidator(number_as_text)]


def parse_solution(text: str) -> Solution | Failure:
    """Read {"reasoning": TEXT, "final": TEXT}; the answer may be a number."""
    reply = parse_json(text, _Reply, "invalid_solution")
    if isinstance(reply, Failure):
        return reply
    if not reply.reasoning.strip():
        return Failure("no_steps", text=text)
    if not reply.final.strip():
        return Failure("no_answer", text=text)
    return Solution(reasoning=reply.reasoning, final=reply.final)


def _kind(value: Any) -> str:
    if isinstance(value, FailedCandidate) or (isinstance(value, Mapping) and "error" in value):
        return "failed"
    return "solution"


Outcome: TypeAlias = Annotated[
    Annotated[Solution, Tag("solution")] | Annotated[FailedCandidate, Tag("failed")],
    Discriminator(_kind),
]
"""A solution, or why there is none: "solve:KIND", or what the condition needs and could not have
("question:KIND", "describe:KIND", "noise:KIND")."""


class DescribedQuestion(Question):
    """A question with the descriptions of its images."""

    perception_intervention_meta: Meta

    @property
    def reasons(self) -> list[list[str]]:
        """Why something failed: of the descriptions; of each condition, where it is known."""
        return [self.perception_intervention_meta.failures]


class AnsweredQuestion(DescribedQuestion):
    """A question with its outcome in every condition."""

    perception_intervention_exps: dict[Condition, Outcome]

    @model_validator(mode="after")
    def _every_condition_is_there(self) -> Self:
        missing = [name for name in CONDITIONS if name not in self.perception_intervention_exps]
        if missing:
            raise ValueError(f"{EXPERIMENTS}: expected {', '.join(missing)} too")
        return self

    @property
    def reasons(self) -> list[list[str]]:
        """Why something failed, for each condition."""
        return [
            [outcome.error]
            if isinstance(outcome, FailedCandidate)
            else outcome.prm_eval.failures
            if outcome.prm_eval
            else []
            for outcome in self.perception_intervention_exps.values()
        ]

    def solutions(self) -> dict[Condition, Solution]:
        """Return the solutions of the conditions that have one, in their order."""
        outcomes = self.perception_intervention_exps
        found = ((name, outcomes[name]) for name in CONDITIONS)
        return {name: outcome for name, outcome in found if isinstance(outcome, Solution)}

    def with_outcomes(self, outcomes: Mapping[Condition, Outcome]) -> Self:
        """Return the question with other outcomes in some conditions."""
        changed = {**self.perception_intervention_exps, **outcomes}
        return self.model_copy(update={EXPERIMENTS: changed})
