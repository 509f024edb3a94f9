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
_HEIGHT = 0.72  # of a panel's width


def draw_corruption_curves(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw macro-F1 over the realised rate with 95 % bands: a column a view, a row a system.

    `frame` is that of `corruption_frame`; `width_in` inches is the figure's greatest width. In one
    column of a page the views stand one above the other.
    """
    systems = list(dict.fromkeys(frame["system"]))
    panels = [(system, view) for system in systems for view in VIEW_LABELS]
    columns = 1 if plot_style.is_narrow(width_in) else len(VIEW_LABELS)
    rows = len(panels) // columns
    width = min(width_in, columns * _WIDEST_PANEL_IN)
    figure = Figure(figsize=(width, rows * _HEIGHT * width / columns + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for index, (system, view) in enumerate(panels):
        row, column = divmod(index, columns)
        panel = axes[row, column]
        _draw_panel(panel, frame[(frame["system"] == system) & (frame["view"] == view)])
        if row == 0 or columns == 1:
            panel.set_title(f"Judge sees: {VIEW_LABELS[view].lower()}")
        if row == rows - 1:
            panel.set_xlabel("Corrupted items, realised (%)")
        if column == 0:
            name = f"{system}\n" if len(systems) > 1 else ""
            panel.set_ylabel(f"{name}Macro-F1 (%)", parse_math=False)
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
