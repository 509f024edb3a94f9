"""Write labelled solutions of synthetic diagram questions as VisualPRM400K has them.

DIR gets `annotations/…` (three files, the records shuffled), `images/SUBSET/…` and `truth.jsonl`:
for every question its picture (the SHA-256 of the file), a description, a caption and its solutions
with each step's label, error and evidence. One picture is missing, and some solutions have no
partner. The questions are of the training split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.diagrams.draw import png
from evpv_prm.diagrams.make_world import add_world_options
from evpv_prm.diagrams.visualprm import Subject, annotation_rows, make_subjects
from evpv_prm.jsonl import atomic_write, write_rows

FEWEST = 3
"""Below so many questions, a subset would have no pairs."""


def write_tree(directory: Path, subjects: Sequence[Subject], seed: int) -> None:
    """Write the pictures first and then the files that name them."""
    truth = []
    for subject in subjects:
        content = png(subject.problem.diagrams[0])
        truth.append(subject.truth_row(hashlib.sha256(content).hexdigest()))
        if subject.has_image:
            path = directory / "images" / subject.subset / subject.image
            with atomic_write(path, durable=False) as stream:
                stream.write(content)
    write_rows(directory / "truth.jsonl", truth)
    for file, rows in annotation_rows(subjects, seed).items():
        write_rows(directory / "annotations" / file, rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "diagrams.make_visualprm")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--questions-per-subset", type=cli.at_least(FEWEST), default=8, metavar="N",
        help="questions of each of the three subsets (default: %(default)s)",
    )  # fmt: skip
    add_world_options(parser)
    arguments = parser.parse_args(argv)
    seed = arguments.seed
    subjects = make_subjects(arguments.questions_per_subset, seed, arguments.difficulty)
    write_tree(arguments.output, subjects, seed)
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
