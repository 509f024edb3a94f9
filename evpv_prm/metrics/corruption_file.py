"""The metrics file of the judgements with corrupted captions: its schema, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from evpv_prm.data.constraint_corruption import Mode
from evpv_prm.data.constraint_records import JudgeView
from evpv_prm.jsonl import read_document
from evpv_prm.metrics.metrics_file import Interval, Strict


class Difference(Strict):
    """Macro-F1 less that of another pass, and the p-value of no difference."""

    estimate: float
    ci95: Interval
    p_value: float


class Scores(Strict):
    """How well one pass over all samples judged.

    Of the `items` of all captions `ratio` were to be corrupted, and `changed` were dropped or
    falsified, the share `realised`; `unchangeable` ones were to be falsified, but have nothing to
    change. AUROC is None where the probabilities do not allow one. `failures` counts failed
    requests as "STAGE:KIND". `difference` is the one to the baseline, `to_previous` that to the
    pass with the next lower ratio; both are None for the baseline.
    """

    ratio: float
    items: int
    changed: int
    unchangeable: int
    realised: float
    macro_f1: float
    ci95: Interval
    difference: Difference | None
    to_previous: Difference | None
    auroc: float | None
    auroc_ci95: Interval | None
    failures: dict[str, int]


class Trend(Strict):
    """Spearman's correlation of realised rate and macro-F1, and its two-sided permutation p-value.

    Both are None where all rates or all scores are equal.
    """

    spearman: float | None
    p_value: float | None


class ViewSummary(Strict):
    """One view of the judge: the whole caption, and each corruption by nominal ratio."""

    baseline: Scores
    drop: dict[str, Scores] = Field(min_length=1)
    flip: dict[str, Scores] = Field(min_length=1)
    trend: dict[Mode, Trend]

    def curve(self, mode: Mode) -> list[Scores]:
        """The baseline, then the corruptions of one mode."""
        return [self.baseline, *(self.drop if mode == "drop" else self.flip).values()]


class CorruptionMetrics(Strict):
    """One metrics file: all steps that are labelled right or wrong, pooled."""

    n_samples: int
    n_steps: int
    n_neutral: int
    bootstrap_samples: int
    seed: int
    views: dict[JudgeView, ViewSummary]


def read_corruption_metrics(files: Mapping[str, Path]) -> dict[str, CorruptionMetrics]:
    """Read metrics files, by name and in the order given.

    Raises:
        InputError: a file cannot be read or is not such a metrics file.
    """
    return {name: read_document(path, CorruptionMetrics) for name, path in files.items()}
