"""Labelled solutions that were judged with corrupted captions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from evpv_prm.data.constraint_corruption import MODES, Meta, Mode
from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.records import Caption, Record, Verdict

JudgeView: TypeAlias = Literal["with_image", "without_image"]


class JudgedPass(Record):
    """The judgements of a solution's steps by a judge that was shown `vision_json`.

    The lists are as in `JudgedRecord`; `vision_json` is None where there was no caption to show.
    """

    vision_json: Caption | None
    step_predict: list[Verdict | None]
    step_probabilities: list[float | None]
    failures: list[str]


class CorruptedPass(JudgedPass):
    """Judgements with a corrupted caption; `meta` is None where there was none to corrupt."""

    meta: Meta | None


class ConstraintExperiments(Record):
    """The judgements with the whole caption, and with each of its corruptions by nominal ratio."""

    baseline: JudgedPass
    drop: dict[str, CorruptedPass] = Field(min_length=1)
    flip: dict[str, CorruptedPass] = Field(min_length=1)

    def corrupted(self, mode: Mode) -> dict[str, CorruptedPass]:
        """The corruptions of one mode by nominal ratio."""
        return self.drop if mode == "drop" else self.flip

    def passes(self) -> Iterator[JudgedPass]:
        """The baseline, then every corruption."""
        yield self.baseline
        for mode in MODES:
            yield from self.corrupted(mode).values()


class ConstraintRecord(JudgedRecord):
    """A labelled solution with all its judgements; its own are the baseline's with the image."""

    constraint_experiments: ConstraintExperiments
    constraint_experiments_without_image: ConstraintExperiments

    @model_validator(mode="after")
    def _passes_fit(self) -> Self:
        ratios = {
            tuple(experiments.corrupted(mode))
            for experiments in self.experiments.values()
            for mode in MODES
        }
        if len(ratios) > 1:
            raise ValueError("expected the same ratios in both modes and views")
        for judged in self.passes():
            if not len(judged.step_predict) == len(judged.step_probabilities) == len(self.steps):
                raise ValueError("expected one judgement a step in every pass")
        return self

    @property
    def experiments(self) -> dict[JudgeView, ConstraintExperiments]:
        """The judgements by a judge who saw the image, and by one who did not."""
        return {
            "with_image": self.constraint_experiments,
            "without_image": self.constraint_experiments_without_image,
        }

    def passes(self) -> Iterator[JudgedPass]:
        """All passes in both views."""
        for experiments in self.experiments.values():
            yield from experiments.passes()
