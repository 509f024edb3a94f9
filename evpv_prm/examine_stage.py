"""Examine one of the models that the trainings make: what it sees, and how it judges steps.

Judges the steps of labelled solutions (VisualProcessBench) as the pipeline does, with a caption of
the model's own, and writes DIR/solutions.jsonl. With --facts, the questions of a synthetic world
with all that their pictures show, it describes their pictures, too, and writes
DIR/descriptions.jsonl: each description and which of the facts it states. `compute_stage_gains`
compares several models.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli, parsing
from evpv_prm.config import ImageDescription
from evpv_prm.config_judge import JudgeReply
from evpv_prm.config_step_level import StepJudging
from evpv_prm.data.examined import DESCRIPTIONS, SOLUTIONS
from evpv_prm.data.images import load_images
from evpv_prm.data.picture_facts import (
    ExaminedQuestion,
    KnownQuestion,
    facts_right,
    read_known_questions,
)
from evpv_prm.data.step_records import read_step_records
from evpv_prm.engine.base import Failure
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.errors import UserError
from evpv_prm.evpv_prm_inference import description_request
from evpv_prm.jsonl import write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.spread import spread
from evpv_prm.step_judging import load_solutions
from evpv_prm.step_verifier import verify
from evpv_prm.verifier import parsed


def describe_questions(
    questions: Sequence[KnownQuestion],
    images: Path,
    engine: StoredEngine,
    describing: ImageDescription,
    seed: int,
) -> list[ExaminedQuestion]:
    """Return the questions with the model's descriptions of their images, in order."""
    loaded = [load_images(images, question.images) for question in questions]
    requests = [
        description_request(question.question, pictures, describing, seed)
        for question, pictures in zip(questions, loaded, strict=True)
        if not isinstance(pictures, Failure)
    ]
    results = iter(engine.generate(requests, "describe"))
    examined = []
    for question, pictures in zip(questions, loaded, strict=True):
        if isinstance(pictures, Failure):
            examined.append(_examined(question, pictures, "question"))
        else:
            description = parsed(next(results), parsing.parse_description)
            examined.append(_examined(question, description, "describe"))
    return examined


def _examined(question: KnownQuestion, description: str | Failure, stage: str) -> ExaminedQuestion:
    said: str | None = None
    failures = []
    if isinstance(description, Failure):
        failures.append(f"{stage}:{description.kind}")
    else:
        said = description
    return ExaminedQuestion.model_validate(
        {
            **question.to_row(),
            "image_description": said,
            "facts_right": facts_right(said or "", question.facts),
            "failures": failures,
        }
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "examine_stage")
    parser.add_argument(
        "--benchmark", type=Path, nargs="+", required=True, metavar="V.jsonl",
        help="labelled solutions to judge",
    )  # fmt: skip
    parser.add_argument("--images", type=Path, required=True, help="folder of their images")
    parser.add_argument("--facts", type=Path, metavar="F.jsonl", help="questions to describe")
    parser.add_argument("--facts-images", type=Path, metavar="DIR", help="folder of their images")
    parser.add_argument(
        "--limit", type=cli.at_least(1), metavar="N",
        help="take so many solutions and questions, at even distances; default: all",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    add_options(parser, StepJudging)
    add_options(parser, JudgeReply)
    add_options(parser, ImageDescription)
    add_engine_options(parser)
    arguments = parser.parse_args(argv)
    if (arguments.facts is None) != (arguments.facts_images is None):
        raise UserError("--facts and --facts-images go together")
    judging, reply = read_options(arguments, StepJudging), read_options(arguments, JudgeReply)
    describing = read_options(arguments, ImageDescription)

    records = [record for path in arguments.benchmark for record in read_step_records(path)]
    solutions = load_solutions(spread(records, arguments.limit), arguments.images)
    known = read_known_questions(arguments.facts) if arguments.facts else []
    questions, folder = spread(known, arguments.limit), arguments.facts_images
    with open_engine(arguments) as engine:
        described = describe_questions(questions, folder, engine, describing, arguments.seed)
        judged = verify(solutions, engine, judging, arguments.seed, reply=reply)
    failures = [[] if record.is_judged else record.failures for record in judged]
    failures += [question.failures for question in described]
    allowed, details = arguments.max_failures, engine.details
    status = check_failures(failures, allowed, "solutions and questions", details)
    if status == 0:
        if described:
            write_rows(arguments.output / DESCRIPTIONS, (one.to_row() for one in described))
        else:
            (arguments.output / DESCRIPTIONS).unlink(missing_ok=True)  # those of an earlier run
        write_rows(arguments.output / SOLUTIONS, (record.to_row() for record in judged))
    return status


if __name__ == "__main__":
    cli.run_and_exit(main)
