"""Macro-F1 over the share of captions' items that was corrupted."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evpv_prm import plot_style
from evpv_prm.metrics.corruption_tables import MODE_LABELS, VIEW_LABELS
from evpv_prm.plot_style import LineLook

_LOOKS = {
    "drop": LineLook(plot_style.BLUE, "o", "-"),
    "flip": LineLook(plot_style.ORANGE, "s", "--"),
}
_WIDEST_PANEL_IN = 3.375


def draw_corruption_curves(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw macro-F1 over the realised rate with 95 % bands: a column a view, a row a system.

    `frame` is that of `corruption_frame`; `width_in` inches is the figure's greatest width.
    """
    systems = list(dict.fromkeys(frame["system"]))
    width = min(width_in, len(VIEW_LABELS) * _WIDEST_PANEL_IN)
    height = len(systems) * 0.72 * width / len(VIEW_LABELS) + 0.3
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(systems), len(VIEW_LABELS), squeeze=False, sharex=True, sharey=True)
    for row, system in enumerate(systems):
        for column, (view, label) in enumerate(VIEW_LABELS.items()):
            panel = axes[row, column]
            _draw_panel(panel, frame[(frame["system"] == system) & (frame["view"] == view)])
            if row == 0:
                panel.set_title(f"Judge sees: {label.lower()}")
            if row == len(systems) - 1:
                panel.set_xlabel("Corrupted items, realised (%)")
        name = f"{system}\n" if len(systems) > 1 else ""
        axes[row, 0].set_ylabel(f"{name}Macro-F1 (%)", parse_math=False)
    handles = [
        look.handle(f"{MODE_LABELS[mode]} (items {what})")
        for (mode, look), what in zip(_LOOKS.items(), ("left out", "falsified"), strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _draw_panel(panel: Axes, frame: pd.DataFrame) -> None:
    for mode, look in _LOOKS.items():
        # Where a higher ratio realises no more, the curve goes straight up or down.
        rows = frame[frame["mode"] == mode].sort_values(["realised", "ratio"])
        percent = 100 * rows[["realised", "macro_f1", "macro_f1_low", "macro_f1_high"]]
        low, high = percent["macro_f1_low"], percent["macro_f1_high"]
        look.draw(panel, percent["realised"], percent["macro_f1"], low, high)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
