"""Answer questions with and without what there is to see, and judge the reasoning.

Reads questions (JSONL: question, answer, image, datasource; pid optional) and answers each under
four conditions: cond1 with the image; cond2 with the image and the teacher's description, the
oracle; cond3 with a description that has errors, without the image; cond4 with nothing but the
question. The reasoning is divided into steps, and the verifier judges them; for cond3 and cond4 it
does not see the image either.

One model plays all parts unless --stage names one: describe (the teacher), solve (the policy) or
judge (the verifier). A stage reads the output of the one before it as --questions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from evpv_prm import cli, prompts
from evpv_prm.answers.options import parse_options
from evpv_prm.config_intervention import Describing, SolutionJudging, Solving
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.data.conditions import CONDITIONS, SETTINGS, Condition, DescriptionKind
from evpv_prm.data.images import load_images
from evpv_prm.data.intervention_records import (
    EXPERIMENTS,
    AnsweredQuestion,
    DescribedQuestion,
    Outcome,
    Solution,
    StepEvaluation,
    parse_solution,
)
from evpv_prm.data.questions import read_questions
from evpv_prm.data.reasoning import split_steps, unlabelled
from evpv_prm.engine.base import Failure, Image, Request, Result
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.jsonl import read_records, write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.oracle import describe
from evpv_prm.records import FailedCandidate
from evpv_prm.section import Section
from evpv_prm.step_judging import ask
from evpv_prm.verifier import Judgements, View, judge_requests, parsed, read_judgements, request


@dataclass(frozen=True)
class Sight:
    """What a model can be given of a question's images."""

    images: Sequence[Image]
    description: str | None


def sight_of(
    question: DescribedQuestion, images: Sequence[Image] | Failure, description: DescriptionKind
) -> Sight | str:
    """Return the images with a description (None: with none), or why not, as "STAGE:KIND"."""
    if isinstance(images, Failure):
        return f"question:{images.kind}"
    meta = question.perception_intervention_meta
    text = meta.description(description)
    if description is not None and text is None:
        return meta.failures[0]
    return Sight(images, text)


def solve(
    questions: Sequence[DescribedQuestion],
    root: Path,
    engine: StoredEngine,
    options: Solving,
    seed: int,
) -> list[AnsweredQuestion]:
    """Return the questions with an outcome in every condition; one wave of requests.

    A condition whose description could not be had is a failure, and so are all of a question whose
    images cannot be used.
    """
    groups: list[list[Request]] = []
    sights: list[Sight | str] = []
    for question in questions:
        images = load_images(root, question.images)
        for condition in CONDITIONS:
            sight = sight_of(question, images, SETTINGS[condition].description)
            sights.append(sight)
            groups.append(
                [solve_request(question, sight, condition, options, seed)]
                if isinstance(sight, Sight)
                else []
            )
    outcomes = map(_outcome, sights, ask(engine, groups, "solve"))
    return [
        AnsweredQuestion.model_validate(
            {**question.to_row(), EXPERIMENTS: {name: next(outcomes) for name in CONDITIONS}}
        )
        for question in questions
    ]


def solve_request(
    question: DescribedQuestion, sight: Sight, condition: Condition, options: Solving, seed: int
) -> Request:
    """Return the request for the answer to a question under a condition."""
    prompt = prompts.solve(
        question.question,
        sight.description,
        len(sight.images),
        show_images=SETTINGS[condition].shows_images,
        max_characters=options.max_reasoning_characters,
        letters=list(parse_options(question.question)) if options.letters_only else (),
    )
    return request("solve", prompt, sight.images, options.solver, seed)


def _outcome(sight: Sight | str, results: Sequence[Result]) -> Outcome:
    if isinstance(sight, str):
        return FailedCandidate(error=sight)
    [result] = results
    solution = parsed(result, parse_solution)
    if isinstance(solution, Failure):
        error = f"solve:{solution.kind}"
        return FailedCandidate(error=error, detail=solution.detail, rawoutput=solution.text)
    return solution


