"""Verification of labelled steps, by source and overall, beside published systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evpv_prm import plot_style
from evpv_prm.metrics.step_frame import POOLED, PUBLISHED_RESULT, SOURCE_WEIGHTED, THIS_RUN
from evpv_prm.metrics.step_tables import SOURCE_LABELS

_ROW_IN = 0.17
_SPREAD = 0.56  # of a source's row, over which the systems stand
_APART = 0.16  # of a system's row, between the two overall values


def step_level_drawn(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `step_level_frame` that are drawn: macro-F1 by source and overall."""
    ours = frame["results"] == THIS_RUN
    sources = frame[ours & (frame["group"] == "source")]["name"]
    is_drawn = (frame["group"] == "all") | frame["name"].isin(sources) & (
        frame["group"] == "source"
    )
    return frame[is_drawn & (frame["metric"] == "macro_f1")]


def draw_step_level(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw macro-F1 with 95 % intervals, by source on the left and overall on the right, or below.

    Published values, in grey, have no intervals; a line joins those of a system's variants.
    `width_in` inches is the figure's width.
    """
    sources, overall = (frame[frame["group"] == group] for group in ("source", "all"))
    ours = list(dict.fromkeys(frame[frame["results"] == THIS_RUN]["system"]))
    colours = dict(zip(ours, plot_style.colours(len(ours)), strict=True))
    systems, names = overall["system"].nunique(), sources["name"].nunique()
    if is_narrow := plot_style.is_narrow(width_in):
        ratios = [2 * names, systems]
        figure = Figure(figsize=(width_in, 1.7 + _ROW_IN * sum(ratios)), layout="constrained")
        left, right = figure.subplots(2, 1, sharex=True, height_ratios=ratios)
    else:
        figure = Figure(figsize=(width_in, 0.85 + _ROW_IN * systems), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
    _draw_sources(left, sources, colours)
    _draw_overall(right, overall, colours)
    for panel in (left, right):
        panel.set_xlabel("" if is_narrow and panel is left else "Macro-F1 (%)")
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
    published = dict.fromkeys(sources[sources["results"] == PUBLISHED_RESULT]["system"])
    handles = _legend(colours, list(published))
    columns = 1 if is_narrow else 3
    legend = figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw_sources(panel: Axes, frame: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """Draw a row for each source with every system in it."""
    names = list(dict.fromkeys(frame["name"]))
    systems = list(dict.fromkeys(zip(frame["results"], frame["system"], strict=True)))
    for index, (results, system) in enumerate(systems):
        rows = frame[(frame["results"] == results) & (frame["system"] == system)]
        shift = _SPREAD * ((index + 0.5) / len(systems) - 0.5)
        y = [names.index(name) + shift for name in rows["name"]]
        if results == THIS_RUN:
            _draw_measured(panel, rows, y, colours[system], colours[system])
        else:
            panel.plot(100 * rows["estimate"], y, color=plot_style.GREY, marker="D", linestyle="")
    _name_rows(panel, [SOURCE_LABELS.get(name, name) for name in names])


def _draw_overall(panel: Axes, frame: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """Draw a row for each system, the best on top."""
    best = frame[frame["name"] != SOURCE_WEIGHTED].groupby("system", sort=False)["estimate"].max()
    systems = list(best.sort_values(ascending=False, kind="stable").index)
    for way, shift, is_filled in ((POOLED, -_APART, True), (SOURCE_WEIGHTED, _APART, False)):
        rows = frame[frame["name"] == way]
        for system, colour in colours.items():
            row = rows[rows["system"] == system]
            face = colour if is_filled else "white"
            _draw_measured(panel, row, [systems.index(system) + shift], colour, face)
    published = frame[frame["results"] == PUBLISHED_RESULT]
    for name, rows in published.groupby("system", sort=False):
        y = [systems.index(str(name))] * len(rows)
        panel.plot(100 * rows["estimate"], y, color=plot_style.GREY, marker="D")
    _name_rows(panel, systems)


def _legend(colours: Mapping[str, str], published_by_source: Sequence[str]) -> list[Line2D]:
    names = f" (by source: {', '.join(published_by_source)})" if published_by_source else ""
    entries = [
        *((system, colour, colour, "o") for system, colour in colours.items()),
        (f"published{names}", plot_style.GREY, plot_style.GREY, "D"),
        ("all steps pooled", "black", "black", "o"),
        ("step-weighted mean of sources", "black", "white", "o"),
    ]
    return [
        Line2D([], [], color=colour, markerfacecolor=face, marker=marker, linestyle="", label=label)
        for label, colour, face, marker in entries
    ]


def _draw_measured(
    panel: Axes, rows: pd.DataFrame, y: Sequence[float], colour: str, face: str
) -> None:
    # No error bars: the percentile interval of a small sample need not hold the estimate.
    panel.hlines(y, 100 * rows["ci95_low"], 100 * rows["ci95_high"], color=colour, linewidth=0.9)
    panel.plot(
        100 * rows["estimate"], y, color=colour, markerfacecolor=face, marker="o", linestyle=""
    )


def _name_rows(panel: Axes, names: Sequence[str]) -> None:
    panel.set_yticks(range(len(names)), names, parse_math=False)
    panel.set_ylim(len(names) - 0.5, -0.5)
