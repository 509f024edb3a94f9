"""Compute step-level metrics of judged solutions: macro-F1, AUROC and first-error accuracy.

Reads the files of one judgement (shards of `evpv_prm.step_verifier`, say) and writes one JSON
document: each source, each policy model, and all of them, as fractions in [0, 1] with the 95 %
intervals of a bootstrap over solutions. Neutral steps are left out; a judgement that failed counts
against both classes; the verdict itself decides, there is no threshold.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli, reports
from evpv_prm.data.step_records import read_judged_records
from evpv_prm.errors import UserError
from evpv_prm.metrics.step_file import StepMetrics
from evpv_prm.metrics.step_level import step_outcomes
from evpv_prm.metrics.step_summary import summarise
from evpv_prm.metrics.step_tables import step_level_tables


def compute(paths: Sequence[Path], *, samples: int, seed: int) -> StepMetrics:
    """Compute the metrics of judged solutions.

    Raises:
        InputError: as `read_judged_records`.
        UserError: no step is labelled right or wrong.
    """
    outcomes = step_outcomes(read_judged_records(paths))
    if not len(outcomes.truth):
        raise UserError(f"{paths[0]}: no step is labelled right or wrong")
    return summarise(outcomes, samples=samples, seed=seed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see --help."""
    arguments = _parser().parse_args(argv)
    samples, seed = arguments.bootstrap_samples, arguments.seed
    metrics = compute(arguments.predictions, samples=samples, seed=seed)
    reports.write_metrics(arguments, metrics, step_level_tables({"": metrics}))
    pooled = metrics.overall.pooled
    print(
        f"{pooled.n_samples} solutions, {pooled.n_steps} steps, {pooled.n_failed_steps} of them "
        f"without a verdict: {arguments.output}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "compute_step_metrics")
    parser.add_argument(
        "--predictions", nargs="+", type=Path, required=True, metavar="P.jsonl",
        help="files of judged solutions; a pid may appear once",
    )  # fmt: skip
    reports.add_metrics_output(parser)
    cli.add_bootstrap(parser)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
