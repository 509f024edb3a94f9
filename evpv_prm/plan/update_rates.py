"""Measure what the jobs of a run have cost, and write RESULTS/rates.csv, which plans then use.

Reads the time of each job in its benchmark file, the requests and tokens that it paid for in its
log, and the size of what it wrote. Jobs that found some of their replies in the response store say
nothing of the time that all of them take, and are left out; what was measured before and not now
stays.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evpv_prm import cli
from evpv_prm.config import Config
from evpv_prm.engine.store import Statistics
from evpv_prm.errors import InputError, UserError
from evpv_prm.plan.jobs import Job, list_jobs
from evpv_prm.plan.run import add_config_option, read_config, run_rates
from evpv_prm.plan.sizes import Sizes, measure
from evpv_prm.plan.tables import Rate, read_rates, read_sizes, write_rates
from evpv_prm.plan.work import RULES, rate_key, units


@dataclass(frozen=True)
class Measurement:
    """What one job has cost."""

    units: float
    seconds: float
    bytes: float
    """Of its output files, and of its share of the response store."""
    paid: Statistics


def rate_from(key: tuple[str, str], unit: str, jobs: Sequence[Measurement]) -> Rate:
    """Return the mean rate of jobs of one rule; what a job takes to start is part of its units."""
    count = sum(job.units for job in jobs)
    paid = sum(job.paid.paid for job in jobs)
    prompt = sum(job.paid.prompt_tokens for job in jobs)
    completion = sum(job.paid.completion_tokens for job in jobs)
    rule, model = key
    return Rate(
        rule=rule,
        model=model,
        unit=unit,
        job_seconds=0,
        job_bytes=0,
        seconds=_digits(sum(job.seconds for job in jobs) / count),
        calls=_digits(paid / count),
        prompt_tokens=_digits(prompt / max(1, paid)),
        completion_tokens=_digits(completion / max(1, paid)),
        bytes=_digits(sum(job.bytes for job in jobs) / count),
        basis="measured",
        reasoning=f"{len(jobs)} job(s), {count:g} units of work",
    )


def measure_job(job: Job, count: float, asks: bool, reply_bytes: float) -> Measurement | None:
    """Return what a job has cost; None where its files do not tell.

    Args:
        job: a job of the run, done or not.
        count: its units of work.
        asks: whether it asks a model.
        reply_bytes: size of one stored reply.
    """
    files = (job.benchmark, job.log, *job.outputs)
    if job.benchmark is None or job.log is None or not all(f and f.exists() for f in files):
        return None
    statistics = Statistics.last_in(job.log.read_text(errors="replace"))
    paid = statistics or Statistics()
    if not count or (asks and (statistics is None or paid.served or not paid.paid)):
        return None
    size = sum(_size(output) for output in job.outputs) + paid.paid * reply_bytes
    return Measurement(count, _seconds(job.benchmark), size, paid)


def measured_rates(config: Config, jobs: Iterable[Job], sizes: Sizes) -> list[Rate]:
    """Return a rate for each rule and class of model of which a job can be measured.

    Raises:
        InputError: a benchmark file is not as Snakemake writes it.
    """
    reply_bytes = _reply_bytes(Path(config.results) / "store")
    found: defaultdict[tuple[str, str], list[Measurement]] = defaultdict(list)
    names: dict[tuple[str, str], str] = {}
    for job in jobs:
        key = rate_key(config, job.rule, job.wildcards)
        if key is None:
            continue
        work, count = RULES[job.rule], units(config, sizes, job.rule, job.wildcards)
        measured = measure_job(job, count.number, work.asks, reply_bytes)
        if measured is not None and count.basis == "known":
            found[key].append(measured)
            names[key] = work.unit
    return [rate_from(key, names[key], jobs) for key, jobs in found.items()]


def _seconds(benchmark: Path) -> float:
    with benchmark.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    try:
        return float(rows[-1]["s"])
    except (IndexError, KeyError, ValueError) as error:
        raise InputError(benchmark, expected="expected a benchmark's columns and a row") from error


def _size(output: Path) -> int:
    """The bytes of a file or folder; of a training's, with the checkpoints in `work` beside it."""
    if output.is_file():
        return output.stat().st_size
    folders = [output, *output.parent.glob(f"work/{output.name}-*")]
    return sum(path.stat().st_size for folder in folders for path in _files(folder))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _reply_bytes(store: Path) -> float:
    """The mean size of a line of the store."""
    segments = list(store.glob("*/*.jsonl"))
    lines = sum(segment.read_bytes().count(b"\n") for segment in segments)
    return sum(segment.stat().st_size for segment in segments) / max(1, lines)


def _digits(number: float) -> float:
    return float(f"{number:.4g}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "plan.update_rates")
    add_config_option(parser)
    config = read_config(parser.parse_args(argv))
    path = run_rates(config)
    rates = measured_rates(config, list_jobs(config), measure(config, read_sizes()))
    if not rates:
        raise UserError(f"{config.results}: no finished job to measure")
    before = read_rates(path) if path.is_file() else {}
    merged = {**before, **{(rate.rule, rate.model): rate for rate in rates}}
    write_rates(path, merged.values())
    print(f"{path}: {len(rates)} rates measured, {len(merged) - len(rates)} kept")
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
