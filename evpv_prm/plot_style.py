"""The look of all figures: print sizes, colours that the colour-blind can tell apart, fonts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import cycle, islice
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from evpv_prm.jsonl import atomic_write

# The palette of Okabe and Ito (2008), "Color universal design".
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
GREY = "#7F7F7F"
_SERIES = (BLUE, ORANGE, GREEN, "#D55E00", "#CC79A7", "#56B4E9")


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


def save(figure: Figure, stem: Path, dpi: int) -> None:
    """Write a figure to STEM.pdf and STEM.png (`dpi` dots an inch), without a time stamp."""
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {})):
        with atomic_write(f"{stem}.{suffix}") as stream:
            figure.savefig(stream, format=suffix, dpi=dpi, metadata=metadata)
