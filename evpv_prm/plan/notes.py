"""What a plan says of its jobs beside the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from evpv_prm.config import Config
from evpv_prm.plan.cost import Cost
from evpv_prm.plan.jobs import Job
from evpv_prm.plan.report import short

FEW_SHARDS = 2
STARTS_THAT_MATTER = 0.1
"""The least fraction of sharded jobs' GPU-hours, spent on starts, that is worth a note."""


def notes_on(costs: Sequence[tuple[Job, Cost]], config: Config) -> Iterator[str]:
    """Yield a line on what is counted for the validations, and on jobs that mostly start."""
    if any(job.rule.startswith("train_") for job, _ in costs):
        yield (
            "validations are counted: a row in one costs a third of a trained row, whose backward "
            "pass costs twice as much as its forward pass"
        )
    yield from _on_shards(costs, config.shards)


def _on_shards(costs: Iterable[tuple[Job, Cost]], shards: int) -> Iterator[str]:
    sharded = sum((cost for job, cost in costs if "scatteritem" in job.wildcards), Cost())
    starts, hours = sharded.start_gpu_hours, sharded.gpu_hours
    if shards > FEW_SHARDS and starts and starts >= STARTS_THAT_MATTER * hours:
        saved = starts * (1 - FEW_SHARDS / shards)
        yield (
            f"shards: {shards}: of the {short(hours)} GPU-hours of the jobs that benchmarks are "
            f"split into, {short(starts)} pass until the model is loaded; shards: {FEW_SHARDS} "
            f"would save {short(saved)}"
        )
