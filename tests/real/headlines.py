"""The demo's headline figures, and the bounds that a healthy run keeps.

The bounds are wide enough for fewer questions and shorter trainings, and narrow enough that a gate
that does nothing, a swapped label or a lost picture leaves them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

AGGREGATION = "geometric_mean"


def headlines(results: Path, policy: str = "tiny-InternVL2.5") -> dict[str, float]:
    """Read the figures of a finished demo."""
    best_of_n = _json(results / f"metrics/best_of_n/{policy}.json")["datasources"]["OVERALL"]
    stages = {row["stage"]: row for row in _json(results / "metrics/stages.json")["stages"]}
    last = stages["step_judge_sft"]
    return {
        "pass@1": best_of_n["pass_at_k"]["1"],
        "pass@8": best_of_n["pass_at_k"]["8"],
        "gain of BoN@8": best_of_n["bon_at_k"]["gated"][AGGREGATION]["8"]
        - best_of_n["pass_at_k"]["1"],
        "facts seen": last["facts"]["estimate"],
        "macro-F1": last["macro_f1"]["estimate"],
        "gain of the trainings": last["macro_f1"]["estimate"]
        - stages["base"]["macro_f1"]["estimate"],
    }


BOUNDS: Mapping[str, tuple[float, float]] = {
    "pass@1": (0.3, 0.8),
    "pass@8": (0.7, 1.0),
    "gain of BoN@8": (0.05, 0.5),
    "facts seen": (0.85, 1.0),
    "macro-F1": (0.8, 1.0),
    "gain of the trainings": (0.1, 0.8),
}


def out_of_bounds(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that are outside their bounds."""
    return {
        name: value
        for name, value in figures.items()
        if not BOUNDS[name][0] <= value <= BOUNDS[name][1]
    }


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))
