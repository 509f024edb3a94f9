"""What the verifier sees, and how it judges, after each training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evpv_prm import plot_style
from evpv_prm.metrics.stage_file import STAGE_LABELS, StageMeasure, StageMetrics
from evpv_prm.metrics.stage_tables import MEASURE_LABELS, StageMeasureName, measures

_PANEL_IN = (3.375, 1.9)
# A level stands under the line to the next point, but for a point on the axis.
_BOTTOM = 0.1
_UNDER: dict[str, Any] = {"xytext": (5, -3), "ha": "left", "va": "top"}
_BESIDE: dict[str, Any] = {"xytext": (-5, 1), "ha": "right", "va": "bottom"}


def draw_stage_gains(metrics: Mapping[str, StageMetrics], width_in: float) -> Figure:
    """Draw each measure over the trainings with 95 % intervals: a column each, a row a verifier.

    `width_in` inches is the figure's greatest width; in one column of a page the measures stand one
    above the other.
    """
    panels = [
        (verifier, name)
        for verifier, file in metrics.items()
        for name in MEASURE_LABELS
        if name in measures(file.stages[0])
    ]
    columns = 1 if plot_style.is_narrow(width_in) else len({name for _, name in panels})
    rows = -(-len(panels) // columns)
    size = min(width_in, columns * _PANEL_IN[0]), rows * _PANEL_IN[1]
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel, (verifier, name) in zip(axes.flat, panels, strict=True):
        _draw_panel(panel, metrics[verifier], name)
        of = f"{verifier}\n" if len(metrics) > 1 else ""
        panel.set_ylabel(f"{of}{MEASURE_LABELS[name]} (%)", parse_math=False)
    return figure


def _draw_panel(panel: Axes, file: StageMetrics, name: StageMeasureName) -> None:
    found = [measures(stage)[name] for stage in file.stages]
    places = range(len(found))
    levels = [100 * measure.estimate for measure in found]
    below = [100 * (measure.estimate - measure.ci95[0]) for measure in found]
    above = [100 * (measure.ci95[1] - measure.estimate) for measure in found]
    panel.errorbar(
        places, levels, yerr=[below, above], color=plot_style.BLUE, marker="o", linestyle=":",
        linewidth=0.8, elinewidth=1.2, capsize=2,
    )  # fmt: skip
    for place, measure in zip(places, found, strict=True):
        panel.annotate(
            _text(measure), (place, 100 * measure.estimate), textcoords="offset points", size=7,
            **(_UNDER if measure.estimate > _BOTTOM else _BESIDE),
        )  # fmt: skip
    panel.set_xticks(places, [STAGE_LABELS[stage.stage] for stage in file.stages])
    panel.set_xlim(-0.3, len(found) - 0.4)
    panel.set_ylim(0, 104)
    panel.grid(visible=False, axis="x")


def _text(measure: StageMeasure) -> str:
    return f"{100 * measure.estimate:.1f}"
