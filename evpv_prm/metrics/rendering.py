"""Tables of texts as Markdown, and back, and as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evpv_prm.metrics.metrics_file import Interval

_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "–": "--",
    "…": r"\dots{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


MISSING = "–"
"""What stands where there is no number."""


@dataclass(frozen=True)
class Table:
    """A table of texts with its title and the notes under it.

    The first `labels` columns name the rows; the first of several groups them.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int
    notes: Sequence[str] = ()


def percent(fraction: float | None) -> str:
    """Return a fraction in percent with one decimal."""
    return MISSING if fraction is None else f"{100 * fraction:.1f}"


def probability(value: float | None) -> str:
    """Return a p-value with three decimals."""
    if value is None:
        return MISSING
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def difference(fraction: float) -> str:
    """Return a difference of fractions in percentage points with one decimal."""
    text = f"{100 * fraction:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def with_interval(fraction: float | None, interval: Interval | None) -> str:
    """Return a fraction in percent with its interval."""
    if fraction is None or interval is None:
        return MISSING
    low, high = interval
    return f"{percent(fraction)} [{percent(low)}, {percent(high)}]"


def gain_with_interval(fraction: float | None, interval: Interval | None) -> str:
    """Return a signed difference of fractions in percentage points with its interval."""
    if fraction is None or interval is None:
        return MISSING
    low, high = interval
    estimate = difference(fraction)
    sign = "" if estimate.startswith("−") or estimate == "0.0" else "+"
    return f"{sign}{estimate} [{difference(low)}, {difference(high)}]"


def to_markdown(tables: Sequence[Table], note: str | None = None) -> str:
    """Return the tables as Markdown, `note` above them."""
    return "\n".join([*([f"> {_one_line(note)}\n"] if note else []), *map(_markdown, tables)])


def _markdown(table: Table) -> str:
    rule = [":--" if index < table.labels else "--:" for index in range(len(table.columns))]
    cells = [[cell.replace("|", r"\|") for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in (table.columns, rule, *cells)]
    notes = [f"\n{note}" for note in table.notes]
    return "\n".join([f"**{table.title}**", "", *lines, *notes, ""])


def from_markdown(text: str) -> tuple[str | None, list[Table]]:
    """Return the note and the tables of a text of `to_markdown`."""
    note: str | None = None
    tables: list[Table] = []
    for block in text.split("\n\n"):
        first, *lines = block.strip("\n").split("\n")
        if first.startswith("> "):
            note = first[2:]
        elif first.startswith("**") and first.endswith("**"):
            tables.append(Table(first[2:-2], (), (), 0, []))
        elif first.startswith("| ") and tables:
            rule, *rows = map(_cells, lines)
            tables[-1] = replace(
                tables[-1], columns=_cells(first), rows=rows, labels=rule.count(":--")
            )
        elif first and tables:
            tables[-1] = replace(tables[-1], notes=[*tables[-1].notes, first])
    return note, tables


def _cells(line: str) -> list[str]:
    return [cell.replace(r"\|", "|") for cell in re.split(r" (?<!\\)\| ", f" {line} ")[1:-1]]


def to_latex(tables: Sequence[Table], note: str | None = None) -> str:
    """Return the tables as floats that need the package booktabs, `note` in each caption."""
    head = "% Needs \\usepackage{booktabs}.\n"
    return head + "\n".join(_latex(table, note) for table in tables)


def _latex(table: Table, note: str | None) -> str:
    body, group = [], None
    for row in table.rows:
        if table.labels > 1:
            if group is not None and row[0] != group:
                body.append(r"\midrule")
            row, group = ["" if row[0] == group else row[0], *row[1:]], row[0]
        body.append(_latex_row(row))
    caption = f"{table.title}. {_one_line(note)}" if note else f"{table.title}."
    alignment = "l" * table.labels + "r" * (len(table.columns) - table.labels)
    tabular = [r"\toprule", _latex_row(table.columns), r"\midrule", *body, r"\bottomrule"]
    notes = [rf"  \par\smallskip\raggedright {escape_latex(note)}" for note in table.notes]
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"  \centering",
            r"  \scriptsize\setlength{\tabcolsep}{3pt}",
            rf"  \caption{{{escape_latex(caption)}}}",
            rf"  \begin{{tabular}}{{{alignment}}}",
            *(f"    {line}" for line in tabular),
            r"  \end{tabular}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def escape_latex(text: str) -> str:
    """Return a plain text so that LaTeX prints it."""
    return "".join(_LATEX_ESCAPES.get(character, character) for character in text)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(escape_latex(cell) for cell in cells) + r" \\"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
