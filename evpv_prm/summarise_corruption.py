"""Summarise judgements with corrupted captions: macro-F1 against the share that was corrupted.

Reads the files of evpv_prm.constraint_corruption_ablation (the shards of one run) and writes one
JSON document: for the judge with the images in view and without, macro-F1 and AUROC with the whole
caption and with each corruption, the share of items that was really changed, the paired difference
to the whole caption, and whether macro-F1 falls with that share (Spearman's correlation with its
permutation p-value). Intervals are of 95 %, from a bootstrap over records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.data.constraint_records import ConstraintRecord
from evpv_prm.errors import InputError
from evpv_prm.jsonl import read_shards, write_json
from evpv_prm.metrics.corruption_summary import summarise


def read_predictions(paths: Iterable[Path]) -> list[ConstraintRecord]:
    """Read the records of all files.

    Raises:
        InputError: an unreadable line or field; a repeated pid; ratios that differ between records;
            files without any record.
    """
    records: list[ConstraintRecord] = []
    for path, line, record in read_shards(paths, ConstraintRecord):
        records.append(record)
        found, expected = (list(r.constraint_experiments.drop) for r in (record, records[0]))
        if found != expected:
            message = f"expected the ratios of the first record, {expected}, found {found}"
            raise InputError(path, line, "constraint_experiments", expected=message)
    return records


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "summarise_corruption")
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, metavar="P.jsonl",
        help="files of judgements with corrupted captions",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    cli.add_bootstrap(parser)
    arguments = parser.parse_args(argv)
    records = read_predictions(arguments.predictions)
    metrics = summarise(records, arguments.bootstrap_samples, arguments.seed)
    write_json(arguments.output, metrics.model_dump())
    print(arguments.output)
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
