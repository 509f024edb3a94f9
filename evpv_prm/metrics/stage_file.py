"""The metrics file of the models that the trainings make: its schema, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from evpv_prm.jsonl import read_document
from evpv_prm.metrics.metrics_file import Interval, Strict

StageName = Literal["base", "vision_sft", "vision_dpo", "step_judge_sft"]

STAGE_LABELS: Mapping[StageName, str] = {
    "base": "Base",
    "vision_sft": "Vision SFT",
    "vision_dpo": "Vision DPO",
    "step_judge_sft": "Step-judge SFT",
}
"""The stages in their order, as they are shown: the verifier's base, then each training."""


class PairedGain(Strict):
    """A paired difference to another model, and its 95 % interval."""

    estimate: float
    ci95: Interval


class StageMeasure(Strict):
    """A share or a macro-F1, its 95 % interval, and the differences to earlier models.

    The base has no differences.
    """

    estimate: float
    ci95: Interval
    to_previous: PairedGain | None
    to_base: PairedGain | None


class StageSummary(Strict):
    """The model after one training, or the base.

    `facts` is the share of the facts that its descriptions state, None where no facts are known;
    a description that failed states none. `macro_f1` is that of the judged steps; a judgement that
    failed counts against both classes.
    """

    stage: StageName
    facts: StageMeasure | None
    macro_f1: StageMeasure
    n_failed_descriptions: int
    n_failed_steps: int


class StageMetrics(Strict):
    """One metrics file: the models in the order of the trainings, all on the same records.

    Facts are those of the questions' pictures; `n_steps` counts the solutions' steps labelled right
    or wrong, `n_neutral` others are left out.
    """

    n_questions: int
    n_facts: int
    n_solutions: int
    n_steps: int
    n_neutral: int
    bootstrap_samples: int
    seed: int
    stages: list[StageSummary] = Field(min_length=1)


def read_stage_metrics(files: Mapping[str, Path]) -> dict[str, StageMetrics]:
    """Read metrics files, by name and in the order given.

    Raises:
        InputError: a file cannot be read or is not such a metrics file.
    """
    return {name: read_document(path, StageMetrics) for name, path in files.items()}
