"""What each configuration of the ablation suite changes in macro-F1, as a forest plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evpv_prm import plot_style
from evpv_prm.ablations import BASELINE
from evpv_prm.metrics.ablation_file import AblationMetrics, Comparison, ConfigurationSummary

SIGNIFICANT = 0.05
"""Corrected p-values below are marked."""

_ROW_IN = 0.155


def draw_ablation_forest(metrics: Mapping[str, AblationMetrics], width_in: float) -> Figure:
    """Draw each difference with its 95 % interval, by group; one panel for each verifier.

    A filled marker stands for a corrected p below `SIGNIFICANT`. The figure is `width_in` inches
    wide; `metrics` are by verifier, all of the same configurations.
    """
    first = next(iter(metrics.values()))
    heights, headings = _rows(first.configurations)
    count = len(heights) + len(headings)
    figure = Figure(figsize=(width_in, count * _ROW_IN + 0.75), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for panel, (verifier, file) in zip(panels, metrics.items(), strict=True):
        _draw_panel(panel, file.configurations, heights)
        if len(metrics) > 1:
            panel.set_title(verifier, parse_math=False)
    names = [_label(entry) for entry in first.configurations if entry.comparison]
    panels[0].set_yticks([*heights.values(), *headings.values()], [*names, *headings])
    for label in panels[0].get_yticklabels()[len(names) :]:
        label.set_fontweight("bold")
    panels[0].set_ylim(count - 0.4, -0.6)
    handles = [
        Line2D([], [], color=plot_style.BLUE, marker="o", markerfacecolor=colour, label=label)
        for colour, label in (
            (plot_style.BLUE, f"corrected p < {SIGNIFICANT}"),
            ("white", f"corrected p ≥ {SIGNIFICANT}, or a control"),
        )
    ]
    columns = 1 if plot_style.is_narrow(width_in) else 2
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    return figure


def _rows(entries: Iterable[ConfigurationSummary]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the row of each configuration that is compared, and of each group's heading."""
    heights: dict[str, int] = {}
    headings: dict[str, int] = {}
    for entry in entries:
        if entry.comparison is not None:
            headings.setdefault(entry.group, len(heights) + len(headings))
            heights[entry.name] = len(heights) + len(headings)
    return heights, headings


def _label(entry: ConfigurationSummary) -> str:
    reference = entry.comparison.reference if entry.comparison else BASELINE
    return entry.name if reference == BASELINE else f"{entry.name} (to {reference})"


def _draw_panel(
    panel: Axes, entries: Iterable[ConfigurationSummary], heights: Mapping[str, int]
) -> None:
    panel.axvline(0, color=plot_style.GREY, linewidth=0.8)
    panel.grid(axis="y", visible=False)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("Difference in macro-F1 (points)")
    for entry in entries:
        if entry.comparison is not None:
            _draw_row(panel, entry.comparison, heights[entry.name])


def _draw_row(panel: Axes, found: Comparison, height: int) -> None:
    low, high = found.ci95
    panel.plot([100 * low, 100 * high], [height, height], color=plot_style.BLUE)
    is_significant = found.p_corrected is not None and found.p_corrected < SIGNIFICANT
    colour = plot_style.BLUE if is_significant else "white"
    panel.plot(
        100 * found.estimate, height, color=plot_style.BLUE, marker="o", markerfacecolor=colour
    )
