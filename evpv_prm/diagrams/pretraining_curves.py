"""Draw how the tiny models' pretraining went, from its curves.

A panel a stage: the share of the tokens that say something (values, verdicts) that the model would
have got right, by task, as running means. Writes STEM.pdf, STEM.png and STEM.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from evpv_prm import cli, plot_style
from evpv_prm.errors import InputError
from evpv_prm.jsonl import read_rows, write_text

COLUMNS = ["stage", "step", "task", "value"]
_NOT_TASKS = {"stage", "step", "steps", "seconds_a_step", "loss"}
_PANELS_A_ROW, _PANEL_HEIGHT_IN = 2, 2.5


def curves_frame(path: Path) -> pd.DataFrame:
    """Return the curves, one value a row; of a step that was run twice, the last value.

    Raises:
        InputError: a line is none of a pretraining's, or there is none.
    """
    values: dict[tuple[str, int, str], float] = {}
    for line, row in read_rows(path):
        if not {"stage", "step"} <= row.keys():
            raise InputError(path, line, expected="expected stage and step")
        for name in row.keys() - _NOT_TASKS:
            values[str(row["stage"]), int(row["step"]), name] = float(row[name])
    if not values:
        raise InputError(path, expected="expected at least one line")
    rows = [(*key, value) for key, value in values.items()]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    # The stages in the order in which they were run.
    frame["stage"] = pd.Categorical(frame["stage"], categories=frame["stage"].unique())
    return frame.sort_values(["stage", "task", "step"], ignore_index=True)


def draw_curves(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw a panel for each stage."""
    stages = list(dict.fromkeys(frame["stage"]))
    columns = 1 if plot_style.is_narrow(width_in) else min(_PANELS_A_ROW, len(stages))
    rows = -(-len(stages) // columns)
    size = (width_in, 0.2 + _PANEL_HEIGHT_IN * rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, stage in zip(panels, stages, strict=False):
        curves = frame[frame["stage"] == stage]
        tasks = list(dict.fromkeys(curves["task"]))
        colours = plot_style.colours(len(tasks))
        for index, (task, colour) in enumerate(zip(tasks, colours, strict=True)):
            curve = curves[curves["task"] == task]
            line = "-" if index == colours.index(colour) else "--"  # colours repeat
            panel.plot(curve["step"], curve["value"], line, color=colour, label=task)
        panel.set(title=stage, ylim=(0, 1.02), xlabel="Step")
        panel.legend(fontsize=6, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    for panel in panels[len(stages) :]:
        panel.remove()
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "diagrams.pretraining_curves")
    parser.add_argument("--curves", type=Path, required=True, help="curves.jsonl of a pretraining")
    plot_style.add_figure_options(parser)
    arguments = parser.parse_args(argv)
    frame = curves_frame(arguments.curves)
    with plot_style.style():
        figure = draw_curves(frame, arguments.width_in)
        plot_style.save(figure, arguments.output_stem, arguments.dpi)
    write_text(f"{arguments.output_stem}.csv", frame.to_csv(index=False, lineterminator="\n"))
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
