"""The step-level metrics file (`M.json`): its schema, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from evpv_prm.jsonl import read_document
from evpv_prm.metrics.metrics_file import OVERALL, Interval, Strict


class Verdicts(Strict):
    """How many steps with the same label were called right and wrong, and how many judgements
    failed.
    """

    right: int
    wrong: int
    failed: int


class StepSummary(Strict):
    """The metrics of the solutions of one source, of one policy model, or of all pooled.

    `n_samples` counts solutions and `n_steps` the steps labelled right or wrong; `n_neutral` others
    are left out. `confusion` has the labels as keys; a failed judgement counts against both
    classes. `failures` counts requests as "STAGE:KIND", those for neutral steps included.

    Rates are fractions in [0, 1], None where there is nothing to measure. `ci95` belongs to
    `macro_f1`. AUROC leaves out `n_without_probability` steps; first-error accuracy is over the
    `n_with_steps` solutions that have a step labelled right or wrong.
    """

    n_samples: int
    n_with_steps: int
    n_steps: int
    n_neutral: int
    n_without_probability: int
    confusion: dict[Literal["right", "wrong"], Verdicts]
    failures: dict[str, int]
    f1_correct: float | None
    f1_incorrect: float | None
    macro_f1: float | None
    ci95: Interval | None
    auroc: float | None
    first_error_accuracy: float | None

    @property
    def n_failed_steps(self) -> int:
        """Steps labelled right or wrong without a verdict."""
        return sum(verdicts.failed for verdicts in self.confusion.values())


class SourceMean(Strict):
    """The mean of the sources' macro-F1, weighted by their steps, and its 95 % interval."""

    macro_f1: float
    ci95: Interval


class Overall(Strict):
    """All solutions, in the two ways that are in use."""

    pooled: StepSummary
    source_weighted: SourceMean


class StepMetrics(Strict):
    """One metrics file: each source, each policy model, and all of them."""

    bootstrap_samples: int
    seed: int
    sources: dict[str, StepSummary]
    policies: dict[str, StepSummary]
    overall: Overall = Field(alias=OVERALL)


def read_step_metrics(files: Mapping[str, Path]) -> dict[str, StepMetrics]:
    """Read metrics files, by name and in the order given.

    Raises:
        InputError: a file cannot be read or is not a step-level metrics file.
    """
    return {name: read_document(path, StepMetrics) for name, path in files.items()}
