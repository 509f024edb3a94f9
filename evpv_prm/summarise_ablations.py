"""Compare the configurations of the ablation suite with their references.

Reads the judgements of vpbench_ablation_runner and, from its --ask-all, what was asked for, and
writes one JSON document: for each configuration the macro-F1 over all steps, its difference to the
baseline (for the policies on parse failures: to free decoding) with a paired 95 % interval, and the
p-value of a paired randomisation test, corrected for the number of comparisons by Holm's method.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.data.ablated_records import read_ablated_records
from evpv_prm.jsonl import read_document, write_json
from evpv_prm.metrics.ablation_file import Asked, RequestsReport
from evpv_prm.metrics.ablation_summary import summarise


def add_up(reports: Iterable[RequestsReport]) -> dict[str, Asked]:
    """Return what the shards asked for together, by configuration and, as "", in total."""
    sums: dict[str, Asked] = {}
    for report in reports:
        for name, asked in [*report.configurations.items(), ("", report.asked)]:
            so_far = sums.get(name, Asked())
            sums[name] = Asked(
                requests=so_far.requests + asked.requests,
                distinct=so_far.distinct + asked.distinct,
                new=so_far.new + asked.new,
            )
    return sums


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see --help."""
    arguments = _parser().parse_args(argv)
    judged = read_ablated_records(arguments.predictions)
    asked = add_up(read_document(path, RequestsReport) for path in arguments.requests)
    samples, seed = arguments.bootstrap_samples, arguments.seed
    metrics = summarise(judged, asked, samples=samples, seed=seed)
    write_json(arguments.output, metrics.model_dump(mode="json"))
    print(f"{len(metrics.configurations)} configurations: {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "summarise_ablations")
    parser.add_argument(
        "--predictions", nargs="+", type=Path, required=True, metavar="P.jsonl",
        help="files of judged solutions, all configurations that are to be compared",
    )  # fmt: skip
    parser.add_argument(
        "--requests", nargs="+", type=Path, default=[], metavar="R.json",
        help="what was asked for, of every shard; none: not reported",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, required=True, metavar="M.json", help="metrics file to write"
    )
    cli.add_bootstrap(parser)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
