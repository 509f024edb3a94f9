"""Judge labelled solutions in configurations of the ablation suite, or ask for all at once.

With --configuration, writes each record with the verifier's judgements in that configuration, as
step_verifier does, and its name and settings; with --all, a file NAME.jsonl for each of them into a
folder. With --ask-all, asks for the captions of all configurations, then for all their judgements,
in one engine start, and writes how many requests each has, how many of them differ, and how many
none before it has; a later --all --stored-only finds the replies in the store.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from evpv_prm import cli
from evpv_prm.ablation_requests import cases, has_failed, judge_cases
from evpv_prm.ablations import SUITE, Ablation, find
from evpv_prm.config_judge import JudgeReply
from evpv_prm.config_step_level import AblationSuite, StepJudging
from evpv_prm.data.ablated_records import AblatedRecord
from evpv_prm.data.step_records import read_step_records
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import Statistics
from evpv_prm.jsonl import write_json, write_rows
from evpv_prm.metrics.ablation_file import Asked, RequestsReport
from evpv_prm.options import add_options, read_options
from evpv_prm.spread import spread
from evpv_prm.step_judging import load_solutions


def suite_table() -> str:
    """Return the suite as a table: name, group, what differs from the baseline, compared with."""
    rows = [(a.name, a.group, a.differs_in(), a.compared_with, ", ".join(a.aliases)) for a in SUITE]
    return tabulate(rows, ["name", "group", "differs in", "compared with", "also called"])


def requests_report(statistics: Statistics, asked: Mapping[str, Asked]) -> RequestsReport:
    """Return what was asked for."""
    return RequestsReport(
        asked=Asked(
            requests=statistics.requested, distinct=statistics.distinct, new=statistics.distinct
        ),
        configurations=dict(asked),
        engine=dataclasses.asdict(statistics),
    )


def requests_table(report: RequestsReport) -> str:
    """Return the requests by configuration and in total as a table."""
    rows = [*report.configurations.items(), ("all together", report.asked)]
    cells = [(name, asked.requests, asked.distinct, asked.new) for name, asked in rows]
    return tabulate(cells, ["configuration", "requests", "distinct", "new"])


class _PrintSuite(argparse.Action):
    """Print the suite and exit, whatever else is asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(suite_table())
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    arguments = _parser().parse_args(argv)
    # All requests together take much memory: where they need not be one wave, they come in turn.
    batches: Sequence[Sequence[Ablation]] = [(ablation,) for ablation in SUITE]
    if arguments.ask_all:
        batches = [SUITE]
    elif arguments.configuration:
        batches = [(find(arguments.configuration),)]
    judging, reply = read_options(arguments, StepJudging), read_options(arguments, JudgeReply)
    suite = read_options(arguments, AblationSuite)
    seeds = range(arguments.seed, arguments.seed + suite.repetitions)

    solutions = [
        solution
        for file in arguments.benchmark
        for solution in load_solutions(
            spread(read_step_records(file), suite.limit), arguments.images
        )
    ]
    asked: dict[str, Asked] = {}
    records: list[AblatedRecord] = []
    with open_engine(arguments) as engine:
        for batch in batches:
            judged, counts = judge_cases(cases(solutions, batch, seeds), engine, judging, reply)
            records += judged
            asked |= counts
    report = requests_report(engine.statistics, asked)
    print(requests_table(report))
    status = _check_failures(records, arguments.max_failures, engine.details)
    if status == 0 and arguments.ask_all:
        write_json(arguments.output, report.model_dump(mode="json"))
    elif status == 0:
        rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            rows[f"{record.ablation_name}.jsonl" if arguments.all else ""].append(record.to_row())
        for file, found in rows.items():
            write_rows(arguments.output / file, found)
    return status


def _check_failures(
    records: Iterable[AblatedRecord], allowed: float, details: Mapping[str, str]
) -> int:
    """Return the exit status; a configuration cannot hide its failures among the other ones."""
    failures: defaultdict[str, list[list[str]]] = defaultdict(list)
    for record in records:
        failures[record.ablation_name].append(record.failures if has_failed(record) else [])
    return max(
        check_failures(found, allowed, f"solutions of {name}", details)
        for name, found in failures.items()
    )


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "vpbench_ablation_runner")
    parser.add_argument(
        "--benchmark", type=Path, nargs="+", required=True, metavar="V.jsonl",
        help="JSONL files of labelled solutions, in the order of the output",
    )  # fmt: skip
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="PATH",
        help="what to write: a JSONL file, with --all a folder of them, with --ask-all a JSON file",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--configuration", metavar="NAME", help="the configuration to judge in")
    what.add_argument("--all", action="store_true", help="judge in all, one after the other")
    what.add_argument("--ask-all", action="store_true", help="ask for all configurations")
    what.add_argument("--list", action=_PrintSuite, nargs=0, help="print the suite and exit")
    add_options(parser, AblationSuite)
    add_options(parser, StepJudging)
    add_options(parser, JudgeReply)
    add_engine_options(parser)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
