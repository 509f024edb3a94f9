"""Have the teacher judge solution steps and write the data of the step-judge fine-tuning.

Reads labelled solutions with descriptions (the output of merge_vision_descriptions), asks the
teacher which steps are wrong and in what way, and holds every reply against the record: its steps,
its overall label, the fixed list of error categories. Invalid replies are asked for again. Writes
training rows of ms-swift and the labels (JSONL: key, image, question, label, split, steps,
step_judge_result). By default a row is one step with the prompt that the verifier later judges it
with, answered by a bare 1 or -1, or, with --judge-form evidence_then_verdict, by the teacher's
evidence and then the verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evpv_prm import cli, prompts
from evpv_prm.config import Scoring
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.config_teacher import TeacherSteps, TrainingFiles
from evpv_prm.data.cards import DataCard
from evpv_prm.data.pair_records import PairRecord, read_pair_records
from evpv_prm.data.step_labels import Judgement, StepResult, parse_judgement
from evpv_prm.data.training_files import ImageFolder, TrainingRow, training_row
from evpv_prm.engine.base import Failure, Image, Request
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.jsonl import write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.prompts import Prompt
from evpv_prm.teacher import ask_until_valid, teacher_request
from evpv_prm.training_output import TrainingOutput, add_output_options


@dataclass
class Solution:
    """A labelled solution whose image and description are there, and the teacher's judgement."""

    record: PairRecord
    image: Image
    description: str
    judgement: Judgement | Failure

    def to_row(self, held_out: set[str], reply: JudgeReply) -> dict[str, Any]:
        """Return the line of the labels' file for a judged solution."""
        assert isinstance(self.judgement, Judgement)
        return {
            "key": self.record.key,
            "image": self.record.image,
            "question": self.record.question,
            "label": self.record.label,
            "split": "validation" if self.image.digest in held_out else "train",
            "steps": self.judgement.steps,
            "step_judge_result": self.judgement.results_json(evidence=reply.has_evidence),
        }


def select(
    records: Iterable[PairRecord], images: ImageFolder, max_steps: int, card: DataCard
) -> list[Solution]:
    """Return the solutions that can be judged, each once; the others are counted by reason."""
    solutions: dict[str, Solution] = {}
    for record in records:
        card.records += 1
        image = images.load(record.image)
        description = record.row.get("image_describe")
        if isinstance(image, Failure):
            card.dropped[image.kind] += 1
        elif not isinstance(description, str) or not description.strip():
            card.dropped["no description"] += 1
        elif not all(record.steps):
            card.dropped["no solution"] += 1
        elif len(record.steps) > max_steps:
            card.dropped["too many steps"] += 1
        elif record.key in solutions:
            card.dropped["same solution"] += 1
        else:
            solutions[record.key] = Solution(record, image, description, Failure("not_asked"))
    return list(solutions.values())


def judge_request(
    solution: Solution, options: TeacherSteps, seed: int, reply: JudgeReply = VERDICT_ALONE
) -> Request:
    """Return the first request for a judgement."""
    record = solution.record
    prompt = prompts.teacher_steps(
        record.question,
        solution.description,
        record.steps,
        label=record.label,
        step_labels=record.step_labels,
        max_steps=options.max_steps,
        reply=reply,
    )
    return teacher_request(
        "teacher_steps", prompt, solution.image, options.decoding, seed, record.key
    )


def judge(
    solutions: Sequence[Solution],
    engine: StoredEngine,
    options: TeacherSteps,
    seed: int,
    reply: JudgeReply = VERDICT_ALONE,
) -> None:
    """Fill in the judgements."""
    requests = [judge_request(solution, options, seed, reply) for solution in solutions]

    def check(index: int, text: str) -> Judgement | Failure:
        return parse_judgement(text, solutions[index].record, reply)

    found = ask_until_valid(engine, requests, check, options.attempts, "teacher judges")
    for solution, judgement in zip(solutions, found, strict=True):
        solution.judgement = judgement


def solution_turns(
    solution: Solution,
    judgement: Judgement,
    files: TrainingFiles,
    history_steps: int,
    reply: JudgeReply,
) -> Iterator[tuple[Prompt, str, list[StepResult]]]:
    """Yield (prompt, answer, results that it teaches): one a step, or one for all steps."""
    question, steps = solution.record.question, judgement.steps
    if files.prompt_style == "reference":
        answer = json.dumps(judgement.results_json(), ensure_ascii=False)
        prompt = prompts.judge_all(question, solution.description, steps)
        yield prompt, answer, list(judgement.results)
        return
    for index, result in enumerate(judgement.results):
        first = max(0, index - history_steps)
        shown = steps[first : index + 1]
        prompt = prompts.judge(
            question, solution.description, shown, 1, first=first + 1, reply=reply
        )
        yield prompt, prompts.judge_answer(result.evidence, result.score, reply), [result]


def training_rows(
    solutions: Iterable[Solution],
    files: TrainingFiles,
    history_steps: int,
    card: DataCard,
    reply: JudgeReply = VERDICT_ALONE,
) -> Iterator[tuple[Image, TrainingRow]]:
    """Yield the training rows; solutions and rows that are left out are counted by reason."""
    for solution in solutions:
        judgement = solution.judgement
        if isinstance(judgement, Failure):
            card.dropped[f"teacher:{judgement.kind}"] += 1
            continue
        turns = solution_turns(solution, judgement, files, history_steps, reply)
        for prompt, answer, results in turns:
            row = training_row(prompt, answer, solution.record.image)
            if isinstance(row, Failure):
                card.dropped[f"row:{row.kind}"] += 1
                continue
            labels = {
                "score": [str(result.score) for result in results],
                "category": [result.category for result in results if result.category],
                "subcategory": [result.subcategory for result in results if result.subcategory],
            }
            yield solution.image, TrainingRow(row, labels)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "build_step_judge_sft_data")
    parser.add_argument(
        "--pairs", type=Path, nargs="+", required=True,
        help="JSONL files of labelled solutions with image_describe",
    )  # fmt: skip
    parser.add_argument("--labels", type=Path, required=True, help="labels to write (JSONL)")
    parser.add_argument(
        "--history-steps", type=int, default=Scoring().history_steps, metavar="N",
        help="previous steps that the judge sees when it scores (default: %(default)s)",
    )  # fmt: skip
    add_output_options(parser)
    add_options(parser, TeacherSteps)
    add_options(parser, JudgeReply)
    add_engine_options(parser)
    arguments = parser.parse_args(argv)
    options, reply = read_options(arguments, TeacherSteps), read_options(arguments, JudgeReply)
    output = TrainingOutput(arguments, "Step-judge fine-tuning: judged solution steps")

    records = (record for path in arguments.pairs for record in read_pair_records(path))
    solutions = select(records, ImageFolder(arguments.images), options.max_steps, output.card)
    with open_engine(arguments) as engine:
        judge(solutions, engine, options, arguments.seed, reply)
    judged = [s for s in solutions if isinstance(s.judgement, Judgement)]
    found = (solution.judgement for solution in solutions)
    failures = [[one.kind] if isinstance(one, Failure) else [] for one in found]
    details = engine.details
    status = check_failures(failures, arguments.max_failures, "judgements", details)
    if status == 0:
        held_out = output.held_out((solution.image for solution in judged), arguments.seed)
        rows = training_rows(solutions, output.options, arguments.history_steps, output.card, reply)
        write_rows(arguments.labels, (solution.to_row(held_out, reply) for solution in judged))
        output.write(rows, held_out)
    return status


if __name__ == "__main__":
    cli.run_and_exit(main)
