"""Compute Best-of-N metrics of scored candidates: Pass@k, BoN@k, majority vote and gains.

Reads the files of `evpv_prm.evpv_prm_inference` (the shards of one policy's candidates), judges the
final answers and writes one JSON document, fractions in [0, 1] with 95 % intervals from a bootstrap
over questions clustered by image.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli, reports
from evpv_prm.bon_outcomes import add_options, read_outcomes
from evpv_prm.metrics.bon_file import BonMetrics
from evpv_prm.metrics.bon_summary import summarise
from evpv_prm.metrics.bon_tables import best_of_n_tables
from evpv_prm.metrics.metrics_file import OVERALL


def compute(
    paths: Sequence[Path], aggregations: Sequence[str], *, samples: int, seed: int, workers: int
) -> BonMetrics:
    """Compute the metrics of scored files.

    Raises:
        InputError, UserError: as `read_outcomes`.
    """
    outcomes = read_outcomes(paths, aggregations, workers)
    return summarise(outcomes, aggregations, samples=samples, seed=seed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    metrics = compute(
        arguments.scored,
        arguments.aggregations,
        samples=arguments.bootstrap_samples,
        seed=arguments.seed,
        workers=arguments.workers,
    )
    reports.write_metrics(arguments, metrics, best_of_n_tables({"": metrics}))
    pooled = metrics.datasources[OVERALL]
    print(f"{pooled.n} questions, {pooled.n_scored} in the rates: {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "compute_bon_metrics")
    parser.add_argument(
        "--scored", nargs="+", type=Path, required=True, metavar="S.jsonl",
        help="scored files of one policy; a pid may appear once",
    )  # fmt: skip
    reports.add_metrics_output(parser)
    add_options(parser)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
