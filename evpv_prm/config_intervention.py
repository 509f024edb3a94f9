"""How perception is intervened in: what a solver is given, and how its steps are judged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from evpv_prm.section import Decoding, Name, Section


class OracleDecoding(Decoding):
    """How the teacher's description is sampled."""

    temperature: float = Field(0.2, ge=0, description="Temperature, 0: greedy")
    top_p: float = Field(0.95, gt=0, le=1, description="Nucleus of the sampling")


class NoiseDecoding(Decoding):
    """How the teacher's errors are sampled."""

    temperature: float = Field(0.8, ge=0, description="Temperature, 0: greedy")
    top_p: float = Field(0.95, gt=0, le=1, description="Nucleus of the sampling")


class SolverDecoding(Decoding):
    """How the solver's answer is sampled."""

    temperature: float = Field(0.2, ge=0, description="Temperature, 0: greedy")
    top_p: float = Field(0.9, gt=0, le=1, description="Nucleus of the sampling")


class StepVerdictDecoding(Decoding):
    """How the judgement of one of the solver's steps is sampled."""

    max_tokens: int = Field(128, ge=1, description="Longest reply, in tokens")


class Describing(Section):
    """The descriptions: the teacher's, and the same with errors."""

    limit: int | None = Field(
        None, ge=1, description="Take only the first questions of each benchmark; null: all"
    )
    oracle: OracleDecoding = Field(OracleDecoding(), description="The teacher's description")
    max_caption_characters: int = Field(
        1000, ge=1, description="Longest caption, and longest key fact, in characters"
    )
    noise_by: Literal["rules", "teacher"] = Field(
        "rules", description="Who puts errors into the description: fixed rules or the teacher"
    )
    noise: NoiseDecoding = Field(NoiseDecoding(), description="Errors of the teacher")
    min_errors: int = Field(
        3, ge=1, le=16, description="Fewest errors, where the description has that much to change"
    )
    max_errors: int = Field(5, ge=1, le=16, description="Most errors in one description")
    attempts: int = Field(
        3, ge=1, le=64, description="Replies asked of the teacher until one is valid"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_errors > self.max_errors:
            raise ValueError(
                f"min_errors ({self.min_errors}) must not exceed max_errors ({self.max_errors})"
            )
        return self


class Solving(Section):
    """The answers under each condition."""

    solver: SolverDecoding = Field(SolverDecoding(), description="Answer of the solver")
    max_reasoning_characters: int = Field(
        6000, ge=1, description="Longest reasoning, in characters"
    )
    letters_only: bool = Field(
        False, description="Allow only a letter as answer where a question lists options"
    )


class SolutionJudging(Section):
    """The judgements of the answers' steps."""

    judge: StepVerdictDecoding = Field(StepVerdictDecoding(), description="Judgement of one step")
    history_steps: int | None = Field(
        12, ge=0, description="Previous steps that the judge sees, the last ones; null: all"
    )
    judged_with: Literal["oracle", "condition"] = Field(
        "oracle",
        description="The description that the judge reads. oracle: the teacher's in all "
        "conditions, one yardstick for all; condition: the one that the solver was given, none "
        "where it was given none. The judge sees the image where the solver did",
    )


class Intervention(Section):
    """The perception intervention: answers with and without what there is to see."""

    policies: list[Name] = Field(
        [], description="Policies that answer, by their names; empty: the first of all"
    )
    benchmarks: list[Name] = Field(
        [], description="Benchmarks whose questions are answered, by their names; empty: all"
    )
    describing: Describing = Field(Describing(limit=200), description="The teacher's part")
    solving: Solving = Field(Solving(), description="The policy's part")
    judging: SolutionJudging = Field(SolutionJudging(), description="The verifier's part")
    bootstrap_samples: int = Field(
        2000, ge=1, description="Bootstrap resamples behind every 95 % interval"
    )

    def check_names(self, policies: Iterable[str], benchmarks: Iterable[str]) -> None:
        """Raise ValueError for a policy or a benchmark that is none of these."""
        for key, known in (("policies", list(policies)), ("benchmarks", list(benchmarks))):
            for name in getattr(self, key):
                if name not in known:
                    raise ValueError(f"intervention.{key}: {name!r}: expected one of {known}")
