"""Scored questions as cases: what was said, what it was worth, and which candidate was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evpv_prm.bon_outcomes import aggregate, final_answers, judge_answers
from evpv_prm.cases.collection import Block, Lines
from evpv_prm.cases.images import Pictures, pictures_of
from evpv_prm.cases.premises import read_audit
from evpv_prm.cases.shapes import (
    CandidateCase,
    CandidateRow,
    CandidateView,
    Change,
    Choice,
    Step,
)
from evpv_prm.data.scored import ScoredCandidate, ScoredQuestion, scored_question
from evpv_prm.errors import InputError
from evpv_prm.jsonl import parse_record, parse_row
from evpv_prm.metrics.best_of_n import BoolArray, FloatArray, best_scored
from evpv_prm.metrics.gate import compare_choices
from evpv_prm.records import Candidate, CandidateRecord, FailedCandidate, failure_reason


@dataclass(frozen=True)
class CandidateCases:
    """Turns lines of scored files into cases; a call is one block of them.

    `pictures` are those of each benchmark, by the name that `Lines` has; `aggregations` the names
    of those to choose by.
    """

    pictures: Mapping[str, Pictures]
    aggregations: Sequence[str]

    def __call__(self, lines: Lines) -> Block:
        """Read some lines of one file.

        Raises:
            InputError: the first unreadable line or field.
        """
        pictures = self.pictures[lines.name]
        rows, cases = [], []
        for number, content in lines.lines:
            row, case = self._read(lines.path, number, content, pictures)
            rows.append(row)
            cases.append(case)
        return Block(lines, rows, cases)

    def _read(
        self, path: Path, line: int, content: bytes, pictures: Pictures
    ) -> tuple[CandidateRow, CandidateCase]:
        fields = parse_row(path, line, content)
        scored = scored_question(path, line, fields)
        record = parse_record(path, line, fields, CandidateRecord)
        try:
            images = pictures_of(pictures, scored.images)
        except KeyError as error:
            reason = f"no picture was made of {error.args[0]!r}"
            raise InputError(path, line, "image", expected=reason) from error
        right, _ = judge_answers(
            scored.question, scored.answer, scored.choices, final_answers(scored)
        )
        ranking = rank(scored, right, self.aggregations)
        views = [
            view(candidate, outcome, is_right)
            for candidate, outcome, is_right in zip(
                record.candidates, scored.candidates, right, strict=not scored.error
            )
        ]
        case = CandidateCase(
            pid=scored.pid,
            source=scored.datasource,
            question=scored.question,
            answer=scored.answer,
            options=scored.choices,
            images=images,
            error=scored.error,
            detail=record.detail,
            description=_description(record),
            choices=ranking.choices,
            candidates=views,
        )
        return _row(case, ranking), case


@dataclass(frozen=True)
class Ranking:
    """The choices among a question's candidates, by aggregation; empty without candidates.

    `raw` and `gated` are the accuracy of the choice in [0, 1], `changes` what the gate did to it.
    """

    choices: dict[str, Choice]
    raw: list[float]
    gated: list[float]
    changes: list[Change]


def rank(question: ScoredQuestion, right: Sequence[bool], aggregations: Sequence[str]) -> Ranking:
    """Choose among the candidates of a question as the metrics do.

    Args:
        question: with the step scores of its candidates.
        right: which of them have the right answer.
        aggregations: their names.
    """
    ranking = Ranking({}, [], [], [])
    if not question.candidates:
        return ranking
    names = tuple(aggregations)
    correct = np.array([right], dtype=bool)
    raw = [aggregate(tuple(candidate.raw_scores), names) for candidate in question.candidates]
    gated = [aggregate(tuple(candidate.final_scores), names) for candidate in question.candidates]
    for index, name in enumerate(names):
        ungated_scores = np.array([[scores[index] for scores in raw]])
        gated_scores = np.array([[scores[index] for scores in gated]])
        ungated_best, gated_best = best_scored(ungated_scores), best_scored(gated_scores)
        ranking.choices[name] = Choice(
            raw_scores=_known(ungated_scores),
            gated_scores=_known(gated_scores),
            raw_chosen=np.flatnonzero(ungated_best).tolist(),
            gated_chosen=np.flatnonzero(gated_best).tolist(),
        )
        ranking.raw.append(_share(correct, ungated_best))
        ranking.gated.append(_share(correct, gated_best))
        compared = compare_choices(correct, gated_scores, ungated_scores)
        ranking.changes.append(_change(bool(compared.changed[0]), float(compared.gain[0])))
    return ranking


def view(
    candidate: Candidate | FailedCandidate, outcome: ScoredCandidate, right: bool
) -> CandidateView:
    """Show one candidate, with the scores and failures that the metrics count."""
    if isinstance(candidate, FailedCandidate) or candidate.eval is None:
        failed = candidate if isinstance(candidate, FailedCandidate) else None
        return CandidateView(
            answer=None,
            right=right,
            error=failed.error if failed else None,
            detail=failed.detail if failed else "",
            output=failed.rawoutput if failed else "",
            steps=[],
            failures=outcome.failures,
            reliability=None,
            findings=[],
            omissions=[],
        )
    verdict = candidate.eval
    audit = read_audit(
        [step.visualdependency for step in candidate.reasoningprocess],
        verdict.visual_checklist_evaluation,
        verdict.local_p_score,
    )
    steps = [
        Step(
            text=step.steptext,
            raw=raw,
            probability=probability,
            evidence=evidence,
            final=final,
            premise=premise,
        )
        for step, raw, probability, evidence, final, premise in zip(
            candidate.reasoningprocess,
            outcome.raw_scores,
            verdict.step_probabilities,
            verdict.step_evidence or [None] * len(outcome.raw_scores),
            outcome.final_scores,
            audit.premises,
            strict=True,
        )
    ]
    return CandidateView(
        answer=outcome.final_answer,
        right=right,
        error=None,
        detail="",
        output="",
        steps=steps,
        failures=outcome.failures,
        **audit.summary,
    )


def _row(case: CandidateCase, ranking: Ranking) -> CandidateRow:
    views = case["candidates"]
    failures = [f"question:{case['error']}"] if case["error"] else []
    failures += [failure_reason(failure) for each in views for failure in each["failures"]]
    audited = [
        each["reliability"]
        for each in views
        if each["reliability"] is not None and any(step["premise"] for step in each["steps"])
    ]
    return CandidateRow(
        at=(0, 0),
        pid=case["pid"],
        source=case["source"],
        question=case["question"],
        answer=case["answer"],
        image=case["images"][0] if case["images"] else None,
        reliability=min(audited, default=None),
        failures=sorted(set(failures)),
        candidates=len(views),
        right=sum(each["right"] for each in views),
        raw=ranking.raw,
        gated=ranking.gated,
        changes=ranking.changes,
    )


def _description(record: CandidateRecord) -> str | None:
    """Return the description that the candidates were judged by; it is one for all of them."""
    scored = (candidate.eval for candidate in record.candidates if isinstance(candidate, Candidate))
    return next((each.image_description for each in scored if each), None)


def _known(scores: FloatArray) -> list[float | None]:
    return [None if np.isnan(score) else round(float(score), 6) for score in scores[0]]


def _share(correct: BoolArray, chosen: BoolArray) -> float:
    return round(float(correct[chosen].mean()), 6)


def _change(changed: bool, gain: float) -> Change:
    if not changed:
        return ""
    if gain == 0:
        return "same"
    return "better" if gain > 0 else "worse"
