"""Make the tables of the results from metrics files: CSV with every number, Markdown and LaTeX."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from evpv_prm import cli, reports
from evpv_prm.jsonl import write_text
from evpv_prm.metrics.ablation_file import read_ablation_metrics
from evpv_prm.metrics.ablation_tables import ablation_tables, ablations_frame
from evpv_prm.metrics.bon_file import read_bon_metrics
from evpv_prm.metrics.bon_frame import tidy_frame
from evpv_prm.metrics.bon_tables import best_of_n_tables
from evpv_prm.metrics.claims_file import read_claims
from evpv_prm.metrics.claims_tables import claims_frame, claims_tables
from evpv_prm.metrics.corruption_file import read_corruption_metrics
from evpv_prm.metrics.corruption_tables import corruption_frame, corruption_tables
from evpv_prm.metrics.gate_file import read_gate_metrics
from evpv_prm.metrics.gate_frame import gate_frame
from evpv_prm.metrics.gate_tables import gate_tables
from evpv_prm.metrics.intervention_file import read_intervention_metrics
from evpv_prm.metrics.intervention_tables import intervention_frame, intervention_tables
from evpv_prm.metrics.rendering import Table, to_latex, to_markdown
from evpv_prm.metrics.stage_file import read_stage_metrics
from evpv_prm.metrics.stage_tables import stage_frame, stage_tables
from evpv_prm.metrics.step_file import read_step_metrics
from evpv_prm.metrics.step_frame import step_level_frame
from evpv_prm.metrics.step_tables import comparison_table, step_level_tables
from evpv_prm.published import PUBLISHED

Tabulate: TypeAlias = Callable[[Mapping[str, Path]], tuple[list[Table], pd.DataFrame]]
"""From metrics files by name to tables for reading and a frame with every number."""


def best_of_n(files: Mapping[str, Path]) -> tuple[list[Table], pd.DataFrame]:
    """Tabulate Pass@k, majority vote and BoN@k for each policy and benchmark."""
    metrics = read_bon_metrics(files)
    return best_of_n_tables(metrics), tidy_frame(metrics)


def ablations(files: Mapping[str, Path]) -> tuple[list[Table], pd.DataFrame]:
    """Tabulate what each configuration of the ablation suite changes, and what it asks for."""
    metrics = read_ablation_metrics(files)
    return ablation_tables(metrics), ablations_frame(metrics)


def step_level(files: Mapping[str, Path]) -> tuple[list[Table], pd.DataFrame]:
    """Tabulate the verification of labelled steps beside published results."""
    metrics = read_step_metrics(files)
    tables = [comparison_table(metrics, PUBLISHED), *step_level_tables(metrics)]
    return tables, step_level_frame(metrics, PUBLISHED)


def corruption(files: Mapping[str, Path]) -> tuple[list[Table], pd.DataFrame]:
    """Tabulate the verification of steps with corrupted captions."""
    metrics = read_corruption_metrics(files)
    return corruption_tables(metrics), corruption_frame(metrics)


def gate(files: Mapping[str, Path]) -> tuple[list[Table], pd.DataFrame]:
    """Tabulate how reliable visual facts are and what the gate makes of it."""
    metrics = read_gate_metrics(files)
    return gate_tables(metrics), gate_frame(metrics)


def intervention(files: Mapping[str, Path]) -> tuple[list[Table], pd.DataFrame]:
    """Tabulate answers and step scores with and without what there is to see."""
    metrics = read_intervention_metrics(files)
    return intervention_tables(metrics), intervention_frame(metrics)


def stage_gains(files: Mapping[str, Path]) -> tuple[list[Table], pd.DataFrame]:
    """Tabulate what each training adds to the verifier."""
    metrics = read_stage_metrics(files)
    return stage_tables(metrics), stage_frame(metrics)


def claims(files: Mapping[str, Path]) -> tuple[list[Table], pd.DataFrame]:
    """Tabulate the method's claims with their verdicts."""
    found = read_claims(files)
    return claims_tables(found), claims_frame(found)


TABLES: dict[str, Tabulate] = {
    "best-of-n": best_of_n,
    "step-level": step_level,
    "corruption": corruption,
    "ablations": ablations,
    "gate": gate,
    "intervention": intervention,
    "stage-gains": stage_gains,
    "claims": claims,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Write one kind of tables to STEM.csv, STEM.md and STEM.tex."""
    arguments = _parser().parse_args(argv)
    tabulate: Tabulate = arguments.make
    tables, frame = tabulate(reports.named_files("--metrics", arguments.metrics))
    texts = {
        "csv": frame.to_csv(index=False, lineterminator="\n"),
        "md": to_markdown(tables, arguments.note),
        "tex": to_latex(tables, arguments.note),
    }
    for suffix, text in texts.items():
        write_text(f"{arguments.output_stem}.{suffix}", text)
    print(f"{arguments.output_stem}.{{{','.join(texts)}}}")
    return 0


def _parser() -> argparse.ArgumentParser:
    whole, parts = reports.parser(__doc__, "tables", TABLES)
    for part in parts.values():
        reports.add_stem(part)
        part.add_argument("--note", metavar="TEXT", help="a sentence that must stand by the table")
    return whole


if __name__ == "__main__":
    cli.run_and_exit(main)
