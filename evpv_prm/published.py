"""Results that others have published, for comparison with those of a run.

Facts with their sources; nothing here is measured by this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_VISUALPRM = "arXiv 2503.10291, table 3"
_EVPV = "arXiv 2603.16253"
_EVPV_FIGURE = "from figure 1 of EVPV-PRM's repository"


@dataclass(frozen=True)
class Gain:
    """What Best-of-8 adds to a policy alone, in percentage points."""

    policy: str
    benchmark: str
    points: float


_SIX = "mean of six benchmarks"


@dataclass(frozen=True)
class Published:
    """A system and its published results.

    `macro_f1` is that on VisualProcessBench in percent, the lowest and the highest where a system
    has several variants; the papers do not say whether all steps are pooled or the sources
    averaged. `by_source` has the names of the sources in the benchmark's file. `reference` is where
    `macro_f1` was published, `note` what must be known to compare it.
    """

    system: str
    year: int
    macro_f1: tuple[float] | tuple[float, float]
    reference: str
    by_source: Mapping[str, float] = field(default_factory=dict)
    gains: tuple[Gain, ...] = ()
    gains_reference: str | None = None
    note: str | None = None


EVPV_PRM = Published(
    "EVPV-PRM",
    2026,
    (67.46,),
    _EVPV,
    gains=(
        Gain("InternVL2.5-8B", _SIX, 8.83),
        Gain("InternVL2.5-26B", _SIX, 9.52),
        Gain("InternVL2.5-38B", _SIX, 9.78),
    ),
    gains_reference=_EVPV,
    note=_EVPV_FIGURE,
)

PUBLISHED = (
    Published("InternVL2.5-8B as judge", 2025, (48.0,), _VISUALPRM),
    Published("Qwen2.5-VL-7B as judge", 2025, (51.0,), _VISUALPRM),
    Published("Qwen2.5-VL-72B as judge", 2025, (60.5,), _VISUALPRM),
    Published("GPT-4o as judge", 2025, (60.3,), _VISUALPRM),
    Published("Gemini-2.0-Flash as judge", 2025, (62.3,), _VISUALPRM),
    Published(
        "VisualPRM-8B",
        2025,
        (62.0,),
        _VISUALPRM,
        by_source={
            "MMMU_DEV_VAL": 58.5,
            "MathVision_MINI": 62.1,
            "MathVerse_MINI_Vision_Only": 61.0,
            "DynaMath": 62.7,
            "WeMath": 61.8,
        },
        gains=(
            Gain("InternVL2.5-8B", _SIX, 8.42),
            Gain("InternVL2.5-26B", _SIX, 8.45),
            Gain("InternVL2.5-38B", _SIX, 5.60),
        ),
        gains_reference="arXiv 2503.10291, from its table 2",
        note="the step-weighted mean of its sources is 61.4",
    ),
    Published("Qwen-VL-PRM-7B", 2025, (58.6,), _EVPV, note=_EVPV_FIGURE),
    Published("TIM-PRM-8B", 2025, (61.7,), _EVPV, note=_EVPV_FIGURE),
    Published(
        "Athena-PRM",
        2025,
        (65.9,),
        "arXiv 2506.09532",
        gains=(Gain("Qwen2.5-VL-7B", "WeMath", 10.2), Gain("Qwen2.5-VL-7B", "MathVista", 7.1)),
        gains_reference="arXiv 2506.09532",
    ),
    Published(
        "BIS (InternVL3-14B)",
        2026,
        (66.05,),
        "arXiv 2602.04145",
        note="threshold tuned on the test file",
    ),
    Published("BetaPRM", 2026, (61.0, 62.9), "arXiv 2605.15529", note="several variants"),
    EVPV_PRM,
)


@dataclass(frozen=True)
class PolicyBars:
    """Mean accuracies of a policy on the six benchmarks, in percent: alone, and by Best-of-8."""

    policy: str
    alone: float
    best_of_8: float


BARS = (
    PolicyBars("InternVL2.5-8B", 40, 48),
    PolicyBars("InternVL2.5-26B", 47, 57),
    PolicyBars("InternVL2.5-38B", 55, 66),
)
BARS_REFERENCE = f"{_EVPV}, {_EVPV_FIGURE}"
BARS_TOLERANCE = 1.0
"""The bars are read off a picture: percentage points by which they may be wrong."""

ERROR_SHARES: Mapping[str, Mapping[str, float]] = {
    "category": {
        "visual_misinterpretation": 0.74,
        "logical": 0.19,
        "calculation": 0.03,
        "knowledge": 0.03,
        "incompleteness": 0.01,
    },
    "subcategory": {
        "structural_misunderstanding": 0.56,
        "value_misreading": 0.29,
        "object_misidentification": 0.15,
    },
}
"""The paper's error analysis, rounded as it is there: shares of the categories among wrong steps,
and of their kinds among visual misinterpretations."""
ERROR_SHARES_REFERENCE = BARS_REFERENCE

POLICY_ALONE = "InternVL2.5-8B"
POLICY_ALONE_ACCURACY: Mapping[str, float] = {
    "MMMU": 56.2,
    "MathVista": 64.5,
    "MathVision": 17.0,
    "MathVerse-VO": 22.8,
    "WeMath": 23.5,
    "LogicVista": 36.0,
}
"""Accuracy of `POLICY_ALONE` without a verifier, in percent."""
POLICY_ALONE_REFERENCE = "arXiv 2503.10291, table 2"

IMPOSSIBLE = {"Pass@8": 74.4, "BoN@8": 79.1}
"""Accuracies on MathVista, in percent, that an older README of EVPV-PRM's repository claims. They
cannot both be right: BoN@k never exceeds Pass@k."""
IMPOSSIBLE_REFERENCE = "older README of EVPV-PRM's repository"

BENCHMARK_QUESTIONS: Mapping[str, int] = {
    "MMMU": 900,
    "MathVista": 1000,
    "MathVision": 3040,
    "MathVerse-VO": 3940,
    "WeMath": 1740,
    "LogicVista": 447,
}
"""The six benchmarks, with all of their questions."""

SOURCE_SOLUTIONS: Mapping[str, int] = {
    "MMMU_DEV_VAL": 267,
    "MathVision_MINI": 712,
    "MathVerse_MINI_Vision_Only": 1026,
    "DynaMath": 570,
    "WeMath": 291,
}
"""The sources of VisualProcessBench, with all of their solutions."""
