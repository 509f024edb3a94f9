"""Captions and judgements of labelled solutions: the waves that every step-level experiment asks.

An experiment loads its solutions once, asks for all captions in one wave and for all judgements in
another, and reads the results back solution by solution:

    solutions = load_solutions(records, images)
    captions = caption_solutions(solutions, engine, judging, seed)
    groups = [judge_group(s, c, view(judging, reply), seed) for s, c in zip(solutions, captions)]
    results = ask(engine, groups, "judge")
    judged = [judged_record(s, c, r, reply) for s, c, r in zip(solutions, captions, results)]

One with several conditions puts the groups of all of them into the same wave.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evpv_prm import parsing, prompts
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.config_step_level import StepJudging
from evpv_prm.data.images import load_images
from evpv_prm.data.step_records import JudgedRecord, StepRecord
from evpv_prm.engine.base import Failure, Image, Request, Result
from evpv_prm.engine.store import StoredEngine
from evpv_prm.records import Caption
from evpv_prm.verifier import Judgements, View, judge_requests, parsed, read_judgements, request

_WRITTEN = JudgedRecord.model_fields.keys() - StepRecord.model_fields.keys()


@dataclass(frozen=True)
class Solution:
    """A labelled solution with its images.

    `problem` is why it is never put to a model, as it stands among the failures of its record:
    "no_steps", or "question:KIND" where an image cannot be used.
    """

    record: StepRecord
    images: Sequence[Image]
    problem: str | None = None


def load_solutions(records: Sequence[StepRecord], root: Path) -> list[Solution]:
    """Load the images of all records, in order; each distinct list of images once."""
    loaded: dict[tuple[str, ...], list[Image] | Failure] = {}
    solutions = []
    for record in records:
        if not record.steps:
            solutions.append(Solution(record, [], "no_steps"))
            continue
        if record.images not in loaded:
            loaded[record.images] = load_images(root, record.images)
        images = loaded[record.images]
        if isinstance(images, Failure):
            solutions.append(Solution(record, [], f"question:{images.kind}"))
        else:
            solutions.append(Solution(record, images))
    return solutions


def ask(
    engine: StoredEngine, groups: Sequence[Sequence[Request]], label: str
) -> list[list[Result]]:
    """Submit all groups of requests as one wave; return the results in the same groups."""
    requests = [request for group in groups for request in group]
    results = iter(engine.generate(requests, label))
    return [list(itertools.islice(results, len(group))) for group in groups]


def caption_group(
    solution: Solution, judging: StepJudging, seed: int, *, short: bool = False
) -> list[Request]:
    """Return the request for the caption of a solution's images; none where it has a problem."""
    if solution.problem is not None:
        return []
    prompt = prompts.caption(
        solution.record.question,
        len(solution.images),
        max_characters=judging.max_caption_characters,
        short=short,
    )
    return [request("caption", prompt, solution.images, judging.caption, seed)]


def read_caption(results: Sequence[Result]) -> Caption | Failure:
    """Read the results of a `caption_group`; an empty group is a failure."""
    if not results:
        return Failure("not_asked")
    return parsed(results[0], parsing.parse_caption)


def caption_solutions(
    solutions: Sequence[Solution], engine: StoredEngine, judging: StepJudging, seed: int
) -> list[Caption | Failure]:
    """Ask for the captions of all solutions in one wave; the same request is sent once."""
    groups = [caption_group(solution, judging, seed) for solution in solutions]
    return [read_caption(results) for results in ask(engine, groups, "caption")]


def view(judging: StepJudging, reply: JudgeReply = VERDICT_ALONE) -> View:
    """Return what the judge is shown and how it answers where no experiment changes it."""
    return View(judging.judge, judging.history_steps, judging.block_size, reply=reply)


def judge_group(
    solution: Solution, caption: Caption | Failure | None, view: View, seed: int
) -> list[Request]:
    """Return a request for the judgement of every step, in order.

    There are none where the solution has a problem or its caption failed; a judge without caption
    (None) sees the question and, if `view` says so, the images.
    """
    if solution.problem is not None or isinstance(caption, Failure):
        return []
    record, description = solution.record, None if caption is None else caption.to_text()
    return judge_requests(record.question, description, record.steps, solution.images, view, seed)


def judged_record(
    solution: Solution,
    caption: Caption | Failure | None,
    results: Sequence[Result],
    reply: JudgeReply = VERDICT_ALONE,
) -> JudgedRecord:
    """Return the record with the results of its `judge_group`, whose view had this form of `reply`.

    Its labels stay as they are.
    """
    if solution.problem is not None:
        judged = Judgements.none(len(solution.record.steps), solution.problem)
    elif isinstance(caption, Failure):
        judged = Judgements.none(len(solution.record.steps), f"caption:{caption.kind}")
    else:
        judged = read_judgements(results, reply)
    row = solution.record.to_row()
    return JudgedRecord.model_validate(
        {
            # What an earlier run wrote into the record does not stay beside its new judgements.
            **{name: row[name] for name in row if name not in _WRITTEN},
            "structured_vision": caption if isinstance(caption, Caption) else None,
            "step_predict": judged.verdicts,
            "step_probabilities": judged.probabilities,
            "step_evidence": judged.evidence,
            "failures": judged.failures,
        }
    )
