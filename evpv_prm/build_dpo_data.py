"""Write the data of the preference training: right descriptions against spoilt ones.

Reads the teacher's descriptions (of build_vision_sft_data) and writes rows of ms-swift: messages
that end in the chosen answer, rejected_response, images, and `corruption` ({source, errors: [{kind,
original, replacement}]}), which ms-swift leaves out. The rejected answer is the chosen one with
plausible errors: by fixed rules (numbers, relations, labels, counts), or, with --corrupted-by
teacher, by the teacher; only then does the command take the engine's flags.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evpv_prm import cli, prompts
from evpv_prm.config_teacher import Preferences, TrainingFiles
from evpv_prm.data.cards import DataCard
from evpv_prm.data.corruptions import Corruption, corrupt, parse_noise
from evpv_prm.data.descriptions import Description, description_turns, read_descriptions
from evpv_prm.data.training_files import ImageFolder, TrainingRow, training_row
from evpv_prm.engine.base import Failure, Image
from evpv_prm.engine.command import add_engine_options, add_seed_option, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.options import add_options, read_options
from evpv_prm.teacher import ask_until_valid, teacher_request
from evpv_prm.training_output import TrainingOutput, add_output_options


@dataclass
class Preference:
    """A description, its image, and the description with errors."""

    description: Description
    image: Image
    corruption: Corruption | Failure


def select(
    descriptions: Iterable[Description], images: ImageFolder, card: DataCard
) -> list[Preference]:
    """Return the descriptions whose image can be used; the others are counted by reason."""
    preferences = []
    for description in descriptions:
        card.records += 1
        image = images.load(description.image)
        if isinstance(image, Failure):
            card.dropped[image.kind] += 1
        else:
            preferences.append(Preference(description, image, Failure("not_asked")))
    return preferences


def corrupt_by_rules(preferences: Iterable[Preference], max_errors: int, seed: int) -> None:
    """Fill in the corruptions; a description with nothing to change is "nothing_to_corrupt"."""
    for preference in preferences:
        text, key = preference.description.image_description, preference.description.key
        found = corrupt(text, key, seed, max_errors)
        preference.corruption = found or Failure("nothing_to_corrupt")


def corrupt_by_teacher(
    preferences: Sequence[Preference], engine: StoredEngine, options: Preferences, seed: int
) -> None:
    """Fill in the corruptions that the teacher makes."""
    requests = []
    for preference in preferences:
        text, key = preference.description.image_description, preference.description.key
        prompt = prompts.noise(text, max_errors=options.max_errors)
        requests.append(
            teacher_request("noise", prompt, preference.image, options.decoding, seed, key)
        )

    def check(index: int, text: str) -> Corruption | Failure:
        chosen = preferences[index].description.image_description
        return parse_noise(text, chosen, options.max_errors)

    found = ask_until_valid(engine, requests, check, options.attempts, "teacher corrupts")
    for preference, corruption in zip(preferences, found, strict=True):
        preference.corruption = corruption


def training_rows(
    preferences: Iterable[Preference], source: str, files: TrainingFiles, card: DataCard
) -> Iterator[tuple[Image, TrainingRow]]:
    """Yield the training rows; what gives none is counted by its reason."""
    for preference in preferences:
        corruption, description = preference.corruption, preference.description
        if isinstance(corruption, Failure):
            card.dropped[f"{source}:{corruption.kind}"] += 1
            continue
        prompt, chosen = description_turns(
            description.question, description.image_description, files
        )
        _, rejected = description_turns(description.question, corruption.text, files)
        row = training_row(prompt, chosen, description.image)
        if isinstance(row, Failure):
            card.dropped[row.kind] += 1
            continue
        errors = [error.to_json() for error in corruption.errors]
        row |= {
            "rejected_response": rejected,
            "corruption": {"source": source, "errors": errors},
        }
        kinds = [error.kind for error in corruption.errors]
        yield preference.image, TrainingRow(row, {"error": kinds})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    chooser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_options(chooser, Preferences)
    choice = read_options(chooser.parse_known_args(argv)[0], Preferences)

    parser = cli.parser(__doc__, "build_dpo_data")
    parser.add_argument(
        "--descriptions", type=Path, required=True, help="JSONL file of build_vision_sft_data"
    )
    add_output_options(parser)
    add_options(parser, Preferences)
    if choice.corrupted_by == "teacher":
        add_engine_options(parser)
    else:
        add_seed_option(parser)
    arguments = parser.parse_args(argv)
    options = read_options(arguments, Preferences)
    output = TrainingOutput(arguments, "Preference training: descriptions, right and spoilt")

    descriptions = read_descriptions(arguments.descriptions).values()
    preferences = select(descriptions, ImageFolder(arguments.images), output.card)
    if options.corrupted_by == "teacher":
        with open_engine(arguments) as engine:
            corrupt_by_teacher(preferences, engine, options, arguments.seed)
        found = (preference.corruption for preference in preferences)
        failures = [[one.kind] if isinstance(one, Failure) else [] for one in found]
        allowed, details = arguments.max_failures, engine.details
        if status := check_failures(failures, allowed, "corruptions", details):
            return status
    else:
        corrupt_by_rules(preferences, options.max_errors, arguments.seed)
    spoilt = [p for p in preferences if isinstance(p.corruption, Corruption)]
    rows = training_rows(preferences, options.corrupted_by, output.options, output.card)
    output.write(rows, output.held_out((p.image for p in spoilt), arguments.seed))
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
