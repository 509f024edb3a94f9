"""Print what a run of the default target would cost: jobs, GPU-hours, calls, tokens, disk by rule.

What is done is taken off. Nothing is run or written. `snakemake plan` calls this with the present
configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

from evpv_prm import cli
from evpv_prm.plan.cost import job_cost
from evpv_prm.plan.jobs import list_jobs
from evpv_prm.plan.notes import notes_on
from evpv_prm.plan.report import group_jobs, render
from evpv_prm.plan.run import add_config_option, known_rates, read_config, run_rates
from evpv_prm.plan.sizes import measure, missing_inputs
from evpv_prm.plan.tables import read_sizes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "plan")
    add_config_option(parser)
    config = read_config(parser.parse_args(argv))
    own, rates = run_rates(config), known_rates(config)
    tables = "rates of profiles/rates.csv"
    if own.is_file():
        tables = f"rates of {own}; profiles/rates.csv for what it lacks"
    sizes = measure(config, read_sizes())
    jobs = list_jobs(config)
    costs = [(job, job_cost(job, config, sizes, rates)) for job in jobs if job.is_needed]
    missing = (f"missing: {file}" for file in missing_inputs(config))
    notes = [tables, *missing, *sizes.assumed, *notes_on(costs, config)]
    print(render(group_jobs(costs), len(jobs) - len(costs), notes if costs else []))
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
