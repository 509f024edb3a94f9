"""What a solver gets right, and how its steps are judged, with and without what there is to see."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from evpv_prm import plot_style
from evpv_prm.data.conditions import SETTINGS
from evpv_prm.metrics.intervention_file import MeasureName
from evpv_prm.metrics.intervention_tables import MEASURE_LABELS
from evpv_prm.metrics.metrics_file import OVERALL

_DRAWN: tuple[MeasureName, ...] = ("accuracy", "step_score")
_COLOURS = dict(
    zip(
        SETTINGS,
        (plot_style.BLUE, plot_style.GREEN, plot_style.ORANGE, plot_style.GREY),
        strict=True,
    )
)
_GROUP = 0.84  # of a benchmark's room, over which its bars stand
_PANEL_IN = 1.55
_NARROWEST_IN = 3.375
_INCHES_A_BENCHMARK = 1.1


def intervention_drawn(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `intervention_frame` that are drawn; all pooled only beside several."""
    is_drawn = frame["metric"].isin(_DRAWN)
    if frame["benchmark"].nunique() <= 2:
        is_drawn &= frame["benchmark"] != OVERALL
    return frame[is_drawn]


def draw_intervention(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw accuracy above and steps judged right below, a bar for each condition.

    The policies stand one below the other, the benchmarks within a panel. `width_in` inches is the
    figure's greatest width.
    """
    policies = list(dict.fromkeys(frame["policy"]))
    benchmarks = list(dict.fromkeys(frame["benchmark"]))
    rows = [(policy, metric) for policy in policies for metric in _DRAWN]
    width = min(width_in, max(_NARROWEST_IN, _INCHES_A_BENCHMARK * len(benchmarks)))
    figure = Figure(figsize=(width, 0.5 + _PANEL_IN * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0]
    for index, (policy, metric) in enumerate(rows):
        panel = axes[index]
        if index >= len(_DRAWN):  # one scale for a measure
            panel.sharey(axes[index % len(_DRAWN)])
        drawn = (frame["metric"] == metric) & (frame["policy"] == policy)
        _draw_panel(panel, frame[drawn], benchmarks)
        label = f"{MEASURE_LABELS[metric]} (%)"
        if len(policies) > 1:
            label = f"{policy}\n{label}"
        panel.set_ylabel(label, parse_math=False)
    handles = [
        Patch(facecolor=_COLOURS[name], label=setting.label) for name, setting in SETTINGS.items()
    ]
    columns = len(handles) if width > _NARROWEST_IN * 1.5 else 2
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    return figure


def _draw_panel(panel: Axes, frame: pd.DataFrame, benchmarks: Sequence[str]) -> None:
    bar = _GROUP / len(SETTINGS)
    for index, condition in enumerate(SETTINGS):
        rows = frame[(frame["condition"] == condition)].dropna(subset=["estimate"])
        shift = bar * (index + 0.5) - _GROUP / 2
        x = [benchmarks.index(name) + shift for name in rows["benchmark"]]
        panel.bar(x, 100 * rows["estimate"], width=0.9 * bar, color=_COLOURS[condition])
        low, high = 100 * rows["ci95_low"], 100 * rows["ci95_high"]
        panel.vlines(x, low, high, color="black", linewidth=0.7)
        for end in (low, high):
            panel.plot(x, end, color="black", marker="_", linestyle="", markeredgewidth=0.7)
    names = ["Pooled" if name == OVERALL else name for name in benchmarks]
    panel.set_xticks(range(len(benchmarks)), names, parse_math=False)
    panel.set_xlim(-0.5, len(benchmarks) - 0.5)
    panel.set_ylim(bottom=0)
    panel.grid(visible=False, axis="x")
    panel.tick_params(axis="x", length=0)
