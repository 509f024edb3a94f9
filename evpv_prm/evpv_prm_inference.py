"""Score candidate solutions with the verifier: describe, audit, judge, gate.

Reads candidates (the output of policy_inference) and writes each record with, per response, `eval`:
the image's description, the checklist of visual facts, its audit and reliability, a judgement of
every step (1 or -1) with its probability, and the gated scores. All descriptions are asked for
first, then all audits and judgements together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evpv_prm import cli, parsing, prompts
from evpv_prm.config import ImageDescription, Scoring
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.data.images import load_images
from evpv_prm.engine.base import Failure, Image, Request, Result
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.jsonl import read_records, write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.records import Candidate, CandidateRecord, Evaluation
from evpv_prm.reward import checklist, gate, visual_facts
from evpv_prm.verifier import Judgements, View, judge_requests, parsed, read_judgements, request


@dataclass
class Item:
    """A record on its way through the stages; images that cannot be read fail its description."""

    record: CandidateRecord
    images: Sequence[Image]
    description: str | Failure
    raw_description: str | None = None

    @property
    def candidates(self) -> list[Candidate]:
        """The candidates that the policy managed to make."""
        return [c for c in self.record.candidates if isinstance(c, Candidate)]


def describe_request(item: Item, options: Scoring, seed: int) -> Request:
    """Return the request for the description of an item's images."""
    return description_request(item.record.question, item.images, options, seed)


def description_request(
    question: str, images: Sequence[Image], options: ImageDescription, seed: int
) -> Request:
    """Return the request for the description of a question's images."""
    prompt = prompts.describe(
        question, len(images), max_characters=options.max_description_characters
    )
    return request("describe", prompt, images, options.describe, seed)


def candidate_requests(
    item: Item,
    candidate: Candidate,
    description: str,
    options: Scoring,
    seed: int,
    reply: JudgeReply = VERDICT_ALONE,
) -> list[Request]:
    """Return the audit (if the candidate has visual facts), then a judgement of every step."""
    steps = [step.steptext for step in candidate.reasoningprocess]
    dependencies = [step.visualdependency for step in candidate.reasoningprocess]
    facts, visual = checklist(dependencies)
    requests = []
    if visual:
        prompt = prompts.audit(
            description,
            facts,
            len(item.images),
            max_errors=options.max_audit_errors,
            max_characters=options.max_audit_characters,
            checks=len(visual_facts(dependencies)) if options.audit_checks else None,
        )
        requests.append(request("audit", prompt, item.images, options.audit, seed))
    view = View(options.judge, options.history_steps, reply=reply)
    question = item.record.question
    return requests + judge_requests(question, description, steps, item.images, view, seed)


def evaluate(
    candidate: Candidate,
    description: str | Failure,
    results: Iterator[Result],
    reply: JudgeReply = VERDICT_ALONE,
) -> Evaluation:
    """Turn the results of `candidate_requests` into an evaluation, consuming them in order."""
    steps = len(candidate.reasoningprocess)
    facts, visual = checklist([step.visualdependency for step in candidate.reasoningprocess])
    failures: list[str] = []
    audit: Mapping[str, Any] | None = None
    reliability: float | None = None
    judged = Judgements.none(steps)
    if isinstance(description, Failure):
        failures.append(f"describe:{description.kind}")
    else:
        if visual:
            audited = parsed(next(results), parsing.parse_audit)
            if isinstance(audited, Failure):
                failures.append(f"audit:{audited.kind}")
            else:
                audit, reliability = audited
        else:
            reliability = 1.0
        judged = read_judgements(itertools.islice(results, steps), reply)
    return Evaluation(
        image_description=None if isinstance(description, Failure) else description,
        visual_checklist=facts,
        visual_step_indices=list(visual),
        visual_checklist_evaluation=None if audit is None else dict(audit),
        local_p_score=reliability,
        raw_step_scores=list(judged.verdicts),
        final_step_scores=gate(judged.verdicts, visual, reliability),
        step_probabilities=judged.probabilities,
        step_evidence=judged.evidence,
        failures=failures + judged.failures,
    )


def score(
    records: Sequence[CandidateRecord],
    images: Path,
    engine: StoredEngine,
    options: Scoring,
    seed: int,
    reply: JudgeReply = VERDICT_ALONE,
) -> list[CandidateRecord]:
    """Return the records with `eval` on every candidate, in the order given.

    Two waves of requests: the descriptions, then everything that builds on them.
    """
    items = [_load(record, images) for record in records]
    described = [item for item in items if item.candidates and item.images]
    requests = [describe_request(item, options, seed) for item in described]
    for item, result in zip(described, engine.generate(requests, "describe"), strict=True):
        item.raw_description = result.text
        item.description = parsed(result, parsing.parse_description)

    requests = [
        request
        for item in items
        if isinstance(item.description, str)
        for candidate in item.candidates
        for request in candidate_requests(item, candidate, item.description, options, seed, reply)
    ]
    results = iter(engine.generate(requests, "audit and judge"))
    return [_finish(item, results, reply) for item in items]


def _load(record: CandidateRecord, root: Path) -> Item:
    loaded = load_images(root, record.images)
    if isinstance(loaded, Failure):
        return Item(record, [], loaded)
    return Item(record, loaded, Failure("no_candidates"))


def _finish(item: Item, results: Iterator[Result], reply: JudgeReply) -> CandidateRecord:
    if not item.candidates:
        return item.record
    candidates = [
        c.model_copy(update={"eval": evaluate(c, item.description, results, reply)})
        if isinstance(c, Candidate)
        else c
        for c in item.record.candidates
    ]
    description = item.description if isinstance(item.description, str) else None
    return item.record.model_copy(
        update={
            "candidates": candidates,
            "__golden_image_description__": description,
            "__golden_image_description_raw__": item.raw_description,
        }
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "evpv_prm_inference")
    parser.add_argument("--candidates", type=Path, required=True, help="JSONL file to score")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    add_options(parser, Scoring)
    add_options(parser, JudgeReply)
    add_engine_options(parser)
    arguments = parser.parse_args(argv)
    options, reply = read_options(arguments, Scoring), read_options(arguments, JudgeReply)

    records = read_records(arguments.candidates, CandidateRecord)
    with open_engine(arguments) as engine:
        scored = score(records, arguments.images, engine, options, arguments.seed, reply)
    evaluations = [c.eval for r in scored for c in r.candidates if isinstance(c, Candidate)]
    failures = [["not_scored"] if e is None else e.failures for e in evaluations]
    details = engine.details
    status = check_failures(failures, arguments.max_failures, details=details)
    if status == 0:
        write_rows(arguments.output, (record.to_row() for record in scored))
    return status


if __name__ == "__main__":
    cli.run_and_exit(main)
