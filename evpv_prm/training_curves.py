"""Draw how trainings went, from their logs: loss, token accuracy, and the margin of a DPO.

Writes STEM.pdf, STEM.png, and the numbers as STEM.csv: training, step, data (train or
validation), metric, value. A resumed training logs steps again; the last entry of a step counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evpv_prm import cli, plot_style, reports
from evpv_prm.errors import InputError
from evpv_prm.jsonl import read_rows, write_text

COLUMNS = ["training", "step", "data", "metric", "value"]
STEP = "global_step/max_steps"
METRICS = {
    "loss": "loss",
    "token_acc": "accuracy",
    "rewards/accuracies": "accuracy",
    "rewards/margins": "margin",
}
"""ms-swift's names of the logged values; a DPO's accuracy counts pairs, an SFT's tokens."""

LABELS = {"loss": "Loss", "accuracy": "Accuracy", "margin": "Reward margin"}
_LINES = {
    "train": ("Training", plot_style.BLUE, "-"),
    "validation": ("Validation", plot_style.ORANGE, "--"),
}
_PANEL_HEIGHT_IN, _STACKED_HEIGHT_IN = 1.5, 1.15


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the curves of one `logging.jsonl`: step, data, metric, value; each step once.

    Raises:
        InputError: a line cannot be read, or there is no loss in the file.
    """
    values: dict[tuple[str, str, int], float] = {}
    for line, row in read_rows(path):
        if STEP not in row:  # the last line of a run is its summary
            continue
        step = _step(path, line, row[STEP])
        for name, metric in METRICS.items():
            for data, key in (("train", name), ("validation", f"eval_{name}")):
                if key in row:
                    values[data, metric, step] = float(row[key])
    if not any(metric == "loss" for _, metric, _ in values):
        raise InputError(path, expected="expected at least one line with a loss")
    return [
        {"step": step, "data": data, "metric": metric, "value": value}
        for (data, metric, step), value in sorted(values.items())
    ]


def _step(path: Path, line: int, word: Any) -> int:
    try:
        return int(str(word).partition("/")[0])
    except ValueError:
        raise InputError(path, line, STEP, expected=f"N/TOTAL, found {word!r}") from None


def curves_frame(logs: Mapping[str, Path]) -> pd.DataFrame:
    """Return the curves of several trainings, one value a row, in the order given."""
    rows = [{"training": name} | row for name, path in logs.items() for row in read_log(path)]
    return pd.DataFrame(rows, columns=COLUMNS)


def draw_curves(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw a column for each training and a row for each metric that one of them has.

    Where `width_in` inches are one column of a page, the panels stand one below the other.
    """
    if plot_style.is_narrow(width_in):
        figure, axes = _stacked(frame, width_in)
    else:
        figure, axes = _side_by_side(frame, width_in)
    for (training, metric), panel in axes.items():
        _draw_panel(panel, frame[(frame["training"] == training) & (frame["metric"] == metric)])
        panel.set_ylabel(LABELS[metric])
    handles: dict[str, Any] = {}
    for panel in figure.axes:
        handles |= {
            label: line for line, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
    return figure


_Panels: TypeAlias = tuple[Figure, dict[tuple[str, str], Axes]]
"""A figure and its panels, by training and metric."""


def _stacked(frame: pd.DataFrame, width_in: float) -> _Panels:
    panels = list(dict.fromkeys(zip(frame["training"], frame["metric"], strict=True)))
    height = 0.35 + _STACKED_HEIGHT_IN * len(panels)
    figure = Figure(figsize=(width_in, height), layout="constrained")
    axes = dict(zip(panels, figure.subplots(len(panels), 1, squeeze=False)[:, 0], strict=True))
    for (training, _), panel in axes.items():
        panel.set_title(training)
    panel.set_xlabel("Step")
    return figure, axes


def _side_by_side(frame: pd.DataFrame, width_in: float) -> _Panels:
    trainings = list(dict.fromkeys(frame["training"]))
    metrics = [metric for metric in LABELS if (frame["metric"] == metric).any()]
    height = 0.35 + _PANEL_HEIGHT_IN * len(metrics)
    figure = Figure(figsize=(width_in, height), layout="constrained")
    grid = figure.subplots(len(metrics), len(trainings), squeeze=False)
    axes = {}
    for column, training in enumerate(trainings):
        for row, metric in enumerate(metrics):
            panel = grid[row][column]
            if not ((frame["training"] == training) & (frame["metric"] == metric)).any():
                panel.remove()
                continue
            axes[training, metric] = lowest = panel
            if row == 0:
                panel.set_title(training)
        lowest.set_xlabel("Step")
    return figure, axes


def _draw_panel(panel: Axes, frame: pd.DataFrame) -> None:
    for data, (label, colour, line) in _LINES.items():
        curve = frame[frame["data"] == data].sort_values("step")
        if curve.empty:
            continue
        marker = "o" if data == "validation" or len(curve) == 1 else ""
        panel.plot(
            curve["step"], curve["value"], color=colour, linestyle=line, marker=marker, label=label
        )
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "training_curves")
    parser.add_argument(
        "--log", nargs="+", required=True, metavar="NAME=FILE",
        help="logging.jsonl of a training and its name in the figure",
    )  # fmt: skip
    plot_style.add_figure_options(parser)
    arguments = parser.parse_args(argv)
    logs = reports.named_files("--log", arguments.log)
    frame = curves_frame(logs)
    stem = arguments.output_stem
    with plot_style.style():
        plot_style.save(draw_curves(frame, arguments.width_in), stem, arguments.dpi)
    write_text(f"{stem}.csv", frame.to_csv(index=False, lineterminator="\n"))
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
