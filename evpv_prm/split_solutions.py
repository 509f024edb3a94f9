"""Give the labelled solutions of VisualProcessBench their pids and divide them into shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.data.step_records import read_step_records
from evpv_prm.split_questions import add_outputs_option, write_shards


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see --help."""
    parser = cli.parser(__doc__, "split_solutions")
    parser.add_argument("--solutions", type=Path, required=True, help="benchmark file (JSONL)")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="take its first N records; default: all"
    )
    add_outputs_option(parser)
    arguments = parser.parse_args(argv)
    solutions = read_step_records(arguments.solutions, arguments.limit)
    write_shards(arguments.solutions, "solutions", solutions, arguments.outputs)
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
