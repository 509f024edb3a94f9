"""Tables of the judgements with corrupted captions, and all their numbers in one tidy frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from evpv_prm.data.constraint_corruption import MODES
from evpv_prm.data.constraint_records import JudgeView
from evpv_prm.metrics.corruption_file import CorruptionMetrics, Difference, Scores
from evpv_prm.metrics.metrics_file import Interval
from evpv_prm.metrics.rendering import MISSING, Table, difference, percent

VIEW_LABELS: dict[JudgeView, str] = {
    "with_image": "Image and caption",
    "without_image": "Caption alone",
}
MODE_LABELS = {"drop": "DROP", "flip": "FLIP"}

_EXTENT = ("ratio", "items", "changed", "unchangeable", "realised")


def corruption_frame(metrics: Mapping[str, CorruptionMetrics]) -> pd.DataFrame:
    """Return every number, one row a pass.

    Args:
        metrics: by name of the system.

    Returns:
        Columns system, view ("with_image" or "without_image"), mode ("drop" or "flip"), ratio (0
        for whole captions, with which both modes begin), items, changed, unchangeable, realised (a
        fraction), macro_f1 and auroc (fractions, each with _low and _high of its 95 % interval),
        difference to whole captions and to_previous, the one to the next lower ratio (of
        fractions, each with _low, _high and _p_value), spearman and spearman_p_value of the mode,
        n_samples, n_steps, n_neutral, failures ("REASON=COUNT;…").
    """
    rows = [
        {
            "system": system,
            "view": view,
            "mode": mode,
            **{name: getattr(scores, name) for name in _EXTENT},
            **_estimate("macro_f1", scores.macro_f1, scores.ci95),
            **_estimate("auroc", scores.auroc, scores.auroc_ci95),
            **_change("difference", scores.difference),
            **_change("to_previous", scores.to_previous),
            "spearman": summary.trend[mode].spearman,
            "spearman_p_value": summary.trend[mode].p_value,
            **{name: getattr(file, name) for name in ("n_samples", "n_steps", "n_neutral")},
            "failures": ";".join(f"{kind}={n}" for kind, n in scores.failures.items()),
        }
        for system, file in metrics.items()
        for view, summary in file.views.items()
        for mode in MODES
        for scores in summary.curve(mode)
    ]
    return pd.DataFrame(rows)


def _change(name: str, found: Difference | None) -> dict[str, Any]:
    if found is None:
        return {**_estimate(name, None, None), f"{name}_p_value": None}
    return {**_estimate(name, found.estimate, found.ci95), f"{name}_p_value": found.p_value}


def _estimate(name: str, value: float | None, interval: Interval | None) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def corruption_tables(metrics: Mapping[str, CorruptionMetrics]) -> list[Table]:
    """Lay out macro-F1 by corruption, and whether it falls with the share that was corrupted.

    Args:
        metrics: by name of the system; the name of a single one is left out.
    """
    return [
        table
        for system, file in metrics.items()
        for table in _tables(file, f", {system}" if len(metrics) > 1 else "")
    ]


def _tables(file: CorruptionMetrics, of: str) -> Iterator[Table]:
    columns = [
        "Judge sees", "Captions", "Nominal (%)", "Realised (%)", "Changed items", "Unchangeable",
        "Failed", "Macro-F1 (%)", "Difference", "p", "AUROC (%)",
    ]  # fmt: skip
    passes = [
        (VIEW_LABELS[view], name, scores)
        for view, summary in file.views.items()
        for name, scores in (
            ("whole", summary.baseline),
            *((MODE_LABELS[mode], each) for mode in MODES for each in summary.curve(mode)[1:]),
        )
    ]
    failures = sum((Counter(scores.failures) for *_, scores in passes), Counter[str]())
    reasons = ", ".join(f"{kind} {count}" for kind, count in failures.items())
    yield Table(
        f"Step verification with corrupted captions{of}",
        columns,
        [[view, name, *_row(scores)] for view, name, scores in passes],
        labels=2,
        notes=[
            f"{file.n_steps} steps of {file.n_samples} solutions; {file.n_neutral} neutral steps "
            "left out; a failed judgement counts against both classes.",
            "DROP leaves items of a caption out (its text and its key facts), FLIP changes a value "
            "in them. Realised: share of all captions' items that was changed; unchangeable ones "
            "were chosen by FLIP, but have no value to change.",
            "Difference: macro-F1 less that with whole captions, percentage points; p: paired "
            "randomisation test, not corrected for the number of comparisons. Intervals of 95 %: "
            f"bootstrap over solutions, {file.bootstrap_samples} resamples, seed {file.seed}.",
            *([f"Failed requests of all passes by reason: {reasons}."] if reasons else []),
        ],
    )
    yield Table(
        f"Macro-F1 against the realised share of corrupted items{of}",
        ["Judge sees", "Captions", "Spearman", "p"],
        [
            [
                VIEW_LABELS[view],
                MODE_LABELS[mode],
                MISSING if found.spearman is None else f"{found.spearman:.2f}".replace("-", "−"),
                _p_value(found.p_value),
            ]
            for view, summary in file.views.items()
            for mode, found in summary.trend.items()
        ],
        labels=2,
        notes=[
            "Rank correlation over the whole captions and each ratio; p: two-sided permutation "
            "test. −1: macro-F1 falls with every step of corruption."
        ],
    )


def _row(scores: Scores) -> list[str]:
    found = scores.difference
    return [
        percent(scores.ratio),
        percent(scores.realised),
        f"{scores.changed} of {scores.items}",
        str(scores.unchangeable),
        str(sum(scores.failures.values())),
        _with_interval(percent, scores.macro_f1, scores.ci95),
        _with_interval(difference, found.estimate, found.ci95) if found else MISSING,
        _p_value(found.p_value if found else None),
        _with_interval(percent, scores.auroc, scores.auroc_ci95),
    ]


def _with_interval(
    text: Callable[[float], str], value: float | None, interval: Interval | None
) -> str:
    if value is None or interval is None:
        return MISSING
    return f"{text(value)} [{text(interval[0])}, {text(interval[1])}]"


def _p_value(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4f}"
