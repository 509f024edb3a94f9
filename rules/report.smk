# Tables, figures and provenance, from metrics alone: they rebuild on a CPU in seconds.
# Takes results/metrics/best_of_n/POLICY.json; gives results/tables/best_of_n.*,
# results/figures/{bon_curves,bon_gain}.* and results/tables/provenance.json.


rule tabulate_best_of_n:
    input:
        expand(BEST_OF_N, policy=CONFIG.policies),
    output:
        exhibit("tables", "best_of_n"),
    log:
        f"{RESULTS}/logs/tabulate_best_of_n.log",
    benchmark:
        f"{RESULTS}/benchmarks/tabulate_best_of_n.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        metrics=named_metrics,
        stem=stem,
        note=[f"--note={CONFIG.diagrams.note}"] if CONFIG.diagrams.note else [],
        code=code_digest("tables"),
    message:
        "Tabulate Best-of-N"
    shell:
        "python -m evpv_prm.tables best-of-n --metrics {params.metrics:q}"
        " {params.note:q} --output-stem {params.stem:q} > {log:q} 2>&1"


rule plot_bon_curves:
    input:
        rules.tabulate_best_of_n.input,
    output:
        exhibit("figures", "bon_curves"),
    log:
        f"{RESULTS}/logs/plot_bon_curves.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_bon_curves.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        figure="bon-curves",
        metrics=named_metrics,
        stem=stem,
        width=CONFIG.figures.width_in,
        aggregation=CONFIG.figures.aggregation,
        code=code_digest("figures"),
    message:
        "Plot BoN@k and Pass@k"
    shell:
        "python -m evpv_prm.figures {params.figure} --metrics {params.metrics:q}"
        " --aggregation {params.aggregation} --width-in {params.width}"
        " --output-stem {params.stem:q} > {log:q} 2>&1"


use rule plot_bon_curves as plot_bon_gain with:
    output:
        exhibit("figures", "bon_gain"),
    log:
        f"{RESULTS}/logs/plot_bon_gain.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_bon_gain.tsv"
    params:
        figure="bon-gain",
        metrics=named_metrics,
        stem=stem,
        width=CONFIG.figures.width_in,
        aggregation=CONFIG.figures.aggregation,
        code=code_digest("figures"),
    message:
        "Plot what Best-of-N adds"


# `use rule` does not take this over.
localrules:
    plot_bon_gain,


rule write_provenance:
    input:
        metrics=rules.tabulate_best_of_n.input,
        models=sorted(
            {
                file
                for model in (*CONFIG.policies.values(), CONFIG.verifier)
                for file in model_files(CONFIG, model)
            }
        ),
    output:
        f"{RESULTS}/tables/provenance.json",
    log:
        f"{RESULTS}/logs/write_provenance.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_provenance.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        config=CONFIG.model_dump_json(),
        code=code_digest("provenance"),
    message:
        "Record what made these results"
    shell:
        "python -m evpv_prm.provenance --config-json {params.config:q} --output {output:q}"
        " > {log:q} 2>&1"
