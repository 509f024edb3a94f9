"""What a rule needs, in the words of the scheduler at hand.

A rule says how much memory, time and how many GPUs it needs. Which partition that is, on whose
account, and how GPUs are asked for, differs from cluster to cluster: a site file says so, once for
all rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from evpv_prm.errors import InputError
from evpv_prm.section import Section


class Site(Section):
    """A SLURM cluster, as far as this pipeline has to know it."""

    account: str | None = Field(None, description="Account that is charged; null: the user's own")
    cpu_partition: str | None = Field(
        None, description="Partition of the jobs without a GPU; null: the cluster's default"
    )
    gpu_partition: str | None = Field(
        None, description="Partition of the jobs with GPUs; null: the cluster's default"
    )
    gpu_request: Literal["gpu", "gres"] = Field(
        "gpu", description="How GPUs are asked for. gpu: --gpus=N; gres: --gres=gpu:N"
    )
    gpu_type: str | None = Field(None, description="Type of the GPUs, such as h100; null: any")
    max_runtime_min: int | None = Field(
        None, ge=1, description="Longest time that a job may ask for, in minutes; null: no limit"
    )
    setup: list[str] = Field(
        default_factory=list,
        description="Shell commands before every job's own, such as module loads",
    )


def load_site(path: Path | str | None) -> Site:
    """Read a site file; None stands for a site that needs nothing said.

    Raises:
        InputError: the file cannot be read, or a key or value is not allowed.
    """
    if path is None:
        return Site()
    try:
        values = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InputError(path, expected=f"not valid YAML: {str(error).splitlines()[0]}") from error
    try:
        return Site.model_validate(values or {})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in problem["loc"]) or None
        raise InputError(path, field=field, expected=problem["msg"]) from error


Gpus = int | Callable[[Any], int]
"""A number of GPUs, or a function of the job's wildcards that gives it."""


def resources(site: Site, memory_gb: int, minutes: int, gpus: Gpus = 0) -> Mapping[str, Any]:
    """Return a rule's resources, for `resources: **resources(…)`.

    A job that is tried again gets more: its memory and time are multiplied by the attempt.

    Args:
        site: where it runs.
        memory_gb: main memory; with GPUs, for each of them.
        minutes: the longest time that the job takes.
        gpus: GPUs of one node.
    """

    def count(wildcards: Any) -> int:
        return gpus(wildcards) if callable(gpus) else gpus

    def mem_mb(wildcards: Any, attempt: int) -> int:
        return 1000 * memory_gb * max(1, count(wildcards)) * attempt

    def runtime(wildcards: Any, attempt: int) -> int:  # noqa: ARG001, Snakemake names them
        wanted = minutes * attempt
        return min(wanted, site.max_runtime_min or wanted)

    wanted: dict[str, Any] = {"mem_mb": mem_mb, "runtime": runtime}
    if site.account:
        wanted["slurm_account"] = site.account
    if callable(gpus) or gpus:
        wanted |= _gpu_resources(site, count)
    elif site.cpu_partition:
        wanted["slurm_partition"] = site.cpu_partition
    return wanted


def requested_gpus(wanted: Mapping[str, Any]) -> int:
    """Return the GPUs in a job's resources, in whichever of the words of `resources`."""
    if gres := wanted.get("gres"):
        return int(gres.rpartition(":")[2])
    return int(wanted.get("gpu", 0))


def _gpu_resources(site: Site, count: Callable[[Any], int]) -> dict[str, Any]:
    """Ask for GPUs; a job of the rule that needs none, behind an API, asks as a CPU job does."""
    found: dict[str, Any] = {}
    if site.gpu_request == "gres":
        kind = f"gpu:{site.gpu_type}" if site.gpu_type else "gpu"
        found["gres"] = lambda wildcards: f"{kind}:{n}" if (n := count(wildcards)) else ""
    else:
        found["gpu"] = count
        if site.gpu_type:
            found["gpu_model"] = lambda wildcards: site.gpu_type if count(wildcards) else ""
    if site.gpu_partition or site.cpu_partition:
        found["slurm_partition"] = lambda wildcards: (
            (site.gpu_partition if count(wildcards) else site.cpu_partition) or ""
        )
    return found
