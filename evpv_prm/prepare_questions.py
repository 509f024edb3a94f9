"""Select a benchmark's questions from its file and give each a pid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.data.questions import read_questions
from evpv_prm.jsonl import write_rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see --help."""
    parser = cli.parser(__doc__, "prepare_questions")
    parser.add_argument("--questions", type=Path, required=True, help="benchmark file (JSONL)")
    parser.add_argument(
        "--datasource", help="take this datasource alone; default and '*': the whole file"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="take its first N questions; default: all"
    )
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    arguments = parser.parse_args(argv)
    questions = read_questions(arguments.questions, arguments.datasource, arguments.limit)
    write_rows(arguments.output, (question.to_row() for question in questions))
    print(f"{arguments.output}: {len(questions):,} questions")
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
