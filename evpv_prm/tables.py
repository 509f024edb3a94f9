"""Make the tables of the results from metrics files: CSV with every number, Markdown and LaTeX."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evpv_prm.cli import run
from evpv_prm.jsonl import write_text
from evpv_prm.metrics.bon_file import read_named_metrics
from evpv_prm.metrics.bon_frame import tidy_frame
from evpv_prm.metrics.bon_tables import best_of_n_tables
from evpv_prm.metrics.rendering import to_latex, to_markdown


def write_best_of_n(arguments: argparse.Namespace) -> None:
    """Write the Best-of-N tables of all policies to STEM.csv, STEM.md and STEM.tex."""
    metrics = read_named_metrics(arguments.metrics)
    tables = best_of_n_tables(metrics)
    stem = arguments.output_stem
    texts = {
        "csv": tidy_frame(metrics).to_csv(index=False, lineterminator="\n"),
        "md": to_markdown(tables, arguments.note),
        "tex": to_latex(tables, arguments.note),
    }
    for suffix, text in texts.items():
        write_text(f"{stem}.{suffix}", text)
    print(f"{stem}.{{{','.join(texts)}}}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    arguments.write(arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evpv_prm.tables", description=__doc__)
    commands = parser.add_subparsers(title="tables", required=True)
    best_of_n = commands.add_parser(
        "best-of-n",
        help="Pass@k, majority vote and BoN@k for each policy and benchmark",
        description=write_best_of_n.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    best_of_n.set_defaults(write=write_best_of_n)
    best_of_n.add_argument(
        "--metrics", nargs="+", required=True, metavar="NAME=M.json",
        help="metrics file of each policy, in the order of the table",
    )  # fmt: skip
    best_of_n.add_argument(
        "--output-stem", type=Path, required=True, metavar="STEM",
        help="path of the files without their suffix",
    )  # fmt: skip
    best_of_n.add_argument("--note", metavar="TEXT", help="a sentence that must stand by the table")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