def judge(
    questions: Sequence[AnsweredQuestion],
    root: Path,
    engine: StoredEngine,
    options: SolutionJudging,
    seed: int,
    reply: JudgeReply = VERDICT_ALONE,
) -> list[AnsweredQuestion]:
    """Return the questions with the steps of every solution judged; one wave of requests."""
    solved: list[tuple[Condition, Solution, Sight | str]] = []
    groups: list[list[Request]] = []
    for question in questions:
        images = load_images(root, question.images)
        for condition, solution in question.solutions().items():
            kind: DescriptionKind = "oracle"
            if options.judged_with == "condition":
                kind = SETTINGS[condition].description
            sight = sight_of(question, images, kind)
            solved.append((condition, solution, sight))
            groups.append(
                step_requests(question, sight, condition, solution, options, seed, reply)
                if isinstance(sight, Sight)
                else []
            )
    results = ask(engine, groups, "judge")
    evaluations = (
        _evaluation(solution, sight, judgements, reply)
        for (_, solution, sight), judgements in zip(solved, results, strict=True)
    )
    judged = (
        (condition, solution.model_copy(update={"prm_eval": evaluation}))
        for (condition, solution, _), evaluation in zip(solved, evaluations, strict=True)
    )
    return [
        question.with_outcomes(dict(itertools.islice(judged, len(question.solutions()))))
        for question in questions
    ]


def step_requests(
    question: DescribedQuestion,
    sight: Sight,
    condition: Condition,
    solution: Solution,
    options: SolutionJudging,
    seed: int,
    reply: JudgeReply = VERDICT_ALONE,
) -> list[Request]:
    """Return a request for the judgement of every step of a solution, in order."""
    shows_images = SETTINGS[condition].shows_images
    sees_something = shows_images or sight.description is not None
    view = View(
        options.judge,
        options.history_steps,
        rules="strict" if sees_something else "text_only",
        shows_images=shows_images,
        reply=reply,
    )
    # The judge's prompt numbers the steps itself.
    steps = [unlabelled(step) for step in split_steps(solution.reasoning)]
    return judge_requests(question.question, sight.description, steps, sight.images, view, seed)


def _evaluation(
    solution: Solution, sight: Sight | str, results: Sequence[Result], reply: JudgeReply
) -> StepEvaluation:
    steps = split_steps(solution.reasoning)
    if isinstance(sight, str):
        judged = Judgements.none(len(steps), sight)
    else:
        judged = read_judgements(results, reply)
    return StepEvaluation(
        steps=steps,
        step_scores=judged.verdicts,
        step_probabilities=judged.probabilities,
        step_evidence=judged.evidence,
        failures=judged.failures,
    )


class Part(NamedTuple):
    """One stage: what does it, with which options, and on which records (None: on questions)."""

    play: Callable[..., Sequence[DescribedQuestion]]
    options: type[Section]
    reads: type[DescribedQuestion] | None


PARTS = {
    "describe": Part(describe, Describing, None),
    "solve": Part(solve, Solving, DescribedQuestion),
    "judge": Part(judge, SolutionJudging, AnsweredQuestion),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "perception_intervention")
    parser.add_argument(
        "--questions", type=Path, required=True, help="JSONL file of questions, or of a stage"
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    parser.add_argument(
        "--stage", choices=["all", *PARTS], default="all", help="what to do (default: %(default)s)"
    )
    for part in PARTS.values():
        add_options(parser, part.options)
    add_options(parser, JudgeReply)
    add_engine_options(parser)
    arguments = parser.parse_args(argv)
    options = {name: read_options(arguments, part.options) for name, part in PARTS.items()}
    plays = {name: part.play for name, part in PARTS.items()}
    plays["judge"] = partial(judge, reply=read_options(arguments, JudgeReply))
    stages = list(PARTS) if arguments.stage == "all" else [arguments.stage]

    reads = PARTS[stages[0]].reads
    records: Sequence[Any] = (
        read_records(arguments.questions, reads) if reads else read_questions(arguments.questions)
    )
    with open_engine(arguments) as engine:
        for name in stages:
            records = plays[name](records, arguments.images, engine, options[name], arguments.seed)
    failures = [reasons for record in records for reasons in record.reasons]
    details = engine.details
    status = check_failures(failures, arguments.max_failures, "answers", details)
    if status == 0:
        write_rows(arguments.output, (record.to_row() for record in records))
    return status


if __name__ == "__main__":
    cli.run_and_exit(main)
