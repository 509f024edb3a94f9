"""Draw what the stages of a run took: wall time, and GPU time or CPU time.

Reads the files that Snakemake's `benchmark:` leaves, RULE.tsv or RULE/.../NAME.tsv in one folder:
the last successful run of every job, without attempts that failed. Writes STEM.pdf, STEM.png, and
the numbers as STEM.csv: stage, jobs, wall_s and cpu_s (sums over the jobs, in seconds), gpu_s (wall
time times the GPUs that the job asks for), peak_mb (largest resident memory of a job, in MiB).
Stages run at the same time: the sum of their wall times is more than the run took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evpv_prm import cli, plot_style
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import read_document, write_text
from evpv_prm.provenance import Provenance

COLUMNS = ("stage", "jobs", "wall_s", "cpu_s", "gpu_s", "peak_mb")
UNITS = ((3600 * 10, 3600, "h"), (60 * 10, 60, "min"), (0, 1, "s"))
"""From how many seconds a unit is used, its seconds, its name."""

_SHOWN = 16
_ROW_IN, _FRAME_IN = 0.19, 0.75
_READ = {"s": "wall_s", "cpu_time": "cpu_s", "max_rss": "peak_mb"}


def read_costs(folder: Path, gpus: Mapping[str, int]) -> pd.DataFrame:
    """Return `COLUMNS` for each stage, the longest first.

    Args:
        folder: the benchmark files.
        gpus: GPUs of a job by stage, or by STAGE/NAME where they depend on the first part of its
            path; other jobs have none.

    Raises:
        InputError: a file is not a benchmark file.
        UserError: there is none.
    """
    jobs = [_job(folder, path, gpus) for path in sorted(folder.rglob("*.tsv"))]
    if not jobs:
        raise UserError(f"{folder}: no benchmark files (*.tsv)")
    stages = pd.concat(jobs).groupby("stage")
    costs = stages[["wall_s", "cpu_s", "gpu_s"]].sum()
    costs["peak_mb"] = stages["peak_mb"].max()
    costs["jobs"] = stages.size()
    ordered = costs.reset_index().sort_values(["wall_s", "stage"], ascending=[False, True])
    return ordered[list(COLUMNS)].reset_index(drop=True)


def _job(folder: Path, path: Path, gpus: Mapping[str, int]) -> pd.DataFrame:
    stage, *names = path.relative_to(folder).with_suffix("").parts
    try:
        # Snakemake writes "-" or "NA" where a job was too short to be watched.
        frame = pd.read_csv(path, sep="\t", na_values=["-", "NA"])[list(_READ)]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, expected=f"expected a benchmark file: {error}") from error
    of_name = gpus.get(f"{stage}/{names[0]}", 0) if names else 0
    job = frame.rename(columns=_READ).astype(float).assign(stage=stage)
    return job.assign(gpu_s=job["wall_s"] * gpus.get(stage, of_name))


def unit(seconds: float) -> tuple[float, str]:
    """Return the unit that suits a duration: its seconds and its name."""
    return next((size, name) for least, size, name in UNITS if seconds >= least)


def draw_costs(costs: pd.DataFrame, width_in: float) -> Figure:
    """Draw the stages' wall times, and beside them GPU times, or CPU times where there is no GPU.

    `costs` is that of `read_costs`; beyond the longest, stages are drawn as one. `width_in` inches
    is the figure's width.
    """
    drawn = _shown(costs)
    with_gpu = bool(costs["gpu_s"].sum())
    figure = Figure(figsize=(width_in, _ROW_IN * len(drawn) + _FRAME_IN), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_bars(left, drawn["wall_s"], "Wall time", plot_style.BLUE)
    second = ("gpu_s", "GPU time") if with_gpu else ("cpu_s", "CPU time")
    _draw_bars(right, drawn[second[0]], second[1], plot_style.ORANGE)
    names = [
        f"{stage} ({jobs})" if jobs > 1 else stage
        for stage, jobs in zip(drawn["stage"], drawn["jobs"], strict=True)
    ]
    left.set_yticks(range(len(drawn)), names, parse_math=False)
    left.set_ylim(len(drawn) - 0.4, -0.6)
    return figure


def _shown(costs: pd.DataFrame) -> pd.DataFrame:
    first, rest = costs.iloc[:_SHOWN], costs.iloc[_SHOWN:]
    if len(rest) < 2:
        return costs
    others = rest.drop(columns="stage").sum().to_frame().T.assign(stage=f"{len(rest)} others")
    return pd.concat([first, others.astype({"jobs": int})], ignore_index=True)


def _draw_bars(panel: Axes, seconds: pd.Series, what: str, colour: str) -> None:
    size, name = unit(float(seconds.max()))
    values = seconds / size
    panel.barh(range(len(values)), values, height=0.66, color=colour)
    panel.set_xlabel(f"{what} ({name})")
    panel.set_xlim(0, 1.16 * max(float(values.max()), 1e-9))
    for place, value in enumerate(values):
        panel.annotate(
            f"{value:.0f}" if value >= 100 else f"{value:.2g}", (value, place), (2, 0),
            textcoords="offset points", va="center", size=6,
        )  # fmt: skip
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "stage_costs")
    parser.add_argument(
        "--benchmarks", type=Path, required=True, metavar="DIR", help="folder of benchmark files"
    )
    parser.add_argument(
        "--gpus", nargs="*", default=[], type=_gpus, metavar="STAGE[/NAME]=N",
        help="GPUs that each job of a stage asks for, or each whose path goes on with NAME "
        "(default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--provenance", type=Path, metavar="FILE",
        help="provenance of the run; jobs get the GPUs that they ask for where it names a cluster "
        "or a machine with GPUs (default: they do)",
    )  # fmt: skip
    plot_style.add_figure_options(parser)
    arguments = parser.parse_args(argv)
    has_gpus = arguments.provenance is None or _has_gpus(arguments.provenance)
    costs = read_costs(arguments.benchmarks, dict(arguments.gpus) if has_gpus else {})
    stem = arguments.output_stem
    with plot_style.style():
        plot_style.save(draw_costs(costs, arguments.width_in), stem, arguments.dpi)
    write_text(f"{stem}.csv", costs.round(2).to_csv(index=False, lineterminator="\n"))
    total = costs["wall_s"].sum()
    print(f"{costs['jobs'].sum()} jobs of {len(costs)} stages, {total:.0f} s: {stem}.csv")
    return 0


def _has_gpus(path: Path) -> bool:
    record = read_document(path, Provenance)
    return bool(record.hardware.gpus or record.config.get("site"))


def _gpus(word: str) -> tuple[str, int]:
    name, _, count = word.rpartition("=")
    if not name:
        raise ValueError(word)  # argparse says which flag it belongs to
    return name, int(count)


if __name__ == "__main__":
    cli.run_and_exit(main)
