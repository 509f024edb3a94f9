"""What was run: data, models, code, machine, time; and the numbers that one looks for first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from evpv_prm.config import Config, Model
from evpv_prm.metrics.rendering import (
    MISSING,
    Table,
    gain_with_interval,
    percent,
    with_interval,
)
from evpv_prm.provenance import Provenance
from evpv_prm.run_report.accounts import Results
from evpv_prm.stage_costs import unit

_DIGITS = 12  # of a digest


class InputsReport(BaseModel):
    """What `validate_inputs` reports, as far as it is shown: counts by benchmark."""

    class Inputs(BaseModel):
        """The questions and images of a benchmark, and what is wrong with them, by reason."""

        model_config = ConfigDict(frozen=True)
        questions_file: str
        questions: int
        images: int
        counts: dict[str, int]

    model_config = ConfigDict(frozen=True)
    benchmarks: dict[str, Inputs]


class DataCard(BaseModel):
    """A card of training data, as far as it is shown."""

    class Split(BaseModel):
        """One file of training data."""

        model_config = ConfigDict(frozen=True)
        rows: int
        images: int

    model_config = ConfigDict(frozen=True)
    title: str
    records_read: int
    dropped: dict[str, int]
    files: dict[str, Split]


def glance(
    results: Results, config: Config, provenance: Provenance, costs: pd.DataFrame
) -> Iterator[tuple[str, str]]:
    """Yield the numbers that one looks for first, each with its name."""
    aggregation = config.figures.aggregation
    for policy, metrics in results.best_of_n.items():
        mean, n = metrics.macro_average, metrics.num_candidates
        accuracy = percent(mean.bon_at_k["gated"][aggregation].get(str(n)))
        alone = percent(mean.random_choice)
        yield (
            f"Accuracy (%) of {policy}: alone → BoN@{n}, mean of benchmarks",
            f"{alone} → {accuracy}",
        )
        gain = mean.bon_gain["gated"][aggregation]
        yield (
            f"Gain of {policy}, points with 95 % interval",
            gain_with_interval(gain.estimate, gain.ci95),
        )
    for way, steps in results.steps.items():
        pooled = steps.overall.pooled
        name = f"Macro-F1 (%) on labelled steps, {way}"
        yield name, with_interval(pooled.macro_f1, pooled.ci95)
    yield "Wall time of all jobs", _duration(costs["wall_s"].sum())
    if gpu_s := costs["gpu_s"].sum():
        yield "GPU time", _duration(gpu_s)
    revision = (provenance.git.revision or "no git")[:_DIGITS]
    yield "Git revision", f"{revision} + changes" if provenance.git.dirty else revision


def data_tables(inputs: InputsReport, cards: Sequence[DataCard]) -> Iterator[Table]:
    """Yield the counts of the benchmarks' data and of the training data."""
    yield Table(
        "Benchmarks",
        ["Benchmark", "File", "Problems", "Questions", "Images"],
        [
            [
                name,
                found.questions_file,
                _counts(found.counts),
                f"{found.questions:,}",
                f"{found.images:,}",
            ]
            for name, found in inputs.benchmarks.items()
        ],
        labels=3,
    )
    if cards:
        yield Table(
            "Training data",
            ["Data", "Left out", "Records read", "Training rows", "Validation rows", "Images"],
            [
                [
                    card.title,
                    _counts(card.dropped),
                    f"{card.records_read:,}",
                    *(f"{card.files[split].rows:,}" for split in ("train", "validation")),
                    f"{sum(split.images for split in card.files.values()):,}",
                ]
                for card in cards
            ],
            labels=2,
        )


def model_table(config: Config, provenance: Provenance) -> Table:
    """Lay out the models, with the digests of those whose weights are files."""
    described = {"Verifier": provenance.verifier} | {
        f"Policy {name}": found for name, found in provenance.policies.items()
    }
    rows = [
        [role, str(found["name"]), str(found["backend"]), _identity(found)]
        for role, found in described.items()
    ]
    rows.append(["Teacher", *_configured(config.teacher)])
    base, revision = config.training.base, config.training.base_revision
    rows.append(["Base of the verifier", base, "training", revision or MISSING])
    columns = ["Role", "Model", "Backend", "Revision, digest of the weights or address"]
    return Table("Models", columns, rows, labels=4)


def _identity(found: Mapping[str, Any]) -> str:
    if found["backend"] == "api":
        return str(found["base_url"])
    revision, model = found.get("revision"), str(found["model"])
    digest = f"weights {model[:_DIGITS]}" if model != found["name"] else ""
    return ", ".join(filter(None, [revision, digest])) or MISSING


def _configured(model: Model) -> list[str]:
    return [model.model, model.backend, model.base_url or model.revision or MISSING]


def software_table(provenance: Provenance) -> Table:
    """Lay out code, packages and machine."""
    git, machine = provenance.git, provenance.hardware
    packages = ", ".join(f"{name} {version}" for name, version in provenance.packages.items())
    gpus = ", ".join(machine.gpus) or "no GPU"
    changes = {True: " with uncommitted changes", False: "", None: ""}[git.dirty]
    rows = [
        ["Git revision", f"{git.revision or MISSING}{changes}"],
        ["Configuration (SHA-256)", provenance.config_sha256],
        ["Prompts", provenance.prompts],
        ["Seed", str(provenance.seed)],
        ["Python", provenance.python],
        ["Packages", packages],
        ["Machine", f"{machine.system}, {machine.cores} cores, {machine.memory_gib} GiB, {gpus}"],
        ["Recorded", provenance.written],
    ]
    note = "The machine is the one that recorded this; on a cluster, jobs ran on others."
    return Table("Code, packages and machine", ["What", "Value"], rows, labels=2, notes=[note])


def cost_table(costs: pd.DataFrame) -> Table:
    """Lay out what the stages took; `costs` is that of `stage_costs.read_costs`."""
    with_gpu = bool(costs["gpu_s"].sum())
    times = ["wall_s", "cpu_s", *(["gpu_s"] if with_gpu else [])]
    total = {
        "stage": "All stages",
        **costs[["jobs", *times]].sum(),
        "peak_mb": costs["peak_mb"].max(),
    }
    rows = [
        [
            str(row["stage"]),
            f"{row['jobs']:.0f}",
            *(_duration(row[name]) for name in times),
            MISSING if pd.isna(row["peak_mb"]) else f"{row['peak_mb'] / 1024:.1f}",
        ]
        for row in [*costs.to_dict("records"), total]
    ]
    columns = ["Stage", "Jobs", "Wall time", "CPU time", *(["GPU time"] if with_gpu else [])]
    return Table(
        "Time by stage",
        [*columns, "Peak memory (GiB)"],
        rows,
        labels=1,
        notes=[
            "Sums over the last successful run of each job; jobs run at the same time. GPU time: "
            "wall time times the GPUs that a job asks for"
            + ("." if with_gpu else "; this run's machine has none.")
        ],
    )


def _duration(seconds: float) -> str:
    size, name = unit(seconds)
    return f"{seconds / size:.1f} {name}"


def _counts(counts: Mapping[str, int]) -> str:
    found = [f"{name.replace('_', ' ')} ({n:,})" for name, n in counts.items() if n]
    return ", ".join(found) or "none"
