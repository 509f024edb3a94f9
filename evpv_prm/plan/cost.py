"""What jobs cost: their units of work, times what a unit costs. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from evpv_prm.config import Config
from evpv_prm.plan.jobs import Job
from evpv_prm.plan.sizes import Count, Sizes
from evpv_prm.plan.tables import Rate, Rates
from evpv_prm.plan.work import rate_key, units


@dataclass(frozen=True)
class Cost:
    """What jobs cost; costs add up."""

    gpu_hours: float = 0.0
    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    bytes: float = 0.0
    start_gpu_hours: float = 0.0
    """Those of `gpu_hours` in which jobs start: processes, models."""
    is_estimate: bool = False
    """Whether a rate or a size in it was estimated and never measured."""
    is_partial: bool = False
    """Whether something in it is not counted, for want of a rate or a size."""

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of both."""
        return Cost(
            self.gpu_hours + other.gpu_hours,
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.bytes + other.bytes,
            self.start_gpu_hours + other.start_gpu_hours,
            self.is_estimate or other.is_estimate,
            self.is_partial or other.is_partial,
        )


def job_cost(job: Job, config: Config, sizes: Sizes, rates: Rates) -> Cost:
    """Return what one job costs from its beginning to its end, whatever is in the response store.

    Descriptions that several jobs ask for are counted in each of them, though all but the first
    find them in the store.
    """
    key = rate_key(config, job.rule, job.wildcards)
    if key is None:
        return Cost()
    count = units(config, sizes, job.rule, job.wildcards)
    if key not in rates or count.basis == "unknown":
        return Cost(is_partial=True)
    return _cost(rates[key], count, job.gpus)


def job_seconds(rate: Rate, count: Count) -> float:
    """Return how long a job with so many units of work takes."""
    return rate.job_seconds + rate.seconds * count.number


def _cost(rate: Rate, count: Count, gpus: int) -> Cost:
    calls = rate.calls * count.number
    return Cost(
        gpu_hours=gpus * job_seconds(rate, count) / 3600,
        calls=calls,
        prompt_tokens=calls * rate.prompt_tokens,
        completion_tokens=calls * rate.completion_tokens,
        bytes=rate.job_bytes + rate.bytes * count.number,
        start_gpu_hours=gpus * rate.job_seconds / 3600,
        is_estimate="estimate" in (rate.basis, count.basis),
    )
