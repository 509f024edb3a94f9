"""The tables and figures of a run: their titles, captions and order, for every report of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CAPTIONS = Path(__file__).parent / "captions"
OVERVIEW = CAPTIONS / "run.rst"
"""What a run is about, in reStructuredText."""

Kind = Literal["tables", "figures"]
SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "tables": (".md", ".csv", ".tex"),
    "figures": (".png", ".pdf", ".csv"),
}
"""The files of an exhibit; the first is the one that is shown."""


@dataclass(frozen=True)
class Exhibit:
    """A table or a figure: `name` is that of its files in the folder `kind` of the results."""

    kind: Kind
    name: str
    section: str
    title: str

    @property
    def caption(self) -> Path:
        """The file of its caption, in reStructuredText."""
        return CAPTIONS / f"{self.kind[:-1]}_{self.name}.rst"


_PAPER, _BON, _STEPS = "The paper's numbers", "Best-of-N", "Labelled steps"
_CLAIMS = "The method's claims"
_GATE, _EYES, _DATA, _RUN = "The gate", "Perception", "Training", "The run"

EXHIBITS = (
    Exhibit("tables", "paper_comparison", _PAPER, "Published numbers and ours"),
    Exhibit("figures", "paper_comparison", _PAPER, "Published numbers and ours"),
    Exhibit("figures", "claims", _CLAIMS, "What holds of the method's claims"),
    Exhibit("tables", "claims", _CLAIMS, "What holds of the method's claims"),
    Exhibit("figures", "bon_gain", _BON, "What Best-of-N adds to each policy"),
    Exhibit("figures", "bon_curves", _BON, "Accuracy over the number of candidates"),
    Exhibit("tables", "best_of_n", _BON, "Best-of-N by benchmark"),
    Exhibit("figures", "step_level", _STEPS, "Macro-F1 by source and overall"),
    Exhibit("tables", "step_level", _STEPS, "Step verification"),
    Exhibit("figures", "ablations", _STEPS, "Ablations"),
    Exhibit("tables", "ablations", _STEPS, "Ablations"),
    Exhibit("figures", "corruption", _STEPS, "Corrupted captions"),
    Exhibit("tables", "corruption", _STEPS, "Corrupted captions"),
    Exhibit("figures", "gate", _GATE, "Reliability, its calibration, and what it changes"),
    Exhibit("tables", "gate", _GATE, "The reliability gate"),
    Exhibit("figures", "intervention", _EYES, "With and without what there is to see"),
    Exhibit("tables", "intervention", _EYES, "Perception intervention"),
    Exhibit("figures", "error_categories", _DATA, "What is wrong with wrong steps"),
    Exhibit("figures", "training_curves", _DATA, "How the trainings went"),
    Exhibit("figures", "stage_gains", _DATA, "What each training adds"),
    Exhibit("tables", "stage_gains", _DATA, "What each training adds"),
    Exhibit("figures", "stage_costs", _RUN, "Time by stage"),
)
"""All exhibits in the order in which they are shown."""


def find(kind: Kind, name: str) -> Exhibit:
    """Return the exhibit with these names.

    Raises:
        KeyError: there is none.
    """
    for exhibit in EXHIBITS:
        if (exhibit.kind, exhibit.name) == (kind, name):
            return exhibit
    raise KeyError(f"{kind}/{name}")
