"""The reward of a candidate: its checklist of visual facts, the reliability gate, aggregations.

A step score is -1 (wrong), 1 (right) or, behind the gate, the reliability p in [0, 1] of the visual
facts that a right step rests on. The aggregations are defined on the credit c = max(score, 0), so
that a gated score counts for what it is worth; on scores of ±1 they give the numbers of the
reference implementation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from evpv_prm.records import null_if_blank

EMPTY_CHECKLIST = "(empty)"
"""The checklist of a candidate that rests on no visual fact; its reliability is 1."""

_FLOOR = 0.1  # what a wrong step leaves of the geometric mean, in the reference implementation


def visual_facts(dependencies: Sequence[str | None]) -> list[str]:
    """Return the distinct visual facts of steps in the order of first use; see `checklist`."""
    facts = (null_if_blank(dependency) for dependency in dependencies)
    return list(dict.fromkeys(fact.strip() for fact in facts if fact is not None))


def checklist(dependencies: Sequence[str | None]) -> tuple[str, list[int]]:
    """Collect the visual facts that a candidate rests on.

    Args:
        dependencies: the visual dependency of each step; None, blank or "null" where it has none.

    Returns:
        One "- fact" line for each distinct fact in the order of first use, or `EMPTY_CHECKLIST`;
        and the indices, from 0, of all steps that have a dependency.
    """
    text = "\n".join(f"- {fact}" for fact in visual_facts(dependencies)) or EMPTY_CHECKLIST
    visual = [i for i, dependency in enumerate(dependencies) if null_if_blank(dependency)]
    return text, visual


def gate(
    raw_scores: Sequence[int | None],
    visual_step_indices: Collection[int],
    reliability: float | None,
) -> list[float | None]:
    """Weigh the steps that rest on visual facts by the reliability of these facts.

    A visual step that was judged right becomes worth `reliability`; every other score stays.

    Args:
        raw_scores: 1, -1, or None where the judge failed, for each step.
        visual_step_indices: the steps that have a visual dependency, from 0.
        reliability: p in [0, 1], or None where the audit failed.

    Returns:
        A score in {-1} ∪ [0, 1] for each step; None where the judge failed, and for right visual
        steps where the audit failed.

    Raises:
        ValueError: `reliability` is outside [0, 1].
    """
    if reliability is not None and not 0 <= reliability <= 1:
        raise ValueError(f"expected a reliability in [0, 1], found {reliability}")
    visual = frozenset(visual_step_indices)
    return [
        reliability if index in visual and score == 1 else score
        for index, score in enumerate(raw_scores)
    ]


def _credits(scores: Sequence[float]) -> list[float]:
    if not scores:
        raise ValueError("a candidate without steps has no score")
    return [max(score, 0.0) for score in scores]


def correctness_rate(scores: Sequence[float]) -> float:
    """Return the mean credit."""
    credits = _credits(scores)
    return math.fsum(credits) / len(credits)


def weighted_correctness(scores: Sequence[float]) -> float:
    """Return the mean credit, step i (from 1) weighted by i."""
    credits = _credits(scores)
    weights = range(1, len(credits) + 1)
    return math.fsum(i * c for i, c in zip(weights, credits, strict=True)) / sum(weights)


def streak_score(scores: Sequence[float]) -> float:
    """Return the reward of runs of right steps, less one for each wrong step, scaled to [0, 1]."""
    credits = _credits(scores)
    run = total = 0.0
    for credit in credits:
        run = credit * (run + 1)
        total += run - (1 - credit)
    n = len(credits)
    return (total + n) / (n * (n + 1) / 2 + n)


def geometric_mean(scores: Sequence[float]) -> float:
    """Return the geometric mean of 0.1 + 0.9 credit, in [0.1, 1]."""
    credits = _credits(scores)
    return math.exp(math.fsum(math.log(_FLOOR + (1 - _FLOOR) * c) for c in credits) / len(credits))


def first_error_position(scores: Sequence[float]) -> float:
    """Return the expected share of steps before the first error, a credit being P(step right)."""
    credits = _credits(scores)
    expected, no_error_yet = 0.0, 1.0
    for index, credit in enumerate(credits):
        expected += no_error_yet * (1 - credit) * index
        no_error_yet *= credit
    return expected / len(credits) + no_error_yet


AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            correctness_rate,
            weighted_correctness,
            streak_score,
            geometric_mean,
            first_error_position,
        )
    }
)
"""The five ways to turn step scores into the score of a candidate, by name.

Each takes at least one score in {-1} ∪ [0, 1], gives a number in [0, 1] that is higher for better
candidates, and raises ValueError for an empty list.
"""
