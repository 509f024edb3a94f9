"""The reliability gate: how p is distributed and calibrated, and the choices that it changes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evpv_prm import plot_style
from evpv_prm.errors import UserError
from evpv_prm.metrics.gate_frame import BENCHMARK
from evpv_prm.metrics.metrics_file import OVERALL

_SELECTIONS = {
    "all": ("All visual steps", "black", "o", "-"),
    "called_right": ("Called right by the judge", plot_style.VERMILION, "s", "--"),
}
_ROW_IN = 2.1
_LEGEND_COLUMNS = 4
_BAR_HEIGHT = 0.5  # of a policy's row
_BARS = 0.08  # of the p axis, over which the bars of one p stand; reliabilities are 0.1 apart


def gate_drawn(frame: pd.DataFrame, aggregation: str) -> pd.DataFrame:
    """Return the rows of `gate_frame` that are drawn, with choices by one aggregation.

    Raises:
        UserError: the choices were not made by this aggregation.
    """
    decisions = frame[frame["part"] == "decisions"]
    known = list(dict.fromkeys(decisions["aggregation"]))
    if aggregation not in known:
        raise UserError(f"--aggregation: expected one of {', '.join(known)}, found {aggregation!r}")
    audited = frame[(frame["part"] == "reliability") & (frame["metric"] == "audited")]
    right = frame[(frame["part"] == "calibration") & (frame["metric"] == "right")]
    of_all = (decisions["group"] == OVERALL) & (decisions["aggregation"] == aggregation)
    counts = decisions["metric"].isin(["changed", "better", "worse"])
    return pd.concat([audited, right, decisions[of_all & counts]])


def draw_gate(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw three panels: audited candidates and solutions by p, right steps by p with 95 % bands,
    and the choices that the gate changes for better and for worse.

    Each verifier has a row of panels, or a column of them where `width_in` inches, the figure's
    width, are one column of a page.
    """
    verifiers = list(dict.fromkeys(frame["verifier"]))
    policies = list(dict.fromkeys(frame[frame["part"] == "decisions"]["subject"]))
    colours = dict(zip(policies, plot_style.colours(len(policies)), strict=True))
    colours[BENCHMARK] = plot_style.GREY
    legend_rows = -(-len(colours) // _LEGEND_COLUMNS)
    columns = 1 if plot_style.is_narrow(width_in) else 3
    rows = 3 * len(verifiers) // columns
    height = rows * _ROW_IN + 0.16 * legend_rows + 0.1
    figure = Figure(figsize=(width_in, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).reshape(len(verifiers), 3)
    for row, verifier in zip(axes, verifiers, strict=True):
        of_verifier = frame[frame["verifier"] == verifier]
        parts = dict(iter(of_verifier.groupby("part")))
        _draw_reliability(row[0], parts["reliability"], colours)
        _draw_calibration(row[1], parts["calibration"])
        _draw_decisions(row[2], parts["decisions"], colours)
        if len(verifiers) > 1:
            row[0].set_title(verifier, parse_math=False)
    legend = figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=_LEGEND_COLUMNS
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw_reliability(panel: Axes, frame: pd.DataFrame, colours: Mapping[str, str]) -> None:
    subjects = [name for name in colours if name in set(frame["subject"])]
    width = _BARS / len(subjects)
    for index, subject in enumerate(subjects):
        rows = frame[frame["subject"] == subject]
        total = max(int(rows["count"].sum()), 1)
        panel.bar(
            rows["reliability"] + width * (index + 0.5) - _BARS / 2,
            (100 * rows["count"] / total).astype(float),
            width,
            color=colours[subject],
            label=subject,
        )
    panel.set_xlabel("Reliability $p$")
    panel.set_ylabel("Audited (%)")
    panel.set_ylim(0, max(1, panel.get_ylim()[1]))
    panel.grid(visible=False, axis="x")
    _scale_p(panel)


def _draw_calibration(panel: Axes, frame: pd.DataFrame) -> None:
    panel.plot([0, 1], [0, 100], color=plot_style.GREY, linestyle=":", linewidth=0.8)
    for group, (label, colour, marker, line) in _SELECTIONS.items():
        rows = frame[(frame["group"] == group)].dropna(subset=["estimate"])
        p = rows["reliability"]
        low, high = 100 * rows["ci95_low"], 100 * rows["ci95_high"]
        panel.fill_between(p, low, high, color=colour, alpha=0.15, linewidth=0)
        panel.plot(
            p, 100 * rows["estimate"], color=colour, marker=marker, linestyle=line, label=label
        )
    panel.set_xlabel("Reliability $p$")
    panel.set_ylabel("Right steps (%)")
    panel.set_ylim(-4, 104)
    panel.legend(loc="best", fontsize=6.5, handlelength=1.8)
    _scale_p(panel)


def _draw_decisions(panel: Axes, frame: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """Draw a row for each policy: worse to the left, in a lighter colour, better to the right."""
    policies = list(dict.fromkeys(frame["subject"]))
    share = frame.assign(percent=(100 * frame["count"] / frame["n"]).astype(float).fillna(0))
    by_metric = {name: rows["percent"] for name, rows in share.groupby("metric")}
    rows = range(len(policies))
    of_policies = [colours[policy] for policy in policies]
    panel.barh(rows, by_metric["better"], _BAR_HEIGHT, color=of_policies)
    panel.barh(rows, -by_metric["worse"], _BAR_HEIGHT, color=of_policies, alpha=0.5)
    panel.axvline(0, color="black", linewidth=0.6)
    names = [
        f"{policy}\n({changed:.1f} % changed)"
        for policy, changed in zip(policies, by_metric["changed"], strict=True)
    ]
    panel.set_yticks(rows, names, parse_math=False)
    panel.set_ylim(len(policies) - 0.4, -0.6)
    reach = 1.15 * max(by_metric["better"].max(), by_metric["worse"].max(), 0.5)
    panel.set_xlim(-reach, reach)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    panel.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    panel.set_xlabel("Worse $\\leftarrow$ questions (%) $\\rightarrow$ better")
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)


def _scale_p(panel: Axes) -> None:
    panel.set_xlim(-0.07, 1.07)
    panel.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
