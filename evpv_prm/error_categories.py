"""Draw what is wrong with the wrong steps of the step-judge data: shares of the error categories.

Reads the labels that build_step_judge_sft_data writes, of both splits. Writes STEM.pdf, STEM.png,
and the numbers as STEM.csv: level (category, or subcategory of a visual misinterpretation),
category, count, n (wrong steps of the level), n_images (that they are about), share of n with its
95 % interval, and the share that the paper has published. Categories without a step are listed with
0; "unlabelled" counts wrong steps whose category is not given. Steps on one image are not
independent, and some categories are rare: the intervals are Wilson's, for the effective number of
steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evpv_prm import cli, plot_style
from evpv_prm.data.step_labels import read_labels
from evpv_prm.jsonl import write_text
from evpv_prm.metrics.shares import clustered_share
from evpv_prm.prompts import CATEGORIES, SUBCATEGORIES
from evpv_prm.published import ERROR_SHARES

COLUMNS = (
    *("level", "category", "count", "n", "n_images"),
    *("share", "ci95_low", "ci95_high", "published_share"),
)
VISUAL = CATEGORIES[0]
UNLABELLED = "unlabelled"

_TITLES = {
    "category": "{n:,} wrong steps on {images:,} images",
    "subcategory": "{n:,} visual misinterpretations on {images:,} images",
}
_BAR_IN, _PANEL_IN = 0.24, 0.5
_OURS, _PAPERS = -0.14, 0.24  # centres of the bars of a category


def wrong_steps(labels: Path) -> pd.DataFrame:
    """Return the wrong steps of a file of labels: image, category and subcategory.

    Raises:
        InputError: a line cannot be read.
    """
    rows = [
        (solution.image, result.category or UNLABELLED, result.subcategory or UNLABELLED)
        for solution in read_labels(labels)
        for result in solution.step_judge_result
        if result.score == -1
    ]
    return pd.DataFrame(rows, columns=["image", "category", "subcategory"])


def categories_frame(wrong: pd.DataFrame) -> pd.DataFrame:
    """Return the counts and shares of the categories, and of the kinds of misread pictures.

    The rows of a level are its fixed list and "unlabelled"; without steps their shares are missing.
    """
    visual = wrong[wrong["category"] == VISUAL]
    rows = [
        *_shares("category", wrong, CATEGORIES),
        *_shares("subcategory", visual, SUBCATEGORIES),
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _shares(level: str, steps: pd.DataFrame, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    totals = steps.groupby("image").size()
    for name in (*names, UNLABELLED):
        hits = (steps[level] == name).groupby(steps["image"]).sum()
        row = {
            "level": level,
            "category": name,
            "count": int(hits.sum()),
            "n": len(steps),
            "n_images": len(totals),
            "published_share": ERROR_SHARES[level].get(name),
        }
        if len(steps):
            share = clustered_share(hits, totals)
            row |= {"share": share.estimate, "ci95_low": share.low, "ci95_high": share.high}
        yield row


def draw_categories(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw a panel for each level of `categories_frame`, the paper's shares beside ours."""
    drawn = frame[(frame["category"] != UNLABELLED) | (frame["count"] > 0)]
    levels = {level: drawn[drawn["level"] == level] for level in _TITLES}
    bars = [len(rows) for rows in levels.values()]
    height = _BAR_IN * sum(bars) + _PANEL_IN * len(bars)
    figure = Figure(figsize=(width_in, height), layout="constrained")
    panels = figure.subplots(len(bars), sharex=True, height_ratios=bars)
    for panel, (level, rows) in zip(panels, levels.items(), strict=True):
        _draw_level(panel, rows, _TITLES[level])
    _write_right_of(panels[0], "Steps", -1)
    panels[-1].set_xlabel("Share (%)")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names))
    return figure


def _draw_level(panel: Axes, rows: pd.DataFrame, title: str) -> None:
    percent = 100 * rows[["share", "ci95_low", "ci95_high", "published_share"]].astype(float)
    places = np.arange(len(rows))
    panel.barh(
        places + _OURS, percent["share"], height=0.46, color=plot_style.BLUE,
        label="Step-judge data, 95 % interval",
    )  # fmt: skip
    panel.barh(
        places + _PAPERS, percent["published_share"], height=0.26, color="#B5B5B5",
        label="Paper, as published",
    )  # fmt: skip
    below = percent["share"] - percent["ci95_low"]
    above = percent["ci95_high"] - percent["share"]
    panel.errorbar(
        percent["share"], places + _OURS, xerr=[below, above], fmt="none", ecolor="black",
        elinewidth=0.8, capsize=1.8,
    )  # fmt: skip
    for place, count in zip(places, rows["count"], strict=True):
        _write_right_of(panel, f"{count:,}", float(place))
    n, images = rows.iloc[0][["n", "n_images"]]
    panel.set_title(title.format(n=n, images=images), loc="left")
    panel.set_yticks(places, [name.replace("_", " ").capitalize() for name in rows["category"]])
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False, axis="y")
    panel.set_xlim(0, 100)
    panel.set_ylim(len(rows) - 0.5, -0.5)


def _write_right_of(panel: Axes, text: str, place: float) -> None:
    panel.annotate(
        text, (1, place), (32, 0), xycoords=panel.get_yaxis_transform(),
        textcoords="offset points", ha="right", va="center", size=7, annotation_clip=False,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "error_categories")
    parser.add_argument(
        "--labels", type=Path, required=True,
        help="labels of the step-judge data (JSONL), of build_step_judge_sft_data",
    )  # fmt: skip
    plot_style.add_figure_options(parser)
    arguments = parser.parse_args(argv)
    frame = categories_frame(wrong_steps(arguments.labels))
    stem = arguments.output_stem
    with plot_style.style():
        plot_style.save(draw_categories(frame, arguments.width_in), stem, arguments.dpi)
    write_text(f"{stem}.csv", frame.to_csv(index=False, lineterminator="\n"))
    print(frame[["level", "category", "count", "n", "share"]].to_string(index=False))
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
