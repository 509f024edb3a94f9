"""What was published and what a run measures, side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evpv_prm import plot_style
from evpv_prm.metrics.paper_comparison import ALONE, BEST, GAIN, MACRO_F1, POLICY, SHARE

_PANELS = {
    "Macro-F1, VisualProcessBench (%)": (MACRO_F1,),
    "BoN@8 gain, mean of six (points)": (GAIN,),
    "Accuracy, mean of six (%)": (ALONE, BEST),
    "Accuracy of the policy alone (%)": (POLICY,),
    "Share of wrong steps (%)": (SHARE,),
}
_LEFT = 3  # panels of the left column, if there are two
_ROW_IN, _PANEL_IN = 0.17, 0.5
_LOOKS = {
    "within the interval": (plot_style.BLUE, plot_style.BLUE, "o"),
    "above": (plot_style.GREEN, plot_style.GREEN, "^"),
    "below": (plot_style.VERMILION, plot_style.VERMILION, "v"),
    "not comparable": (plot_style.BLUE, "white", "o"),
}


def draw_paper_comparison(frame: pd.DataFrame, caution: str | None, width_in: float) -> Figure:
    """Draw published numbers and ours with 95 % intervals, a panel for each kind of number.

    `frame` is that of `comparison_frame`. Where nothing can be compared, a heading says so, with
    the `caution`. `width_in` inches is the figure's width, over which the panels stand in one
    column or in two.
    """
    panels = [
        (title, frame[frame["quantity"].isin(quantities)]) for title, quantities in _PANELS.items()
    ]
    is_wide = not plot_style.is_narrow(width_in)
    groups = [panels[:_LEFT], panels[_LEFT:]] if is_wide else [panels]
    heights = [sum(_ROW_IN * len(rows) + _PANEL_IN for _, rows in group) for group in groups]
    heading = ""
    if (frame["verdict"] == "not comparable").all():
        words = f"Nothing here can be compared with the paper. {caution or ''}"
        heading = textwrap.fill(words, int(15 * width_in))
    above_in = 0.15 * (heading.count("\n") + 1) if heading else 0
    figure = Figure(figsize=(width_in, max(heights) + 0.3 + above_in), layout="constrained")
    figure.suptitle(heading, parse_math=False)
    parts = figure.subfigures(1, len(groups), squeeze=False)[0]
    for part, group in zip(parts, groups, strict=True):
        ratios = [len(rows) + 1 for _, rows in group]
        axes = part.subplots(len(group), 1, squeeze=False, height_ratios=ratios)[:, 0]
        for panel, (title, rows) in zip(axes, group, strict=True):
            _draw_panel(panel, rows)
            panel.set_title(title, loc="left")
            if _PANELS[title] == (GAIN,):
                panel.axvline(0, color=plot_style.GREY, linewidth=0.8)
    figure.legend(handles=_legend(frame), loc="outside lower center", ncols=5 if is_wide else 2)
    return figure


def _draw_panel(panel: Axes, frame: pd.DataFrame) -> None:
    places = range(len(frame))
    panel.plot(
        100 * frame["published"], places, color=plot_style.GREY, marker="D", linestyle="", zorder=2
    )
    rows = [
        dict(zip(map(str, frame), values, strict=True)) for values in frame.itertuples(index=False)
    ]
    for place, row in zip(places, rows, strict=True):
        if pd.isna(row["ours"]):
            continue
        colour, face, marker = _LOOKS[str(row["verdict"])]
        line = ":" if row["verdict"] == "not comparable" else "-"
        low, high = 100 * row["ci95_low"], 100 * row["ci95_high"]
        panel.hlines(place, low, high, color=colour, linewidth=0.9, linestyle=line)
        panel.plot(100 * row["ours"], place, color=colour, markerfacecolor=face, marker=marker)
    panel.set_yticks(places, [_label(row) for row in rows], parse_math=False)
    panel.set_ylim(len(frame) - 0.4, -0.6)
    panel.margins(x=0.08)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)


def _label(row: Mapping[str, Any]) -> str:
    if row["quantity"] == POLICY:
        return str(row["benchmark"])
    if row["quantity"] in (ALONE, BEST):
        return f"{row['subject']}, {'alone' if row['quantity'] == ALONE else 'BoN@8'}"
    return str(row["subject"]).capitalize() if row["quantity"] == SHARE else str(row["subject"])


def _legend(frame: pd.DataFrame) -> list[Line2D]:
    found = set(frame[frame["ours"].notna()]["verdict"])
    entries = [("published", plot_style.GREY, plot_style.GREY, "D")]
    entries += [(f"ours: {verdict}", *look) for verdict, look in _LOOKS.items() if verdict in found]
    return [
        Line2D([], [], color=colour, markerfacecolor=face, marker=marker, linestyle="", label=label)
        for label, colour, face, marker in entries
    ]
