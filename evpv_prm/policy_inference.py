"""Sample candidate solutions of benchmark questions from a policy model.

Reads questions (JSONL: question, answer, image, datasource; pid optional) and writes each with
vlmresponse1, vlmresponse2, …: {reasoningprocess: [{steptext, visualdependency}], finalanswer}, or
{error, detail, rawoutput} where a reply failed. A question whose image cannot be read is written
with `error` and is never put to the model. The same seed gives the same candidates.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evpv_prm import cli, parsing, prompts
from evpv_prm.answers.options import parse_options
from evpv_prm.config import Candidates
from evpv_prm.data.images import load_images
from evpv_prm.data.questions import read_questions
from evpv_prm.engine.base import Failure, Image, Request, Result, Sampling, first_seed
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.jsonl import write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.records import Candidate, CandidateRecord, FailedCandidate, Question


def draw_sampling(options: Candidates, seed: int, pid: str, index: int) -> Sampling:
    """Draw the sampling of candidate `index` (from 0) of a question; see `first_seed`."""
    candidate_seed = first_seed(seed, pid) + index
    uniform = random.Random(candidate_seed).uniform
    return Sampling(
        temperature=round(uniform(options.temperature_low, options.temperature_high), 4),
        top_p=round(uniform(options.top_p_low, options.top_p_high), 4),
        max_tokens=options.max_tokens,
        seed=candidate_seed,
        repetition_penalty=options.repetition_penalty,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
    )


def build_requests(
    question: Question, images: Sequence[Image], options: Candidates, seed: int
) -> list[Request]:
    """Return the requests for all candidates of one question."""
    prompt = prompts.policy(
        question.question,
        len(images),
        max_steps=options.max_steps,
        max_step_characters=options.max_step_characters,
        letters=list(parse_options(question.question)) if options.letters_only else (),
    )
    return [
        Request(
            stage="policy",
            messages=prompt.messages,
            images=[images[i] for i in prompt.image_order],
            sampling=draw_sampling(options, seed, question.pid, index),
            json_schema=prompt.json_schema,
            sample_index=index,
        )
        for index in range(options.num_candidates)
    ]


def read_candidate(result: Result, sampling: Sampling) -> Candidate | FailedCandidate:
    """Turn an engine's result into a candidate, with the sampling that it was drawn with."""
    parsed = result if isinstance(result, Failure) else parsing.parse_candidate(result.text)
    drawn = {
        "seed": sampling.seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if isinstance(parsed, Failure):
        return FailedCandidate.model_validate(
            {
                "error": parsed.kind,
                "detail": parsed.detail,
                "rawoutput": parsed.text,
                "sampling": drawn,
            }
        )
    return Candidate.model_validate({**parsed.to_row(), "sampling": drawn})


def sample(
    questions: Sequence[Question],
    images: Path,
    engine: StoredEngine,
    options: Candidates,
    seed: int,
) -> list[CandidateRecord]:
    """Return the questions with their candidates, in the order given; one wave of requests."""
    loaded = [load_images(images, question.images) for question in questions]
    batches = [
        [] if isinstance(found, Failure) else build_requests(question, found, options, seed)
        for question, found in zip(questions, loaded, strict=True)
    ]
    requests = [request for batch in batches for request in batch]
    results = iter(engine.generate(requests, "policy"))
    records = []
    for question, found, batch in zip(questions, loaded, batches, strict=True):
        fields: dict[str, Any] = {
            "candidates": [read_candidate(next(results), request.sampling) for request in batch]
        }
        if isinstance(found, Failure):
            fields |= {"error": found.kind, "detail": found.detail}
        records.append(CandidateRecord.model_validate({**question.to_row(), **fields}))
    return records


def _failures(record: CandidateRecord, num_candidates: int) -> list[list[str]]:
    """Return why each candidate failed; a question that was never asked has lost all of its own."""
    if record.error:
        return [[f"question:{record.error}"]] * num_candidates
    return [[c.error] if isinstance(c, FailedCandidate) else [] for c in record.candidates]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "policy_inference")
    parser.add_argument("--questions", type=Path, required=True, help="JSONL file of the questions")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    add_options(parser, Candidates)
    add_engine_options(parser)
    arguments = parser.parse_args(argv)
    options = read_options(arguments, Candidates)

    questions = read_questions(arguments.questions)
    with open_engine(arguments) as engine:
        records = sample(questions, arguments.images, engine, options, arguments.seed)
    failures = [
        reasons for record in records for reasons in _failures(record, options.num_candidates)
    ]
    details = engine.details
    status = check_failures(failures, arguments.max_failures, details=details)
    if status == 0:
        write_rows(arguments.output, (record.to_row() for record in records))
    return status


if __name__ == "__main__":
    cli.run_and_exit(main)
