"""Say what is done, running, waiting and failed, and why, without reading fifty logs.

Prints a table and writes RESULTS/status.html. It reads the DAG, Snakemake's log of the last run and
the logs of the jobs, and changes nothing: a run may go on meanwhile. `snakemake status` calls this
with the present configuration.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.config import Config
from evpv_prm.job_states import JobStatus, State, detail_of, state_of
from evpv_prm.jsonl import write_text
from evpv_prm.plan.jobs import Job, list_jobs
from evpv_prm.plan.run import add_config_option, read_config
from evpv_prm.progress import duration
from evpv_prm.run_log import Attempt, began, planned_rules, read_attempts
from evpv_prm.status_page import Overview, render_page, render_text
from evpv_prm.workflow import LOOKS

SNAKEMAKE = Path(".snakemake")
END_OF_LOG = 65536
"""Bytes at the end of a job's log that are read."""


def find_run(folder: Path) -> tuple[Path, str] | None:
    """Return the log of the last run of any jobs, and its text; None: there was none."""
    for log in sorted((folder / "log").glob("*.snakemake.log"), reverse=True):
        text = log.read_text(errors="replace")
        if planned_rules(text) - LOOKS:
            return log, text
    return None


def read_end(log: Path, since: float) -> str:
    """Return the end of a log; "" if it is not there, or was last written before `since`."""
    try:
        with log.open("rb") as stream:
            if log.stat().st_mtime < since:
                return ""
            size = stream.seek(0, 2)
            stream.seek(max(0, size - END_OF_LOG))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def look(config: Config, targets: Collection[str], now: float) -> Overview:
    """Return what has become of the jobs of the last run's targets, if it had any of these.

    Without one, of the jobs of the default target.
    """
    is_on = any((SNAKEMAKE / "locks").glob("*.lock"))
    run = find_run(SNAKEMAKE)
    attempts = read_attempts(run[1]) if run else {}
    since = began(run[0].name) if run else 0.0
    jobs = list_jobs(config, planned_rules(run[1]).intersection(targets) if run else ())

    def status(job: Job) -> JobStatus:
        attempt = attempts.get(job.message)
        state = state_of(job, attempt, is_on=is_on, has_begun=_has_begun(attempt))
        log = read_end(job.log, since) if job.log and attempt else ""
        return JobStatus(job, state, detail_of(state, attempt, log))

    statuses = [status(job) for job in jobs]
    sentence = "Nothing has run here yet."
    if run is not None:
        sentence = f"The last run began {_ago(now - since)} and has ended."
        if is_on:
            logs = [run[0], *(s.job.log for s in statuses if s.state == State.RUNNING)]
            heard = max(log.stat().st_mtime for log in logs if log and log.exists())
            sentence = (
                f"A run began {_ago(now - since)} and has not ended; "
                f"its last word came {_ago(now - heard)}."
            )
    written = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return Overview(statuses, sentence, written)


def _ago(seconds: float) -> str:
    return f"{duration(max(0.0, seconds))} ago"


def _has_begun(attempt: Attempt | None) -> bool:
    return bool(attempt and attempt.slurm_log and Path(attempt.slurm_log).exists())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "status")
    add_config_option(parser)
    parser.add_argument(
        "--targets", nargs="*", default=[], metavar="RULE",
        help="targets; of those that the last run had, the jobs are shown (default: all jobs)",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    config = read_config(arguments)
    overview = look(config, arguments.targets, time.time())
    page = Path(config.results) / "status.html"
    write_text(page, render_page(overview))
    print(render_text(overview))
    print(f"\n{page}")
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
