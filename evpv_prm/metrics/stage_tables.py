"""Tables of the models that the trainings make, and all their numbers in one tidy frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pandas as pd

from evpv_prm.metrics.rendering import MISSING, Table, gain_with_interval, with_interval
from evpv_prm.metrics.stage_file import (
    STAGE_LABELS,
    PairedGain,
    StageMeasure,
    StageMetrics,
    StageSummary,
)

StageMeasureName = Literal["facts", "macro_f1"]
MEASURE_LABELS: Mapping[StageMeasureName, str] = {
    "facts": "Facts right",
    "macro_f1": "Macro-F1 of steps",
}


_COUNTS = ("n_questions", "n_facts", "n_solutions", "n_steps", "n_failed")


def stage_frame(metrics: Mapping[str, StageMetrics]) -> pd.DataFrame:
    """Return every number as a row.

    Args:
        metrics: by name of the verifier.

    Returns:
        Columns verifier, stage, measure ("facts" or "macro_f1"), compared_with ("" for the level
        itself, "previous" or "base" for a difference), estimate (a fraction or a difference of
        fractions), ci95_low, ci95_high, and the counts n_questions and n_facts, or n_solutions and
        n_steps, behind it, and n_failed of the descriptions or steps.
    """
    rows = [
        {"verifier": verifier, "stage": stage.stage, **row}
        for verifier, file in metrics.items()
        for stage in file.stages
        for row in _numbers(file, stage)
    ]
    columns = [
        *("verifier", "stage", "measure", "compared_with", "estimate", "ci95_low", "ci95_high"),
        *_COUNTS,
    ]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_COUNTS, "Int64"))


def _numbers(file: StageMetrics, stage: StageSummary) -> Iterator[dict[str, Any]]:
    for name, measure in measures(stage).items():
        counts: dict[str, int]
        if name == "facts":
            counts = {"n_questions": file.n_questions, "n_facts": file.n_facts}
            failed = stage.n_failed_descriptions
        else:
            counts = {"n_solutions": file.n_solutions, "n_steps": file.n_steps}
            failed = stage.n_failed_steps
        numbers: dict[str, StageMeasure | PairedGain | None] = {
            "": measure,
            "previous": measure.to_previous,
            "base": measure.to_base,
        }
        for compared_with, number in numbers.items():
            if number is not None:
                low, high = number.ci95
                yield {
                    "measure": name,
                    "compared_with": compared_with,
                    "estimate": number.estimate,
                    "ci95_low": low,
                    "ci95_high": high,
                    **counts,
                    "n_failed": failed,
                }


def measures(stage: StageSummary) -> dict[StageMeasureName, StageMeasure]:
    """Return what was measured of a model, by name."""
    seen: dict[StageMeasureName, StageMeasure] = {"facts": stage.facts} if stage.facts else {}
    return {**seen, "macro_f1": stage.macro_f1}


def stage_tables(metrics: Mapping[str, StageMetrics]) -> list[Table]:
    """Lay out what each training adds, in percent and percentage points.

    Args:
        metrics: by name of the verifier; the name of a single one is left out.
    """
    return [
        _table(file, name, label, f", {verifier}" if len(metrics) > 1 else "")
        for verifier, file in metrics.items()
        for name, label in MEASURE_LABELS.items()
        if name in measures(file.stages[0])
    ]


def _table(file: StageMetrics, name: StageMeasureName, label: str, of: str) -> Table:
    if name == "facts":
        counted = (
            f"Of the {file.n_facts} facts that the pictures of {file.n_questions} questions show, "
            "those that the model's description states with their value and no other; a "
            "description that failed states none."
        )
    else:
        counted = (
            f"{file.n_steps} steps of {file.n_solutions} solutions; {file.n_neutral} neutral steps "
            "left out; judged with the model's own caption; a failed judgement counts against "
            "both classes."
        )
    rows = []
    for stage in file.stages:
        measure = measures(stage)[name]
        failed = stage.n_failed_descriptions if name == "facts" else stage.n_failed_steps
        rows.append(
            [
                STAGE_LABELS[stage.stage],
                with_interval(measure.estimate, measure.ci95),
                _gain(measure.to_previous),
                _gain(measure.to_base),
                str(failed),
            ]
        )
    return Table(
        f"{label} after each training{of}",
        ["Model after", f"{label} (%)", "To the one before", "To the base", "Failed"],
        rows,
        labels=1,
        notes=[
            counted,
            "Differences in percentage points, paired. Intervals of 95 %: bootstrap over images, "
            f"{file.bootstrap_samples} resamples, seed {file.seed}.",
        ],
    )


def _gain(gain: PairedGain | None) -> str:
    return MISSING if gain is None else gain_with_interval(gain.estimate, gain.ci95)
