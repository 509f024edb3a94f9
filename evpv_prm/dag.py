"""The jobs of a configuration, as Snakemake's own DAG has them; nothing runs."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings
from snakemake.workflow import Workflow

from evpv_prm.config import Config
from evpv_prm.workflow import PACKAGE

SNAKEFILE = PACKAGE.parent / "Snakefile"


@dataclass(frozen=True)
class Job:
    """One job of the workflow, done or not."""

    rule: str
    message: str
    """What it does, in a line that no other job has."""

    log: Path | None
    is_needed: bool
    """Whether Snakemake would run it now."""


def list_jobs(config: Config, targets: Collection[str] = ()) -> list[Job]:
    """Return the jobs that targets depend on (none: the default one), in the order of the rules.

    What is done is told by the current folder's files and Snakemake's records of them; both stay
    as they are, and a run that goes on there is not disturbed.
    """
    with (
        tempfile.NamedTemporaryFile("w", suffix=".json") as file,
        SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, enable_file_logging=False)) as api,
    ):
        file.write(config.model_dump_json())
        file.flush()
        workflow_api = api.workflow(
            ResourceSettings(cores=1),
            # As a file it takes the place of config.yaml; as values it would be merged into it.
            ConfigSettings(configfiles=[Path(file.name)]),
            snakefile=SNAKEFILE,
        )
        dag_settings = DAGSettings(targets=set(targets), force_incomplete=True)
        workflow_api.dag(dag_settings).execute_workflow(executor="dryrun")
        # No public part of the API hands out the jobs.
        workflow: Workflow = workflow_api._workflow
        order = {rule.name: position for position, rule in enumerate(workflow.rules)}
        jobs = [
            Job(
                rule=job.rule.name,
                message=job.message or job.rule.name,
                log=Path(job.log[0]) if job.log else None,
                is_needed=workflow.dag.needrun(job),
            )
            for job in workflow.dag.jobs
            if not job.rule.norun
        ]
        return sorted(jobs, key=lambda job: (order[job.rule], str(job.log)))
