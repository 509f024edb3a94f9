"""How the steps of labelled solutions are judged, and what is changed to see what matters."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from evpv_prm.section import Decoding, Section

AUDIT_CHECKS = (
    "Have an audit first quote, for each fact, what the description says, and say whether it holds"
)
"""What the option of this name does in every section that has it."""


class CaptionDecoding(Decoding):
    """How a caption is sampled."""

    temperature: float = Field(0.2, ge=0, description="Temperature, 0: greedy")
    top_p: float = Field(0.9, gt=0, le=1, description="Nucleus of the sampling")
    max_tokens: int = Field(512, ge=1, description="Longest reply, in tokens")


class VerdictDecoding(Decoding):
    """How a verdict is sampled."""

    temperature: float = Field(0.0, ge=0, description="Temperature, 0: greedy")
    max_tokens: int = Field(8, ge=1, description="Longest reply, in tokens")


class StepJudging(Section):
    """How the steps of a labelled solution are judged: caption the image, then judge each step."""

    caption: CaptionDecoding = Field(CaptionDecoding(), description="Caption of the image")
    judge: VerdictDecoding = Field(VerdictDecoding(), description="Judgement of one step")
    history_steps: int | None = Field(
        None, ge=0, description="Previous steps that the judge sees, the last ones; null: all"
    )
    block_size: int = Field(
        1,
        ge=1,
        le=5,
        description="Successive steps whose history begins with the same step, so that a prefix "
        "cache serves it; each is judged without the later ones",
    )
    max_caption_characters: int = Field(
        600, ge=1, description="Longest caption, and longest key fact, in characters"
    )


class PremiseDecoding(Decoding):
    """How the visual facts behind a solution's steps are sampled."""

    temperature: float = Field(0.0, ge=0, description="Temperature, 0: greedy")


class StepGate(Section):
    """How labelled solutions get a gate: name each step's visual fact, then audit these facts."""

    premises: PremiseDecoding = Field(
        PremiseDecoding(), description="Visual facts that the steps of one solution depend on"
    )
    audit: Decoding = Field(Decoding(), description="Audit of a solution's visual checklist")
    max_premise_characters: int = Field(
        400, ge=1, description="Longest visual fact of one step, in characters"
    )
    max_audit_errors: int = Field(16, ge=1, description="Most errors that one audit lists")
    max_audit_characters: int = Field(
        400, ge=1, description="Longest statement in an audit, in characters"
    )
    audit_checks: bool = Field(False, description=AUDIT_CHECKS)


class ConstraintCorruption(Section):
    """How much of a caption is left out or falsified before the steps are judged."""

    ratios: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [0.1, 0.2, 0.4, 0.6, 0.8, 1.0],
        min_length=1,
        description="Shares of a caption's items that are left out, or falsified, each in a pass",
    )

    @field_validator("ratios")
    @classmethod
    def _each_once(cls, ratios: list[float]) -> list[float]:
        if sorted(set(ratios)) != ratios:
            raise ValueError(f"expected growing ratios, found {ratios}")
        return ratios


class AblationSuite(Section):
    """The ablation suite: what is judged again with one thing changed."""

    repetitions: int = Field(
        1,
        ge=1,
        description="Times that the whole suite is judged, each time with captions of its own; "
        "the first with `seed`, the next with seed + 1, …",
    )
    limit: int | None = Field(
        None,
        ge=1,
        description="Judge so many solutions of each shard, at even distances; null: all",
    )


class StepLevel(Section):
    """The step-level experiments: which labelled solutions, and how they are judged."""

    solutions: str = Field(
        "data/visualprocessbench/test.jsonl", description="JSONL file of VisualProcessBench"
    )
    images: str = Field(
        "data/visualprocessbench/images",
        description="Folder that the records' image paths are relative to",
    )
    limit: int | None = Field(None, ge=1, description="Take only the first records; null: all")
    judging: StepJudging = Field(StepJudging(), description="Captions and judgements")
    gate: StepGate = Field(StepGate(), description="The reliability gate on labelled solutions")
    corruption: ConstraintCorruption = Field(
        ConstraintCorruption(), description="Judgements with corrupted captions"
    )
    ablations: AblationSuite = Field(AblationSuite(), description="The ablation suite")
    bootstrap_samples: int = Field(
        2000, ge=1, description="Bootstrap resamples behind every 95 % interval"
    )
