"""The jobs of a configuration, as Snakemake's own DAG has them; nothing runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
)

from evpv_prm.config import Config
from evpv_prm.site import requested_gpus
from evpv_prm.workflow import PACKAGE, PLAN_VARIABLE

SNAKEFILE = PACKAGE.parent / "Snakefile"


@dataclass(frozen=True)
class Job:
    """One job of the workflow, done or not."""

    rule: str
    wildcards: Mapping[str, str]
    is_local: bool
    """Whether it runs where Snakemake runs, whatever executor the others are handed to."""
    is_needed: bool
    """Whether Snakemake would run it now."""
    gpus: int
    outputs: tuple[Path, ...]
    log: Path | None
    benchmark: Path | None
    message: str = ""
    """What it does, in a line that no other job has; a run's log names it by that."""

    @property
    def kind(self) -> str:
        """Return where it runs: "local", "CPU" (submitted) or "GPU" (submitted)."""
        if self.is_local:
            return "local"
        return "GPU" if self.gpus else "CPU"


def list_jobs(config: Config, targets: Collection[str] = ()) -> list[Job]:
    """Return the jobs that targets depend on, done or not, in the rules' order.

    Without targets, those that the default one depends on.

    Inputs from outside that are missing are taken to be there. What is done is told by the current
    folder's files and Snakemake's records of them; both stay as they are, and a run that goes on
    there is not disturbed.
    """
    with (
        _planning(),
        tempfile.NamedTemporaryFile("w", suffix=".json") as file,
        SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, enable_file_logging=False)) as api,
    ):
        file.write(config.model_dump_json())
        file.flush()
        workflow = api.workflow(
            ResourceSettings(),
            # As a file it takes the place of config.yaml; as values it would be merged into it.
            ConfigSettings(configfiles=[Path(file.name)]),
            snakefile=SNAKEFILE,
        )
        settings = DAGSettings(targets=set(targets), force_incomplete=True)
        workflow.dag(settings).execute_workflow(executor="dryrun")
        # No public part of the API hands out the jobs.
        known = workflow._workflow
        order = {rule.name: position for position, rule in enumerate(known.rules)}
        found = [_job(job, known) for job in known.dag.jobs if not job.rule.norun]
        return sorted(found, key=lambda job: (order[job.rule], job.outputs))


@contextmanager
def _planning() -> Iterator[None]:
    os.environ[PLAN_VARIABLE] = "1"
    try:
        yield
    finally:
        del os.environ[PLAN_VARIABLE]


def _job(job: Any, workflow: Any) -> Job:
    return Job(
        rule=job.rule.name,
        wildcards=dict(job.wildcards_dict),
        # Not `job.is_local`: in a dry run, every job is.
        is_local=job.rule.name in workflow._localrules,
        is_needed=workflow.dag.needrun(job),
        gpus=requested_gpus(dict(job.resources.items())),
        outputs=tuple(Path(file) for file in job.output),
        log=Path(job.log[0]) if job.log else None,
        benchmark=Path(job.benchmark) if job.benchmark else None,
        message=job.message or "",
    )
