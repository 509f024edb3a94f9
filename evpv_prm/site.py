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

from evpv_prm.config import Model
from evpv_prm.errors import InputError
from evpv_prm.section import Section

HOST_MEMORY_GB = 16
"""Main memory of a job that asks a model: images and replies in flight, and the libraries."""

USUAL_PARAMETERS_B = 8.0
"""Size, in billions of parameters on one GPU, that the rules' times are for."""

BYTES = 2
"""Bytes of a parameter."""

MIN_WARNED_MIN = 60
"""Shorter jobs need no warning: they are started again instead."""


class Site(Section):
    """A cluster or a machine, as far as this pipeline has to know it."""

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
    gpu_memory_gb: float | None = Field(
        None,
        gt=0,
        description="Memory of a GPU, in GB: a model that does not fit its GPUs is refused before "
        "any job is submitted; null: unknown",
    )
    share_gpus: bool = Field(
        False,
        description="No scheduler gives out the GPUs: jobs of this machine share those in "
        "CUDA_VISIBLE_DEVICES, or all, and each claims its own",
    )
    warning_s: int = Field(
        120,
        ge=0,
        description="Seconds before its time limit at which SLURM tells a GPU job to save and end",
    )
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


Amount = float | Callable[[Any], float]
"""A number, or a function of the job's wildcards that gives it."""

AnyModel = Model | Callable[[Any], Model]
"""A model, or a function of the job's wildcards that gives it."""


def resources(
    site: Site, memory_gb: Amount, minutes: Amount, gpus: Amount = 0
) -> Mapping[str, Any]:
    """Return a rule's resources, for `resources: **resources(…)`.

    A job that is tried again gets more: its memory and time are multiplied by the attempt, for
    Snakemake does not tell what ended the last one.

    Args:
        site: where it runs.
        memory_gb: main memory; with GPUs, for each of them.
        minutes: the longest time that the job takes.
        gpus: GPUs of one node.
    """

    def count(wildcards: Any) -> int:
        return int(_of(gpus, wildcards))

    def mem_mb(wildcards: Any, attempt: int) -> int:
        return round(1000 * _of(memory_gb, wildcards)) * max(1, count(wildcards)) * attempt

    def runtime(wildcards: Any, attempt: int) -> int:
        wanted = round(_of(minutes, wildcards)) * attempt
        return min(wanted, site.max_runtime_min or wanted)

    wanted: dict[str, Any] = {"mem_mb": mem_mb, "runtime": runtime}
    if site.account:
        wanted["slurm_account"] = site.account
    if callable(gpus) or gpus:
        # SLURM may gather the GPUs of --gpus=N from several nodes; a job can use those of one.
        wanted["nodes"] = 1
        wanted |= _gpu_resources(site, count)
        if callable(minutes) or minutes >= MIN_WARNED_MIN:
            wanted["slurm_extra"] = lambda wildcards: (
                f"--signal=TERM@{site.warning_s}" if count(wildcards) else ""
            )
    elif site.cpu_partition:
        wanted["slurm_partition"] = site.cpu_partition
    return wanted


def serving_resources(site: Site, model: AnyModel, minutes: int) -> Mapping[str, Any]:
    """Return the resources of a rule that asks a model.

    GPUs are those that share the model; main memory holds the part of the weights that each loads.
    A model behind an API needs neither.

    Args:
        site: where it runs.
        model: the model; with `parameters_b`, memory and time follow from its size.
        minutes: the longest time for `USUAL_PARAMETERS_B` on each GPU.
    """

    def of(wildcards: Any) -> Model:
        return model(wildcards) if callable(model) else model

    return resources(
        site,
        lambda wildcards: HOST_MEMORY_GB + _share_b(of(wildcards)) * BYTES,
        lambda wildcards: minutes * max(1.0, _share_b(of(wildcards)) / USUAL_PARAMETERS_B),
        (lambda wildcards: of(wildcards).gpus) if callable(model) else model.gpus,
    )


def _share_b(model: Model) -> float:
    """Return the billions of parameters that one GPU holds."""
    return (model.parameters_b or USUAL_PARAMETERS_B) / model.gpus if model.gpus else 0.0


def _of(amount: Amount, wildcards: Any) -> float:
    return amount(wildcards) if callable(amount) else amount


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
