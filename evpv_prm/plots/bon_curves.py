"""Accuracy over the number of candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evpv_prm import plot_style
from evpv_prm.errors import UserError
from evpv_prm.metrics.bon_file import MACRO_AVERAGE, BonMetrics
from evpv_prm.metrics.bon_frame import tidy_frame
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.plot_style import LineLook


@dataclass(frozen=True)
class _Curve:
    """One line of a panel: its rows in the tidy frame and its look."""

    label: str
    metric: str
    scores: str
    look: LineLook


_CURVES = (
    _Curve("Pass@$k$ (upper bound)", "pass_at_k", "", LineLook(plot_style.GREY, "^", ":")),
    _Curve("BoN@$k$, gated", "bon_at_k", "gated", LineLook(plot_style.BLUE, "o", "-")),
    _Curve("BoN@$k$, ungated", "bon_at_k", "raw", LineLook(plot_style.ORANGE, "s", "--")),
    _Curve("Majority vote", "majority_vote", "", LineLook(plot_style.GREEN, "D", "-.")),
)

_PANELS_IN_A_ROW = 3
_WIDEST_PANEL_IN = 3.375
_LOWEST_PANEL_IN = 1.35


def bon_curves_frame(metrics: Mapping[str, BonMetrics], aggregation: str) -> pd.DataFrame:
    """Return the numbers behind the curves: the rows of `tidy_frame` that are drawn.

    Raises:
        UserError: the metrics do not have this aggregation.
    """
    known = next(iter(metrics.values())).aggregations
    if aggregation not in known:
        raise UserError(f"--aggregation: expected one of {', '.join(known)}, found {aggregation!r}")
    frame = tidy_frame(metrics)
    drawn = frame["metric"].isin({curve.metric for curve in _CURVES})
    benchmarks = ~frame["benchmark"].isin([OVERALL, MACRO_AVERAGE])
    return frame[drawn & benchmarks & frame["aggregation"].isin(["", aggregation])]


def draw_bon_curves(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw accuracy over k with 95 % bands, one panel for each policy and benchmark.

    Several policies on several benchmarks take a row and a column each; else the panels stand in
    rows of up to three. `width_in` inches is the figure's greatest width.
    """
    policies = list(dict.fromkeys(frame["policy"]))
    benchmarks = list(dict.fromkeys(frame["benchmark"]))
    panels = [(policy, benchmark) for policy in policies for benchmark in benchmarks]
    crossed = len(policies) > 1 and len(benchmarks) > 1
    if crossed:
        columns = len(benchmarks)
    else:  # rows of equal length where that is possible: four panels are two by two
        rows = -(-len(panels) // _PANELS_IN_A_ROW)
        columns = -(-len(panels) // rows)
    rows = -(-len(panels) // columns)
    width = min(width_in, columns * _WIDEST_PANEL_IN)
    panel_height = max(_LOWEST_PANEL_IN, 0.72 * width / columns)
    figure = Figure(figsize=(width, rows * panel_height + 0.4), layout="constrained")
    # Panels of one benchmark share their scale, so that its policies can be compared.
    shared: Literal["none", "all", "col"] = "col" if crossed else "none"
    if len(benchmarks) == 1:
        shared = "all"
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=shared)
    for index, (policy, benchmark) in enumerate(panels):
        row, column = divmod(index, columns)
        panel = axes[row, column]
        _draw_panel(panel, frame[(frame["policy"] == policy) & (frame["benchmark"] == benchmark)])
        if not crossed:
            title = benchmark if len(policies) == 1 else f"{policy}, {benchmark}"
            panel.set_title(title, parse_math=False)
        elif row == 0:
            panel.set_title(benchmark, parse_math=False)
        if column == 0:
            label = f"{policy}\nAccuracy (%)" if crossed else "Accuracy (%)"
            panel.set_ylabel(label, parse_math=False)
        if index + columns >= len(panels):
            panel.set_xlabel("Candidates $k$")
            panel.tick_params(labelbottom=True)
    for spare in axes.flat[len(panels) :]:
        spare.remove()
    handles = [curve.look.handle(curve.label) for curve in _CURVES]
    columns_of_legend = len(handles) if width > _WIDEST_PANEL_IN else 2
    figure.legend(handles=handles, loc="outside upper center", ncols=columns_of_legend)
    return figure


def _draw_panel(panel: Axes, frame: pd.DataFrame) -> None:
    for curve in _CURVES:
        rows = frame[(frame["metric"] == curve.metric) & (frame["scores"] == curve.scores)]
        rows = rows.dropna(subset=["estimate"])
        percent = 100 * rows[["estimate", "ci95_low", "ci95_high"]]
        low, high = percent["ci95_low"], percent["ci95_high"]
        curve.look.draw(panel, rows["k"], percent["estimate"], low, high)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
