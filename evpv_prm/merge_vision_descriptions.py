"""Add the teacher's descriptions to labelled solutions, by image and question.

Writes the records of each file with `image_describe`: the description of the record's image in view
of its question, or null where there is none. The report counts those and names them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evpv_prm import cli
from evpv_prm.data.descriptions import Description, read_descriptions
from evpv_prm.data.pair_records import read_pair_records
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_json, write_rows


class Report:
    """Counts of one run; `missing` holds the records without description by image and question."""

    def __init__(self) -> None:
        self.records = 0
        self.missing: Counter[tuple[str, str]] = Counter()

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "records": self.records,
            "described": self.records - self.missing.total(),
            "missing": [
                {"image": image, "question": question, "records": records}
                for (image, question), records in self.missing.items()
            ],
        }


def merge(path: Path, descriptions: Mapping[str, Description], report: Report) -> Iterator[Any]:
    """Yield the rows of a file with their descriptions; count them in the report."""
    for record in read_pair_records(path):
        report.records += 1
        found = descriptions.get(record.image_key)
        if found is None:
            report.missing[record.image, record.question] += 1
        yield {**record.row, "image_describe": None if found is None else found.image_description}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "merge_vision_descriptions")
    parser.add_argument(
        "--pairs", type=Path, nargs="+", required=True, help="JSONL files of labelled solutions"
    )
    parser.add_argument(
        "--descriptions", type=Path, required=True, help="JSONL file of build_vision_sft_data"
    )
    parser.add_argument(
        "--outputs", type=Path, nargs="+", required=True, metavar="FILE",
        help="JSONL files to write, one for each of --pairs",
    )  # fmt: skip
    parser.add_argument("--report", type=Path, required=True, help="JSON report to write")
    arguments = parser.parse_args(argv)
    if len(arguments.outputs) != len(arguments.pairs):
        raise UserError(
            f"--outputs: expected one for each of --pairs ({len(arguments.pairs)}), "
            f"found {len(arguments.outputs)}"
        )
    descriptions = read_descriptions(arguments.descriptions)
    report = Report()
    for path, output in zip(arguments.pairs, arguments.outputs, strict=True):
        write_rows(output, merge(path, descriptions, report))
    counts = report.to_json()
    write_json(arguments.report, counts)
    without = counts["records"] - counts["described"]
    print(
        f"{counts['records']:,} records, {without:,} without description "
        f"({len(counts['missing']):,} images with their questions; see {arguments.report})"
    )
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
