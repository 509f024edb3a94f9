# While a run goes on, and after it: what has become of its jobs.
# Takes Snakemake's own log and those of the jobs; gives results/status.html and a table.


# Without outputs it runs whenever it is asked for. It runs Snakemake's Python, which reads the DAG,
# and not that of an environment for jobs.
rule status:
    input:
        without_lock,
    log:
        f"{RESULTS}/logs/status.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        command=[sys.executable, "-m", "evpv_prm.status"],
        config=CONFIG.model_dump_json(),
        targets=lambda wildcards: [*TARGETS],
    message:
        "Look what has become of the jobs"
    shell:
        "{params.command:q} --config-json {params.config:q} --targets {params.targets:q}"
        " | tee {log:q}"
