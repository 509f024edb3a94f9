"""Print what a run of the default target would cost: jobs, GPU-hours, calls, tokens, disk by rule.

What is done is taken off. Nothing is run or written. `snakemake plan` calls this with the present
configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

from evpv_prm import cli
from evpv_prm.plan.cost import job_cost
from evpv_prm.plan.jobs import list_jobs
from evpv_prm.plan.report import group_jobs, render
from evpv_prm.plan.run import add_config_option, read_config, run_rates
from evpv_prm.plan.sizes import measure, missing_inputs
from evpv_prm.plan.tables import SHIPPED_RATES, read_rates, read_sizes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "plan")
    add_config_option(parser)
    config = read_config(parser.parse_args(argv))
    own = run_rates(config)
    rates = read_rates(SHIPPED_RATES)
    tables = "rates of profiles/rates.csv"
    if own.is_file():
        rates = {**rates, **read_rates(own)}
        tables = f"rates of {own}; profiles/rates.csv for what it lacks"
    sizes = measure(config, read_sizes())
    jobs = list_jobs(config)
    needed = [job for job in jobs if job.is_needed]
    groups = group_jobs((job, job_cost(job, config, sizes, rates)) for job in needed)
    notes = [tables, *(f"missing: {file}" for file in missing_inputs(config)), *sizes.assumed]
    print(render(groups, len(jobs) - len(needed), notes if needed else []))
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
