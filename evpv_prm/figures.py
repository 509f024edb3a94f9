"""Draw the figures of the results from metrics files: PDF and PNG, with their numbers as CSV."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd
from matplotlib.figure import Figure

from evpv_prm import cli, plot_style, reports
from evpv_prm.jsonl import write_text
from evpv_prm.metrics.ablation_file import read_ablation_metrics
from evpv_prm.metrics.ablation_tables import ablations_frame
from evpv_prm.metrics.bon_file import read_bon_metrics
from evpv_prm.metrics.claims_file import read_claims
from evpv_prm.metrics.claims_tables import claims_frame
from evpv_prm.metrics.corruption_file import read_corruption_metrics
from evpv_prm.metrics.corruption_tables import corruption_frame
from evpv_prm.metrics.gate_file import read_gate_metrics
from evpv_prm.metrics.gate_frame import gate_frame
from evpv_prm.metrics.intervention_file import read_intervention_metrics
from evpv_prm.metrics.intervention_tables import intervention_frame
from evpv_prm.metrics.stage_file import read_stage_metrics
from evpv_prm.metrics.stage_tables import stage_frame
from evpv_prm.metrics.step_file import read_step_metrics
from evpv_prm.metrics.step_frame import step_level_frame
from evpv_prm.plots.ablation_forest import draw_ablation_forest
from evpv_prm.plots.bon_curves import bon_curves_frame, draw_bon_curves
from evpv_prm.plots.bon_gain import bon_gain_frame, draw_bon_gain
from evpv_prm.plots.claims_forest import draw_claims_forest
from evpv_prm.plots.corruption_curves import draw_corruption_curves
from evpv_prm.plots.gate import draw_gate, gate_drawn
from evpv_prm.plots.intervention import draw_intervention, intervention_drawn
from evpv_prm.plots.stage_gains import draw_stage_gains
from evpv_prm.plots.step_level import draw_step_level, step_level_drawn
from evpv_prm.published import PUBLISHED

Draw: TypeAlias = Callable[[Mapping[str, Path], argparse.Namespace], tuple[Figure, pd.DataFrame]]
"""From metrics files by name, and the arguments, to a figure and its numbers."""


def bon_curves(
    files: Mapping[str, Path], arguments: argparse.Namespace
) -> tuple[Figure, pd.DataFrame]:
    """Draw BoN@k, Pass@k and the majority vote over k, for each policy and benchmark."""
    frame = bon_curves_frame(read_bon_metrics(files), arguments.aggregation)
    return draw_bon_curves(frame, arguments.width_in), frame


def bon_gain(
    files: Mapping[str, Path], arguments: argparse.Namespace
) -> tuple[Figure, pd.DataFrame]:
    """Draw what Best-of-N adds to each policy, in the mean and by benchmark."""
    frame = bon_gain_frame(read_bon_metrics(files), arguments.aggregation)
    return draw_bon_gain(frame, arguments.width_in), frame


def ablations(
    files: Mapping[str, Path], arguments: argparse.Namespace
) -> tuple[Figure, pd.DataFrame]:
    """Draw what each configuration of the ablation suite changes in macro-F1."""
    metrics = read_ablation_metrics(files)
    return draw_ablation_forest(metrics, arguments.width_in), ablations_frame(metrics)


def step_level(
    files: Mapping[str, Path], arguments: argparse.Namespace
) -> tuple[Figure, pd.DataFrame]:
    """Draw the verification of labelled steps, by source and overall, beside published systems."""
    frame = step_level_drawn(step_level_frame(read_step_metrics(files), PUBLISHED))
    return draw_step_level(frame, arguments.width_in), frame


def corruption(
    files: Mapping[str, Path], arguments: argparse.Namespace
) -> tuple[Figure, pd.DataFrame]:
    """Draw macro-F1 over the share of captions' items that was corrupted."""
    frame = corruption_frame(read_corruption_metrics(files))
    return draw_corruption_curves(frame, arguments.width_in), frame


def gate(files: Mapping[str, Path], arguments: argparse.Namespace) -> tuple[Figure, pd.DataFrame]:
    """Draw how reliability is distributed and calibrated, and the choices that the gate changes."""
    frame = gate_drawn(gate_frame(read_gate_metrics(files)), arguments.aggregation)
    return draw_gate(frame, arguments.width_in), frame


def intervention(
    files: Mapping[str, Path], arguments: argparse.Namespace
) -> tuple[Figure, pd.DataFrame]:
    """Draw answers and step scores with and without what there is to see."""
    frame = intervention_drawn(intervention_frame(read_intervention_metrics(files)))
    return draw_intervention(frame, arguments.width_in), frame


def stage_gains(
    files: Mapping[str, Path], arguments: argparse.Namespace
) -> tuple[Figure, pd.DataFrame]:
    """Draw what the verifier sees, and how it judges, after each training."""
    metrics = read_stage_metrics(files)
    return draw_stage_gains(metrics, arguments.width_in), stage_frame(metrics)


def claims(files: Mapping[str, Path], arguments: argparse.Namespace) -> tuple[Figure, pd.DataFrame]:
    """Draw the differences behind the method's claims."""
    found = read_claims(files)
    return draw_claims_forest(found, arguments.width_in), claims_frame(found)


FIGURES: dict[str, Draw] = {
    "bon-curves": bon_curves,
    "bon-gain": bon_gain,
    "step-level": step_level,
    "corruption": corruption,
    "ablations": ablations,
    "gate": gate,
    "intervention": intervention,
    "stage-gains": stage_gains,
    "claims": claims,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Draw one figure to STEM.pdf, STEM.png and STEM.csv."""
    arguments = _parser().parse_args(argv)
    draw: Draw = arguments.make
    stem = arguments.output_stem
    with plot_style.style():
        figure, frame = draw(reports.named_files("--metrics", arguments.metrics), arguments)
        plot_style.save(figure, stem, arguments.dpi)
    write_text(f"{stem}.csv", frame.to_csv(index=False, lineterminator="\n"))
    print(f"{stem}.{{pdf,png,csv}}")
    return 0


def _parser() -> argparse.ArgumentParser:
    whole, parts = reports.parser(__doc__, "figures", FIGURES)
    for name in ("bon-curves", "bon-gain", "gate"):
        parts[name].add_argument(
            "--aggregation", default="correctness_rate", metavar="NAME",
            help="aggregation of the scores that choose (default: %(default)s)",
        )  # fmt: skip
    for part in parts.values():
        plot_style.add_figure_options(part)
    return whole


if __name__ == "__main__":
    cli.run_and_exit(main)
