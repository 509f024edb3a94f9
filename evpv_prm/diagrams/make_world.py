"""Write a synthetic world of diagram questions in the benchmarks' real formats.

DIR gets `benchmarks.jsonl` (questions about one picture), `mmmu.jsonl` (about two),
`visualprocessbench.jsonl` (labelled solutions, each of a question of its own), `facts.jsonl` (what
is true: of every question, all facts of its pictures and a right solution) and
`images/FOLDER/NNN.png`. Whatever the seeds, the splits have no picture in common.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.diagrams.draw import png
from evpv_prm.diagrams.processbench import SolvedExercise, make_solved, process_rows
from evpv_prm.diagrams.questions import PAIRS
from evpv_prm.diagrams.world import SPLITS, TEST, Exercise, make_world
from evpv_prm.jsonl import atomic_write, write_rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = cli.parser(__doc__, "diagrams.make_world")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--questions-per-datasource", type=cli.at_least(1), default=8, metavar="N",
        help="questions of each of the six datasources (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--solutions", type=cli.at_least(1), default=24, metavar="N",
        help="labelled solutions (default: %(default)s)",
    )  # fmt: skip
    add_world_options(parser)
    parser.add_argument(
        "--split", choices=SPLITS, default=TEST, help="what it is for (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    how = (arguments.seed, arguments.split, arguments.difficulty)
    exercises = make_world(arguments.questions_per_datasource, *how)
    solved = make_solved(arguments.solutions, *how)
    write_world(arguments.output, exercises, solved, arguments.seed)
    return 0


def add_world_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of everything that is drawn."""
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="the same seed gives the same files (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--difficulty", type=_dial, default=0.5, metavar="FRACTION",
        help="how hard the pictures can be to read, from 0 to 1 (default: %(default)s)",
    )  # fmt: skip


def write_world(
    directory: Path, exercises: Sequence[Exercise], solved: Sequence[SolvedExercise], seed: int
) -> None:
    """Write the pictures first and then the files that name them."""
    truth = []
    for exercise in (*exercises, *(each.exercise for each in solved)):
        digests = []
        for path, diagram in zip(exercise.images, exercise.problem.diagrams, strict=True):
            content = png(diagram)
            digests.append(hashlib.sha256(content).hexdigest())
            with atomic_write(directory / "images" / path, durable=False) as stream:
                stream.write(content)
        truth.append(exercise.truth_row(digests))
    write_rows(directory / "facts.jsonl", truth)
    for name, is_multi in (("benchmarks", False), ("mmmu", True)):
        asked = (e for e in exercises if (e.problem.datasource == PAIRS) == is_multi)
        write_rows(directory / f"{name}.jsonl", (exercise.benchmark_row() for exercise in asked))
    write_rows(directory / "visualprocessbench.jsonl", process_rows(solved, seed))


def _dial(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 1")
    return value


if __name__ == "__main__":
    cli.run_and_exit(main)
