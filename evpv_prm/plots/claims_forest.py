"""The paired differences behind the method's claims, as a forest plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evpv_prm import plot_style
from evpv_prm.metrics.claims_file import ClaimedDifference, ClaimsReport, ClaimVerdict
from evpv_prm.metrics.claims_tables import trend_text

_ROW_IN = 0.14
_POINTS_A_LETTER = 3.3
_COLOURS: Mapping[ClaimVerdict, tuple[str, str]] = {
    "holds": (plot_style.BLUE, plot_style.BLUE),
    "not shown": (plot_style.GREY, "white"),
    "contradicted": (plot_style.VERMILION, plot_style.VERMILION),
}
"""Line and marker of a difference."""


@dataclass(frozen=True)
class _Row:
    """A line of the plot: a heading, or a difference with its label."""

    label: str
    difference: ClaimedDifference | None = None
    look: Mapping[str, str] = field(default_factory=dict)


def draw_claims_forest(reports: Mapping[str, ClaimsReport], width_in: float) -> Figure:
    """Draw each difference with its 95 % interval, by claim; one panel below the other for runs.

    The colour says whether the difference is as claimed. The figure is `width_in` inches wide.
    """
    panels = {run: list(_rows(report)) for run, report in reports.items()}
    counts = [len(rows) for rows in panels.values()]
    height = sum(counts) * _ROW_IN + 0.75 * len(panels)
    figure = Figure(figsize=(width_in, height), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=counts)[:, 0]
    for panel, (run, rows) in zip(axes, panels.items(), strict=True):
        _draw_panel(panel, rows)
        if len(panels) > 1:
            panel.set_title(run, parse_math=False)
    axes[-1].set_xlabel("Paired difference (points)")
    handles = [
        Line2D([], [], color=line, marker="o", markerfacecolor=marker, label=verdict)
        for verdict, (line, marker) in _COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _rows(report: ClaimsReport) -> Iterator[_Row]:
    for statement, claims in groupby(report.claims, key=lambda claim: claim.statement):
        yield _Row(statement, look={"fontweight": "bold"})
        for claim in claims:
            if claim.trend is None:
                yield _Row(claim.subject, claim.differences[0])
                continue
            trend = f"{claim.subject}: {trend_text(claim.trend)}, {claim.verdict}"
            yield _Row(trend, look={"fontstyle": "italic"})
            for each in claim.differences:
                yield _Row(f"{each.against} to {each.compared}", each)


def _draw_panel(panel: Axes, rows: list[_Row]) -> None:
    panel.axvline(0, color=plot_style.GREY, linewidth=0.8, zorder=0.4)  # below the headings
    panel.grid(axis="y", visible=False)
    panel.spines["left"].set_visible(False)
    # From the left edge on, so that a heading has the whole width and a label its room.
    longest = max(len(row.label) for row in rows if row.difference)
    panel.tick_params(axis="y", length=0, pad=_POINTS_A_LETTER * longest)
    panel.set_yticks(range(len(rows)), [row.label for row in rows], parse_math=False)
    for place, (text, row) in enumerate(zip(panel.get_yticklabels(), rows, strict=True)):
        text.set_horizontalalignment("left")
        if row.difference is None:
            text.set(**row.look)
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
        else:
            _draw_row(panel, row.difference, place)
    panel.set_ylim(len(rows) - 0.4, -0.6)


def _draw_row(panel: Axes, each: ClaimedDifference, place: int) -> None:
    panel.annotate(
        f"{each.n:,} {each.unit}", (1, place), (54, 0), xycoords=panel.get_yaxis_transform(),
        textcoords="offset points", ha="right", va="center", size=7, annotation_clip=False,
    )  # fmt: skip
    if each.estimate is None or each.ci95 is None:
        return
    line, marker = _COLOURS[each.verdict]
    low, high = each.ci95
    panel.plot([100 * low, 100 * high], [place, place], color=line)
    panel.plot(100 * each.estimate, place, color=line, marker="o", markerfacecolor=marker)
