"""What all figures share: sizes, colours that the colour-blind can tell apart, fonts, flags."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evpv_prm import reports
from evpv_prm.jsonl import atomic_write

# The palette of Okabe and Ito (2008), "Color universal design".
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY = "#7F7F7F"
_SERIES = (BLUE, ORANGE, GREEN, VERMILION, "#CC79A7", "#56B4E9")


_TWO_COLUMNS_FROM_IN = 5.0


def is_narrow(width_in: float) -> bool:
    """Tell whether a figure has the width of one column of a page, where panels are stacked."""
    return width_in < _TWO_COLUMNS_FROM_IN


def colours(count: int) -> list[str]:
    """Return colours for series that are alike; they repeat after six."""
    return list(islice(cycle(_SERIES), count))


def style() -> AbstractContextManager[None]:
    """Return a context in which figures are drawn and saved in this look."""
    return mpl.rc_context(
        {
            # These fonts ship with matplotlib: the same input gives the same file everywhere.
            "font.family": "STIXGeneral",
            "mathtext.fontset": "stix",
            "font.size": 8,
            "axes.titlesize": 8,
            "axes.labelsize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 8,
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#E5E5E5",
            "grid.linewidth": 0.5,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "xtick.major.size": 2.5,
            "ytick.major.size": 2.5,
            "lines.linewidth": 1.2,
            "lines.markersize": 3,
            "legend.frameon": False,
            "legend.handlelength": 2.6,
            "pdf.fonttype": 42,  # TrueType: text stays text, and journals accept it
        }
    )


@dataclass(frozen=True)
class LineLook:
    """How a line with its interval looks."""

    colour: str
    marker: str
    line: Literal["-", "--", "-.", ":"]

    def draw(
        self, panel: Axes, x: pd.Series, estimate: pd.Series, low: pd.Series, high: pd.Series
    ) -> None:
        """Draw estimates over x, with the band between `low` and `high`."""
        panel.fill_between(x, low, high, color=self.colour, alpha=0.15, linewidth=0)
        panel.plot(x, estimate, color=self.colour, marker=self.marker, linestyle=self.line)

    def handle(self, label: str) -> Line2D:
        """Return the line's entry in a legend."""
        return Line2D(
            [], [], color=self.colour, marker=self.marker, linestyle=self.line, label=label
        )


def save(figure: Figure, stem: Path, dpi: int) -> None:
    """Write a figure to STEM.pdf and STEM.png (`dpi` dots an inch), without a time stamp."""
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {})):
        with atomic_write(f"{stem}.{suffix}") as stream:
            figure.savefig(stream, format=suffix, dpi=dpi, metadata=metadata)


def add_figure_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a command that draws a figure: where it goes and how large it is."""
    reports.add_stem(parser)
    parser.add_argument(
        "--width-in", type=_positive, default=6.75, metavar="INCHES",
        help="greatest width of the figure (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--dpi", type=_positive, default=300, metavar="N",
        help="dots an inch of the PNG (default: %(default)s)",
    )  # fmt: skip


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return value
