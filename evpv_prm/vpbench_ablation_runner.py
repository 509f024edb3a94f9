"""Judge labelled solutions in one configuration of the ablation suite, or ask for all at once.

With --configuration, writes each record with the verifier's judgements in that configuration, as
step_verifier does, and its name and settings. With --ask-all, asks for the captions of all
configurations, then for all their judgements, in one engine start, and writes how many requests
each has, how many of them differ, and how many were paid; every later --configuration --stored-only
finds its replies in the store.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from evpv_prm import cli
from evpv_prm.ablation_requests import AblatedRecord, Counts, cases, has_failed, judge_cases
from evpv_prm.ablations import SUITE, find
from evpv_prm.config_step_level import AblationSuite, StepJudging
from evpv_prm.data.step_records import read_step_records
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import Statistics
from evpv_prm.jsonl import write_json, write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.step_judging import load_solutions


def suite_table() -> str:
    """Return the suite as a table: name, group, what differs from the baseline, compared with."""
    rows = [(a.name, a.group, a.differs_in, a.compared_with, ", ".join(a.aliases)) for a in SUITE]
    return tabulate(rows, ["name", "group", "differs in", "compared with", "also called"])


def requests_report(statistics: Statistics, counts: Mapping[str, Counts]) -> dict[str, Any]:
    """Return what was asked for: in total, and by configuration in the suite's order.

    A reply counts as paid for the first configuration that needs it.
    """
    return {
        "total": dataclasses.asdict(statistics),
        "configurations": {name: dataclasses.asdict(count) for name, count in counts.items()},
    }


def counts_table(statistics: Statistics, counts: Mapping[str, Counts]) -> str:
    """Return requests, distinct requests and paid ones by configuration and in total."""
    rows = [(name, c.requests, c.distinct, c.paid) for name, c in counts.items()]
    total = ("all together", statistics.requested, statistics.distinct, statistics.paid)
    return tabulate([*rows, total], ["configuration", "requests", "distinct", "paid"])


class _PrintSuite(argparse.Action):
    """Print the suite and exit, whatever else is asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(suite_table())
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    arguments = _parser().parse_args(argv)
    ablations = SUITE if arguments.ask_all else (find(arguments.configuration),)
    judging = read_options(arguments, StepJudging)
    suite = read_options(arguments, AblationSuite)
    seeds = range(arguments.seed, arguments.seed + suite.repetitions)

    solutions = [
        solution
        for file in arguments.benchmark
        for solution in load_solutions(read_step_records(file), arguments.images)
    ]
    with open_engine(arguments) as engine:
        records, counts = judge_cases(cases(solutions, ablations, seeds), engine, judging)
    print(counts_table(engine.statistics, counts))
    status = _check_failures(records, arguments.max_failures)
    if status == 0 and arguments.ask_all:
        write_json(arguments.output, requests_report(engine.statistics, counts))
    elif status == 0:
        write_rows(arguments.output, (record.to_row() for record in records))
    return status


def _check_failures(records: Iterable[AblatedRecord], allowed: float) -> int:
    """Return the exit status; a configuration cannot hide its failures among the other ones."""
    failed: defaultdict[str, list[bool]] = defaultdict(list)
    for record in records:
        failed[record.ablation_name].append(has_failed(record))
    return max(
        check_failures(sum(found), len(found), allowed, f"solutions of {name}")
        for name, found in failed.items()
    )


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "vpbench_ablation_runner")
    parser.add_argument(
        "--benchmark", type=Path, nargs="+", required=True, metavar="V.jsonl",
        help="JSONL files of labelled solutions, in the order of the output",
    )  # fmt: skip
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--output", type=Path, required=True, help="file to write: JSONL, or JSON")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--configuration", metavar="NAME", help="the configuration to judge in")
    what.add_argument("--ask-all", action="store_true", help="ask for all configurations")
    what.add_argument("--list", action=_PrintSuite, nargs=0, help="print the suite and exit")
    add_options(parser, AblationSuite)
    add_options(parser, StepJudging)
    add_engine_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(cli.run(main))
