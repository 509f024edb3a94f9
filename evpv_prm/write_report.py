"""Write the report of a run: one HTML page with everything in it, and the gallery of its figures.

The report says what was run (the configuration where it is not the paper's, data, models, code,
machine, time by stage), what became of the records, what failed and why, and shows every table and
figure with its caption and its files. It needs no network and no other file. The gallery shows the
figures' files where they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from evpv_prm import cli, reports
from evpv_prm.config import load_config
from evpv_prm.errors import InputError
from evpv_prm.jsonl import read_document, write_text
from evpv_prm.metrics.ablation_file import AblationMetrics
from evpv_prm.metrics.bon_file import read_bon_metrics
from evpv_prm.metrics.corruption_file import CorruptionMetrics
from evpv_prm.metrics.intervention_file import read_intervention_metrics
from evpv_prm.metrics.step_file import read_step_metrics
from evpv_prm.provenance import Provenance
from evpv_prm.run_report import facts
from evpv_prm.run_report.accounts import Results, failures, funnels
from evpv_prm.run_report.configuration import differences
from evpv_prm.run_report.page import collect, render_gallery, render_report
from evpv_prm.stage_costs import COLUMNS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    arguments = _parser().parse_args(argv)
    exhibits = collect([*arguments.tables, *arguments.figures])
    results = _results(arguments)
    provenance = read_document(arguments.provenance, Provenance)
    config = load_config(provenance.config)
    cards = [read_document(path, facts.DataCard) for path in arguments.cards]
    inputs = read_document(arguments.inputs, facts.InputsReport)
    costs = _read_costs(arguments.costs)
    values = {
        "caution": config.diagrams.note,
        "glance": list(facts.glance(results, config, provenance, costs)),
        "run": [
            differences(config),
            *facts.data_tables(inputs, cards),
            facts.model_table(config, provenance),
            facts.software_table(provenance),
            facts.cost_table(costs),
        ],
        "funnels": funnels(results),
        "failures": failures(results),
        "written": provenance.written,
        "case_browser": arguments.case_browser,
    }
    page = render_report(arguments.output, exhibits, values)
    write_text(arguments.output, page)
    write_text(arguments.gallery, render_gallery(arguments.gallery, exhibits))
    size = len(page.encode()) / 1e6
    print(f"{arguments.output}: {len(exhibits)} tables and figures, {size:.1f} MB")
    return 0


def _results(arguments: argparse.Namespace) -> Results:
    corruption, ablations = arguments.corruption, arguments.ablations
    return Results(
        best_of_n=read_bon_metrics(reports.named_files("--best-of-n", arguments.best_of_n)),
        steps=read_step_metrics(reports.named_files("--step-level", arguments.step_level)),
        interventions=read_intervention_metrics(
            reports.named_files("--intervention", arguments.intervention)
        ),
        corruption=read_document(corruption, CorruptionMetrics) if corruption else None,
        ablations=read_document(ablations, AblationMetrics) if ablations else None,
    )


def _read_costs(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)[list(COLUMNS)]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, expected=f"expected the CSV of stage_costs: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "write_report")

    def add(flag: str, metavar: str, text: str, *, required: bool = False) -> None:
        parser.add_argument(flag, type=Path, metavar=metavar, help=text, required=required)

    def add_list(flag: str, metavar: str, text: str, *, required: bool = False) -> None:
        kind = str if metavar.startswith("NAME=") else Path
        count = "+" if required else "*"
        parser.add_argument(
            flag, nargs=count, default=[], type=kind, metavar=metavar, help=text, required=required
        )

    add("--provenance", "FILE", "provenance.json of the run", required=True)
    add("--inputs", "FILE", "report of validate_inputs, as JSON", required=True)
    add("--costs", "FILE.csv", "numbers of stage_costs", required=True)
    add_list("--best-of-n", "NAME=M.json", "metrics of each policy", required=True)
    add_list("--step-level", "NAME=M.json", "metrics of each way to judge labelled steps")
    add_list("--intervention", "NAME=M.json", "metrics of the intervention, by policy")
    add("--corruption", "M.json", "metrics with corrupted captions")
    add("--ablations", "M.json", "metrics of the ablation suite")
    add_list("--cards", "CARD.json", "cards of the training data")
    add_list("--tables", "FILE.md", "tables to show; .csv and .tex lie beside them")
    add_list("--figures", "FILE.png", "figures to show; .pdf and .csv lie beside them")
    add("--case-browser", "FILE.html", "page of the case browser, to link to")
    add("--output", "FILE.html", "report to write", required=True)
    add("--gallery", "FILE.html", "page of the figures to write", required=True)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
