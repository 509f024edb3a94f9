"""Have the teacher describe the images and write the data of the vision fine-tuning.

Reads labelled solutions and asks the teacher once for each image together with its question, of
those solutions that are labelled "+". Writes the descriptions (JSONL: key, image, question,
image_description), which merge_vision_descriptions reads, and training rows of ms-swift:
{messages: [user, assistant], images: [path]}. By default the user turn is the prompt for which the
verifier later describes images, and the answer the JSON object that is expected of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evpv_prm import cli, parsing, prompts
from evpv_prm.config_teacher import TeacherDescriptions, TrainingFiles
from evpv_prm.data.cards import DataCard
from evpv_prm.data.descriptions import description_turns
from evpv_prm.data.pair_records import PairRecord, read_pair_records
from evpv_prm.data.training_files import ImageFolder, TrainingRow, training_row
from evpv_prm.engine.base import Failure, Image, Request
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.jsonl import write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.teacher import ask_until_valid, teacher_request
from evpv_prm.training_output import TrainingOutput, add_output_options


@dataclass
class Subject:
    """An image and a question about it, and what the teacher says."""

    key: str
    image: str
    question: str
    loaded: Image | Failure
    description: str | Failure

    def to_row(self) -> dict[str, Any]:
        """Return the line of the descriptions' file."""
        return {
            "key": self.key,
            "image": self.image,
            "question": self.question,
            "image_description": self.description,
        }


def select(records: Iterable[PairRecord], images: ImageFolder, card: DataCard) -> list[Subject]:
    """Return each image and question of a solution labelled "+" once, in order."""
    subjects: dict[str, Subject] = {}
    for record in records:
        card.records += 1
        if record.label == "-":
            card.dropped["labelled -"] += 1
        elif record.image_key in subjects:
            card.dropped["same image and question"] += 1
        else:
            loaded = images.load(record.image)
            failure = loaded if isinstance(loaded, Failure) else Failure("not_asked")
            subjects[record.image_key] = Subject(
                record.image_key, record.image, record.question, loaded, failure
            )
    return list(subjects.values())


def describe_request(
    subject: Subject, image: Image, options: TeacherDescriptions, seed: int
) -> Request:
    """Return the first request for a description."""
    prompt = prompts.teacher_describe(
        subject.question, max_characters=options.max_description_characters
    )
    return teacher_request("teacher_describe", prompt, image, options.decoding, seed, subject.key)


def describe(
    subjects: Sequence[Subject], engine: StoredEngine, options: TeacherDescriptions, seed: int
) -> None:
    """Fill in the descriptions of the subjects whose image can be used."""
    asked = [subject for subject in subjects if isinstance(subject.loaded, Image)]
    requests = [
        describe_request(subject, subject.loaded, options, seed)
        for subject in asked
        if isinstance(subject.loaded, Image)
    ]

    def check(_index: int, text: str) -> str | Failure:
        description = parsing.parse_description(text)
        longest = options.max_description_characters
        if isinstance(description, str) and len(description) > longest:
            return Failure("too_long", f"more than {longest} characters", text)
        return description

    found = ask_until_valid(engine, requests, check, options.attempts, "teacher describes")
    for subject, description in zip(asked, found, strict=True):
        subject.description = description


def training_rows(
    subjects: Iterable[Subject], files: TrainingFiles, card: DataCard
) -> Iterator[tuple[Image, TrainingRow]]:
    """Yield the training rows; what gives none is counted by its reason."""
    for subject in subjects:
        if isinstance(subject.loaded, Failure):
            card.dropped[subject.loaded.kind] += 1
        elif isinstance(subject.description, Failure):
            card.dropped[f"teacher:{subject.description.kind}"] += 1
        else:
            turns = description_turns(subject.question, subject.description, files)
            row = training_row(*turns, subject.image)
            if isinstance(row, Failure):
                card.dropped[row.kind] += 1
            else:
                yield subject.loaded, TrainingRow(row, {})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "build_vision_sft_data")
    parser.add_argument(
        "--pairs", type=Path, nargs="+", required=True, help="JSONL files of labelled solutions"
    )
    parser.add_argument(
        "--descriptions", type=Path, required=True, help="descriptions to write (JSONL)"
    )
    add_output_options(parser)
    add_options(parser, TeacherDescriptions)
    add_engine_options(parser)
    arguments = parser.parse_args(argv)
    options = read_options(arguments, TeacherDescriptions)
    output = TrainingOutput(arguments, "Vision fine-tuning: image descriptions")

    records = (record for path in arguments.pairs for record in read_pair_records(path))
    subjects = select(records, ImageFolder(arguments.images), output.card)
    with open_engine(arguments) as engine:
        describe(subjects, engine, options, arguments.seed)
    described = [subject for subject in subjects if isinstance(subject.description, str)]
    found = (subject.description for subject in subjects)
    failures = [[one.kind] if isinstance(one, Failure) else [] for one in found]
    details = engine.details
    status = check_failures(failures, arguments.max_failures, "descriptions", details)
    if status == 0:
        images = [s.loaded for s in described if isinstance(s.loaded, Image)]
        rows = training_rows(subjects, output.options, output.card)
        write_rows(arguments.descriptions, (subject.to_row() for subject in described))
        output.write(rows, output.held_out(images, arguments.seed))
    return status


if __name__ == "__main__":
    cli.run_and_exit(main)
