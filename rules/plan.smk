# Before and after a run: what it will cost, and what it has cost.
# Takes the configuration and what is there; gives a report in results/logs/, and
# results/rates.csv, which later plans use.


# Without outputs both run whenever they are asked for. They run Snakemake's Python, which reads
# the DAG, and not that of an environment for jobs.
rule plan:
    input:
        without_lock,
    log:
        f"{RESULTS}/logs/plan.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        command=[sys.executable, "-m", "evpv_prm.plan"],
        config=CONFIG.model_dump_json(),
    message:
        "Plan the run"
    shell:
        "{params.command:q} --config-json {params.config:q} 2>&1 | tee {log:q}"


use rule plan as rates with:
    log:
        f"{RESULTS}/logs/rates.log",
    params:
        command=[sys.executable, "-m", "evpv_prm.plan.update_rates"],
        config=CONFIG.model_dump_json(),
    message:
        "Measure what the run has cost"
