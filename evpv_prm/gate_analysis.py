"""Analyse the reliability gate: where p lies, how well it is calibrated, and what it changes.

Reads the scored candidates of each policy and the labelled solutions that were judged with a gate
(`evpv_prm.step_verifier --gate`). Writes one JSON document: how p is distributed over both; how
often visual steps are right by their p; which choices among a question's candidates the gate
changes, for better or for worse; and of the visual steps that the judge called right, how many it
takes below 0.5, wrong ones and right ones, with the change in macro-F1.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from evpv_prm import bon_outcomes, cli, reports
from evpv_prm.data.scored import read_audits
from evpv_prm.data.step_records import JudgedRecord, read_judged_records
from evpv_prm.errors import UserError
from evpv_prm.metrics.gate import THRESHOLD
from evpv_prm.metrics.gate_file import GateMetrics
from evpv_prm.metrics.gate_summary import policy_gate, solution_gate
from evpv_prm.metrics.gate_tables import gate_tables


def analyse(
    scored: Mapping[str, Sequence[Path]],
    predictions: Sequence[Path],
    aggregations: Sequence[str],
    *,
    samples: int,
    seed: int,
    workers: int,
) -> GateMetrics:
    """Analyse the gate on the scored files of each policy and on files of gated solutions.

    Raises:
        InputError: as `read_judged_records`, `read_audits` and `bon_outcomes.read_outcomes`.
        UserError: as the latter; there is no gated solution, or no step is labelled right or wrong.
    """
    records = read_judged_records(predictions)
    _check(records, predictions[0])
    policies = {}
    for policy, files in scored.items():
        outcomes = bon_outcomes.read_outcomes(files, aggregations, workers)
        policies[policy] = policy_gate(
            read_audits(files), outcomes, aggregations, samples=samples, seed=seed
        )
    return GateMetrics(
        threshold=THRESHOLD,
        aggregations=list(aggregations),
        bootstrap_samples=samples,
        seed=seed,
        policies=policies,
        solutions=solution_gate(records, samples=samples, seed=seed),
    )


def _check(records: Sequence[JudgedRecord], path: Path) -> None:
    if all(record.final_step_scores is None for record in records):
        raise UserError(f"{path}: no solution has a gate; expected those of step_verifier --gate")
    if not any(any(record.response.process_correctness) for record in records):
        raise UserError(f"{path}: no step is labelled right or wrong")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see --help."""
    arguments = _parser().parse_args(argv)
    metrics = analyse(
        reports.grouped_files("--scored", arguments.scored),
        arguments.predictions,
        arguments.aggregations,
        samples=arguments.bootstrap_samples,
        seed=arguments.seed,
        workers=arguments.workers,
    )
    reports.write_metrics(arguments, metrics, gate_tables({"": metrics}))
    print(
        f"{sum(policy.distribution.n for policy in metrics.policies.values())} candidates, "
        f"{metrics.solutions.distribution.n} solutions: {arguments.output}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "gate_analysis")
    parser.add_argument(
        "--scored", nargs="+", required=True, metavar="NAME=S.jsonl",
        help="scored files and the names of their policies; those with the same name belong "
        "together",
    )  # fmt: skip
    parser.add_argument(
        "--predictions", nargs="+", type=Path, required=True, metavar="P.jsonl",
        help="files of gated solutions; a pid may appear once",
    )  # fmt: skip
    reports.add_metrics_output(parser)
    bon_outcomes.add_options(parser)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
