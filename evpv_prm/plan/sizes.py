"""How much there is to do: counted in the files that are there, known or estimated for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from evpv_prm.config import Config
from evpv_prm.data.questions import ANY_DATASOURCE
from evpv_prm.jsonl import read_lines, read_rows
from evpv_prm.plan.tables import Size
from evpv_prm.workflow import MANIFEST, annotation_files, question_files, solution_files

STEPS = "steps of a labelled solution"
SOLUTIONS = "labelled solutions"
TRAINING_PAIRS, TRAINING_IMAGES = "training pairs", "training images"
TRAINING_STEPS = "steps of a training solution"


Basis = Literal["known", "estimate", "unknown"]
"""Where a number comes from, the best first."""


@dataclass(frozen=True)
class Count:
    """A number of things; unknown ones are not counted."""

    number: float
    basis: Basis = "known"

    def __mul__(self, other: Count | float) -> Count:
        """Return the product, on the worse basis of the two."""
        second = other if isinstance(other, Count) else Count(other)
        worse = max(self.basis, second.basis, key=get_args(Basis).index)
        return Count(self.number * second.number, worse)

    def __add__(self, other: Count) -> Count:
        """Return the sum, on the worse basis of the two."""
        return Count(self.number + other.number, (self * other).basis)

    def at_most(self, limit: int | None) -> Count:
        """Return the smaller of the two."""
        return self if limit is None else Count(min(self.number, limit), self.basis)


UNKNOWN = Count(0, "unknown")


@dataclass(frozen=True)
class TrainingRows:
    """The rows of a training's two files."""

    train: Count
    validation: Count


@dataclass(frozen=True)
class TrainingSizes:
    """What the trainings are made of."""

    images: Count
    """They are described once each."""
    solutions: Count
    described: TrainingRows
    """Of the first training; those of the preferences are about as many."""
    judged: TrainingRows
    """Of the step judge's training."""


@dataclass(frozen=True)
class Sizes:
    """What a configuration works on."""

    questions: Mapping[str, Count]
    """By benchmark."""
    solutions: Count
    """Labelled solutions to judge."""
    steps: Count
    """Their steps."""
    training: TrainingSizes
    assumed: list[str] = field(default_factory=list)
    """One line on each count that does not come from the run's own files."""


def measure(config: Config, known: Mapping[str, Size]) -> Sizes:
    """Count what is there, and take the rest from a table of known sizes.

    Raises:
        InputError: a file of questions or solutions has a line that is not a JSON object.
    """
    assumed: list[str] = []
    look_up = _look_up(config, known, assumed)
    questions = {name: _questions(config, name, look_up) for name in config.benchmarks}
    solutions, steps = _solutions(config, look_up)
    return Sizes(questions, solutions, steps, _training(config, look_up), assumed)


def measure_training(config: Config, known: Mapping[str, Size]) -> TrainingSizes:
    """Count what the trainings are made of alone, which reads no large file."""
    return _training(config, _look_up(config, known, []))


def missing_inputs(config: Config) -> list[str]:
    """Return the files from outside without which a run of everything stops."""
    names = {benchmark.questions for benchmark in config.benchmarks.values()}
    names -= set(question_files(config, is_plan=True))
    if config.step_level and not solution_files(config, is_plan=True):
        names.add(config.step_level.solutions)
    folder = config.data_set.folder
    if config.makes_verifier and f"{folder}/{MANIFEST}" in annotation_files(config, is_plan=True):
        names.add(f"{folder}/annotations")
    return sorted(names)


LookUp = Callable[[str, str], Count]
"""Gives the known size of a thing by its name and the file or folder that would tell."""


def _look_up(config: Config, known: Mapping[str, Size], assumed: list[str]) -> LookUp:
    """Return the look-up in a table of known sizes, which adds a line to `assumed` each time."""

    def look_up(name: str, file: str) -> Count:
        if Path(file).is_relative_to(config.results):
            assumed.append(f"{name}: {file} is not made yet: not counted")
            return UNKNOWN
        size = known.get(name)
        if size is None:
            assumed.append(f"{name}: no file, and no known size: not counted")
            return UNKNOWN
        word = "known" if size.basis == "known" else "estimated"
        assumed.append(f"{name}: {size.count:,.6g}, {word}: {size.source}")
        return Count(size.count, size.basis)

    return look_up


def _questions(config: Config, name: str, look_up: LookUp) -> Count:
    benchmark = config.benchmarks[name]
    selected = Path(config.results) / "questions" / f"{name}.jsonl"
    datasource = benchmark.datasource or name
    if selected.is_file():
        return Count(sum(1 for _ in read_lines(selected))).at_most(benchmark.limit)
    if Path(benchmark.questions).is_file():
        found = _by_datasource(benchmark.questions)
        count = found.total() if datasource == ANY_DATASOURCE else found[datasource]
        return Count(count).at_most(benchmark.limit)
    known_as = name if datasource == ANY_DATASOURCE else datasource
    return look_up(known_as, benchmark.questions).at_most(benchmark.limit)


def _solutions(config: Config, look_up: LookUp) -> tuple[Count, Count]:
    """The labelled solutions and their steps."""
    if config.step_level is None:
        return Count(0), Count(0)
    file, limit = Path(config.step_level.solutions), config.step_level.limit
    if file.is_file():
        steps = [len(row["response"]["steps"]) for _, row in read_rows(file)][:limit]
        return Count(len(steps)), Count(sum(steps))
    solutions = look_up(SOLUTIONS, str(file)).at_most(limit)
    return solutions, solutions * look_up(STEPS, str(file))


def _training(config: Config, look_up: LookUp) -> TrainingSizes:
    if not config.makes_verifier:
        nothing = TrainingRows(Count(0), Count(0))
        return TrainingSizes(Count(0), Count(0), nothing, nothing)
    folder, source = Path(config.results) / "data", config.data_set.folder
    reports = [orjson.loads(path.read_bytes()) for path in folder.glob("pairs/*/report.json")]
    if reports:
        pairs = Count(sum(report["pairs"] for report in reports))
        images = Count(sum(report["images"] for report in reports))
    else:
        pairs, images = look_up(TRAINING_PAIRS, source), look_up(TRAINING_IMAGES, source)
    solutions = pairs * 2
    held_out = config.teacher_data.files.validation_fraction

    def divided(rows: Count) -> TrainingRows:
        return TrainingRows(rows * (1 - held_out), rows * held_out)

    described = _rows(folder / "vision_sft" / "card.json") or divided(images)
    judged = _rows(folder / "step_judge_sft" / "card.json")
    if judged is None:
        judged = divided(solutions * look_up(TRAINING_STEPS, source))
    return TrainingSizes(images, solutions, described, judged)


def _rows(card: Path) -> TrainingRows | None:
    if not card.is_file():
        return None
    files = orjson.loads(card.read_bytes())["files"]
    return TrainingRows(Count(files["train"]["rows"]), Count(files["validation"]["rows"]))


@cache
def _by_datasource(file: str) -> Counter[Any]:
    return Counter(row.get("datasource") for _, row in read_rows(file))
