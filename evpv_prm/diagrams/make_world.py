"""Write a small world of synthetic diagram questions in the real benchmarks' formats.

DIR gets `benchmarks.jsonl` (one picture a question), `mmmu.jsonl` (two), `visualprocessbench.jsonl`
(a labelled solution of every question), `facts.jsonl` (what is true: all facts of every picture and
a right solution) and `images/DATASOURCE/NNN.png`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.diagrams.draw import png
from evpv_prm.diagrams.processbench import process_rows
from evpv_prm.diagrams.world import MULTI_IMAGE, Problem, make_world
from evpv_prm.errors import UserError
from evpv_prm.jsonl import atomic_write, write_rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = cli.parser(__doc__, "diagrams.make_world")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--questions-per-datasource",
        type=int,
        default=8,
        metavar="N",
        help="questions of each of the four datasources (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same files (default: 0)"
    )
    arguments = parser.parse_args(argv)
    if arguments.questions_per_datasource < 1:
        raise UserError("--questions-per-datasource: expected at least 1")
    problems = make_world(arguments.questions_per_datasource, arguments.seed)
    write_world(arguments.output, problems, arguments.seed)
    return 0


def write_world(directory: Path, problems: Sequence[Problem], seed: int) -> None:
    """Write the pictures first and then the files that name them."""
    truth = []
    for problem in problems:
        digests = []
        for path, diagram in zip(problem.images, problem.diagrams, strict=True):
            content = png(diagram)
            digests.append(hashlib.sha256(content).hexdigest())
            with atomic_write(directory / "images" / path) as stream:
                stream.write(content)
        truth.append(problem.truth_row(digests))
    single = [problem for problem in problems if problem.datasource != MULTI_IMAGE]
    multi = [problem for problem in problems if problem.datasource == MULTI_IMAGE]
    write_rows(directory / "facts.jsonl", truth)
    write_rows(directory / "benchmarks.jsonl", (problem.benchmark_row() for problem in single))
    write_rows(directory / "mmmu.jsonl", (problem.benchmark_row() for problem in multi))
    write_rows(directory / "visualprocessbench.jsonl", process_rows(problems, seed))


if __name__ == "__main__":
    sys.exit(cli.run(main))
