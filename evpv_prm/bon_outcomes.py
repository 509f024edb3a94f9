"""What the commands share that measure Best-of-N: judged and aggregated candidates, and flags."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from evpv_prm import cli
from evpv_prm.answers import ground_truth, is_correct, normalise
from evpv_prm.data.scored import ScoredQuestion, read_scored
from evpv_prm.errors import InputError, UserError
from evpv_prm.interpreter import permanent_objects
from evpv_prm.metrics.best_of_n import NO_ANSWER
from evpv_prm.metrics.bon_summary import SCORES, Outcomes
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.progress import track
from evpv_prm.records import failure_reason
from evpv_prm.reward import AGGREGATIONS

_QUESTIONS_IN_A_TASK = 256

Judgement: TypeAlias = tuple[list[bool], list[int]]
"""Which candidates are right, and the class of each one's answer."""


@dataclass
class _Collected:
    """The questions of one datasource, as they are read."""

    n: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    clusters: list[str] = field(default_factory=list)
    correct: list[list[bool]] = field(default_factory=list)
    answers: list[list[int]] = field(default_factory=list)
    scores: list[list[tuple[float, ...]]] = field(default_factory=list)

    def outcomes(self, aggregations: Sequence[str], num_candidates: int) -> Outcomes:
        shape = (len(self.correct), num_candidates)
        keys = [(kind, name) for kind in SCORES for name in aggregations]
        scores = np.array(self.scores, dtype=float).reshape(*shape, len(keys))
        return Outcomes(
            n=self.n,
            failures=self.failures,
            clusters=np.array(self.clusters, dtype=np.str_),
            correct=np.array(self.correct, dtype=bool).reshape(shape),
            answers=np.array(self.answers, dtype=np.int64).reshape(shape),
            scores={key: scores[..., index] for index, key in enumerate(keys)},
        )


def read_outcomes(
    paths: Iterable[Path], aggregations: Sequence[str], workers: int
) -> dict[str, Outcomes]:
    """Read the scored files of one policy; see `collect`.

    Raises:
        InputError: as `read_scored` and `collect`.
        UserError: as `collect`.
    """
    # Millions of small objects that live to the end.
    with permanent_objects():
        return collect(read_scored(paths), aggregations, workers)


def collect(
    questions: Iterable[ScoredQuestion], aggregations: Sequence[str], workers: int
) -> dict[str, Outcomes]:
    """Judge the answers and aggregate the step scores, by datasource in order of appearance.

    `workers` processes judge. Questions with an error are counted as "question:KIND" and enter no
    rate. A candidate that could not be made is wrong, has no vote and no score.

    Raises:
        UserError: no question has candidates.
        InputError: a datasource is named like all of them pooled.
    """

    names = tuple(aggregations)
    collected: dict[str, _Collected] = {}
    num_candidates = 0
    questions = list(questions)
    for question, (correct, answers) in zip(questions, _judged(questions, workers), strict=True):
        if question.datasource == OVERALL:
            reason = f"{OVERALL!r} is the name of all datasources pooled"
            raise InputError(question.path, question.line, "datasource", expected=reason)
        part = collected.setdefault(question.datasource, _Collected())
        part.n += 1
        if question.error is not None:
            part.failures[f"question:{question.error}"] += 1
            continue
        num_candidates = len(question.candidates)
        part.correct.append(correct)
        part.answers.append(answers)
        part.clusters.append("\n".join((question.datasource, *question.images)))
        part.scores.append(
            [
                aggregate(tuple(candidate.final_scores), names)
                + aggregate(tuple(candidate.raw_scores), names)
                for candidate in question.candidates
            ]
        )
        part.failures.update(
            failure_reason(failure)
            for candidate in question.candidates
            for failure in candidate.failures
        )
    if not num_candidates:
        failures = sum((part.failures for part in collected.values()), Counter[str]())
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(failures.items()))
        raise UserError(f"no question has candidates ({reasons})")
    return {name: part.outcomes(aggregations, num_candidates) for name, part in collected.items()}


def _judged(questions: Sequence[ScoredQuestion], workers: int) -> Iterator[Judgement]:
    """Judge each question's candidates, in order."""
    columns = (
        [question.question for question in questions],
        [question.answer for question in questions],
        [question.choices for question in questions],
        [final_answers(question) for question in questions],
    )
    progress = partial(track, label="judging", unit="questions", total=len(questions))
    if workers == 1:
        yield from progress(map(judge_answers, *columns))
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from progress(pool.map(judge_answers, *columns, chunksize=_QUESTIONS_IN_A_TASK))


def final_answers(question: ScoredQuestion) -> list[str]:
    """Return the candidates' answers; that of one that could not be made is empty."""
    return [candidate.final_answer or "" for candidate in question.candidates]


def judge_answers(
    question: str, answer: str, choices: list[str] | None, final_answers: Sequence[str]
) -> Judgement:
    """Judge the final answers to a question, given its text, its truth and its choices.

    Answers are classed by their spelling alone: the truth has no say in a vote.
    """
    truth = ground_truth(question, answer, choices)
    verdicts: dict[str, bool] = {}
    classes: dict[str, int] = {"": NO_ANSWER}
    correct, answers = [], []
    for text in final_answers:
        if text not in verdicts:
            verdicts[text] = bool(text) and is_correct(truth, text)
        correct.append(verdicts[text])
        answers.append(classes.setdefault(normalise(text) if text else "", len(classes)))
    return correct, answers


@lru_cache(maxsize=65536)
def aggregate(scores: tuple[float | None, ...], aggregations: tuple[str, ...]) -> tuple[float, ...]:
    """Turn the scores of a candidate's steps into its score by each of the aggregations.

    All are NaN where there is no step or where a step has no score.
    """
    known = [score for score in scores if score is not None]
    if not known or len(known) < len(scores):
        return (float("nan"),) * len(aggregations)
    return tuple(AGGREGATIONS[name](known) for name in aggregations)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags `aggregations`, those of the bootstrap, and `workers`."""
    parser.add_argument(
        "--aggregations", nargs="+", choices=list(AGGREGATIONS), default=list(AGGREGATIONS),
        metavar="NAME", help="how step scores become a candidate's score (default: all five)",
    )  # fmt: skip
    cli.add_bootstrap(parser)
    add_workers(parser)


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the flag `workers`."""
    parser.add_argument(
        "--workers", type=cli.at_least(1), default=len(os.sched_getaffinity(0)), metavar="N",
        help="processes that judge answers (default: all cores, %(default)s)",
    )  # fmt: skip
