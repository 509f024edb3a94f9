"""Compare what a run has measured with what was published: a table and a figure.

Each number that the EVPV-PRM paper publishes, and what its policies reach alone, stands beside ours
with its 95 % interval, the difference and a verdict: the published number lies within the interval,
ours is above it or below it, or they are not comparable, with the reason: another policy, other
benchmarks, a part of the questions. Writes TABLE.csv, TABLE.md, TABLE.tex, FIGURE.pdf, FIGURE.png
and FIGURE.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from pathlib import Path
from string import ascii_lowercase

import pandas as pd

from evpv_prm import cli, plot_style, reports
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import read_document, write_text
from evpv_prm.metrics.bon_file import read_bon_metrics
from evpv_prm.metrics.paper_comparison import (
    GAIN,
    TENTH,
    WHOLE,
    Comparison,
    Run,
    compare,
    comparison_frame,
)
from evpv_prm.metrics.rendering import (
    MISSING,
    Table,
    gain_with_interval,
    to_latex,
    to_markdown,
    with_interval,
)
from evpv_prm.metrics.step_file import StepMetrics
from evpv_prm.plots.paper_comparison import draw_paper_comparison

NOTHING = "Nothing in this run can be compared with the paper."


def comparison_table(rows: Sequence[Comparison]) -> Table:
    """Lay out the comparisons for reading, in percent and percentage points.

    Reasons and references are long and few: the notes have them, by letter and by number.
    """
    found = dict.fromkeys(row.reason for row in rows if row.reason)
    reasons = dict(zip(found, _letters(), strict=False))
    references = {name: n for n, name in enumerate(dict.fromkeys(r.reference for r in rows), 1)}
    return Table(
        "Published numbers and ours",
        [
            *("Quantity", "Of", "On", "Published"),
            *("Ours with 95 % interval", "Difference", "Verdict"),
        ],
        [_cells(row, reasons, references) for row in rows],
        labels=3,
        notes=[
            "In percent; gains and differences in percentage points. Within the interval: our 95 % "
            "interval holds the published number, as far as its digits tell it; above, below: ours "
            "is, with all of its interval.",
            *(f"Not comparable ({letter}): {reason}." for reason, letter in reasons.items()),
            f"Published: {'; '.join(f'[{n}] {name}' for name, n in references.items())}.",
        ],
    )


def _letters() -> Iterator[str]:
    return map("".join, chain.from_iterable(product(ascii_lowercase, repeat=n) for n in (1, 2)))


def _cells(row: Comparison, reasons: Mapping[str, str], references: Mapping[str, int]) -> list[str]:
    measured, difference = row.measured, row.difference
    is_gain = row.quantity == GAIN
    text = gain_with_interval if is_gain else with_interval
    gap = MISSING if difference is None else f"{100 * difference:+.2f}".replace("-", "−")
    return [
        row.quantity,
        row.subject,
        row.benchmark,
        f"{_published(row)} [{references[row.reference]}]",
        text(measured.estimate, measured.interval),
        gap,
        f"{row.verdict} ({reasons[row.reason]})" if row.reason else row.verdict,
    ]


def _published(row: Comparison) -> str:
    """Write a number with the digits that were published, or with its error."""
    if row.tolerance >= 1:
        return f"{row.published:.0f} ± {row.tolerance:g}"
    digits = {WHOLE: 0, TENTH: 1}.get(row.tolerance, 2)
    return f"{row.published:{'+' if row.quantity == GAIN else ''}.{digits}f}"


def read_categories(path: Path) -> pd.DataFrame:
    """Read the numbers of the error categories' figure.

    Raises:
        InputError: the file cannot be read or has other columns.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(path, expected=f"cannot be read: {error}") from error
    columns = {"level", "category", "share", "ci95_low", "ci95_high"}
    if missing := sorted(columns - set(frame.columns)):
        raise InputError(path, expected=f"expected the columns {', '.join(missing)}")
    return frame


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    arguments = _parser().parse_args(argv)
    policies = read_bon_metrics(reports.named_files("--best-of-n", arguments.best_of_n))
    known = next(iter(policies.values())).aggregations
    if arguments.aggregation not in known:
        expected = f"expected one of {', '.join(known)}, found {arguments.aggregation!r}"
        raise UserError(f"--aggregation: {expected}")
    steps, categories = arguments.step_level, arguments.error_categories
    rows = compare(
        Run(
            best_of_n=policies,
            aggregation=arguments.aggregation,
            steps=read_document(steps, StepMetrics) if steps else None,
            categories=read_categories(categories) if categories else None,
            caution=arguments.note,
        )
    )
    frame = comparison_frame(rows)
    for path, text in _texts(arguments, rows, frame):
        write_text(path, text)
    with plot_style.style():
        figure = draw_paper_comparison(frame, arguments.note, arguments.width_in)
        plot_style.save(figure, arguments.output_stem, arguments.dpi)
    counts = frame["verdict"].value_counts()
    print(", ".join(f"{verdict} {count}" for verdict, count in counts.items()))
    return 0


def _texts(
    arguments: argparse.Namespace, rows: Sequence[Comparison], frame: pd.DataFrame
) -> Iterator[tuple[str, str]]:
    tables = [comparison_table(rows)]
    is_comparable = any(row.verdict != "not comparable" for row in rows)
    cautions = [arguments.note or "", "" if is_comparable else NOTHING]
    note = " ".join(filter(None, cautions)) or None
    numbers = frame.to_csv(index=False, lineterminator="\n")
    yield f"{arguments.output_stem}.csv", numbers
    yield f"{arguments.table_stem}.csv", numbers
    yield f"{arguments.table_stem}.md", to_markdown(tables, note)
    yield f"{arguments.table_stem}.tex", to_latex(tables, note)


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "compare_with_paper")
    parser.add_argument(
        "--best-of-n", nargs="+", required=True, metavar="NAME=M.json",
        help="metrics files of compute_bon_metrics and the names of their policies",
    )  # fmt: skip
    parser.add_argument(
        "--step-level", type=Path, metavar="M.json",
        help="metrics file of compute_step_metrics, of solutions judged with a caption",
    )  # fmt: skip
    parser.add_argument(
        "--error-categories", type=Path, metavar="FILE.csv",
        help="numbers of the figure of error_categories",
    )  # fmt: skip
    parser.add_argument(
        "--aggregation", default="geometric_mean", metavar="NAME",
        help="aggregation of the scores that choose (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--note", metavar="TEXT",
        help="a sentence that must stand by the table, because of which nothing can be compared",
    )  # fmt: skip
    parser.add_argument(
        "--table-stem", type=Path, required=True, metavar="STEM",
        help="path of the table's files without their suffix; --output-stem: of the figure's",
    )  # fmt: skip
    plot_style.add_figure_options(parser)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
