"""The figures by which one sees whether a demo has learned, and what they must at least be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

from evpv_prm.data.picture_facts import read_known_questions
from evpv_prm.jsonl import read_shards
from evpv_prm.records import Candidate, CandidateRecord, Evaluation
from evpv_prm.tabulate_claims import misreads

BOUNDS: Mapping[str, tuple[float, float]] = {
    "facts that descriptions state": (0.75, 1.0),
    "macro-F1 of judged steps": (0.7, 1.0),
    "credit of visual steps, facts right": (0.75, 1.0),
    "credit of visual steps, a fact wrong": (0.0, 0.8),
}
"""Wide enough for other machines, on which tiny models round differently and so say other things;
narrow enough that a stage that does not do its work is seen. Chance is 0 for facts and about 0.5
for macro-F1; an idle gate gives a credit of 1."""


def figures(results: Path) -> dict[str, float]:
    """Return the figures of a finished quick demo."""
    stages = json.loads((results / "metrics/stages.json").read_text())["stages"]
    right, wrong = _credits(results)
    values = (
        stages[-1]["facts"]["estimate"],
        stages[-1]["macro_f1"]["estimate"],
        right,
        wrong,
    )
    return dict(zip(BOUNDS, values, strict=True))


def out_of_bounds(found: Mapping[str, float]) -> set[str]:
    """Name the figures that are not what they must be."""
    return {
        name for name, (low, high) in BOUNDS.items() if not low <= found.get(name, math.nan) <= high
    }


def _credits(results: Path) -> tuple[float, float]:
    """The mean gated score of visual steps that were judged right.

    Of candidates that read their facts right, and of those that are known to misread one.
    """
    known = read_known_questions(results / "world/facts.jsonl")
    facts = {question.images: question.facts for question in known}
    credits: dict[bool, list[float]] = {False: [], True: []}
    for _, _, record in read_shards(sorted(results.glob("scored/*/*/*.jsonl")), CandidateRecord):
        for candidate in record.candidates:
            if isinstance(candidate, Candidate) and candidate.eval:
                credits[misreads(candidate, facts[record.images])] += _visual(candidate.eval)
    return fmean(credits[False]), fmean(credits[True])


def _visual(evaluation: Evaluation) -> Iterator[float]:
    for index in evaluation.visual_step_indices:
        gated = evaluation.final_step_scores[index]
        if evaluation.raw_step_scores[index] == 1 and gated is not None:
            yield gated
