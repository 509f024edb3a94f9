# The reliability gate: where p lies, how well it is calibrated, and what it changes.
# Takes results/scored/POLICY/BENCHMARK/SHARD.jsonl and results/step_level/caption/SHARD.jsonl;
# gives results/metrics/gate.json, and the table and the figure gate.


rule compute_gate_metrics:
    input:
        scored=SCORED,
        predictions=gather.shards(f"{RESULTS}/step_level/caption/{{scatteritem}}.jsonl"),
    output:
        json=f"{RESULTS}/metrics/gate.json",
        markdown=f"{RESULTS}/metrics/gate.md",
    log:
        f"{RESULTS}/logs/compute_gate_metrics.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_gate_metrics.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(4, 60),
    params:
        scored=lambda wildcards, input: [
            f"{policy}={file}"
            for policy, file in zip(SCORED_BY, input.scored, strict=True)
        ],
        aggregations=CONFIG.best_of_n.aggregations,
        samples=CONFIG.step_level.bootstrap_samples,
        seed=CONFIG.seed,
        code=code_digest("gate_analysis"),
    message:
        "Analyse what the reliability gate changes"
    shell:
        "python -m evpv_prm.gate_analysis --scored {params.scored:q}"
        " --predictions {input.predictions:q} --output {output.json:q}"
        " --markdown {output.markdown:q} --aggregations {params.aggregations:q}"
        " --bootstrap-samples {params.samples} --seed {params.seed} > {log:q} 2>&1"


rule tabulate_gate:
    input:
        rules.compute_gate_metrics.output.json,
    output:
        exhibit("tables", "gate"),
    log:
        f"{RESULTS}/logs/tabulate_gate.log",
    benchmark:
        f"{RESULTS}/benchmarks/tabulate_gate.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        stem=stem,
        note=[f"--note={CONFIG.diagrams.note}"] if CONFIG.diagrams.note else [],
        code=code_digest("tables"),
    message:
        "Tabulate what the reliability gate changes"
    shell:
        "python -m evpv_prm.tables gate --metrics verifier={input:q}"
        " {params.note:q} --output-stem {params.stem:q} > {log:q} 2>&1"


rule plot_gate:
    input:
        rules.compute_gate_metrics.output.json,
    output:
        exhibit("figures", "gate"),
    log:
        f"{RESULTS}/logs/plot_gate.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_gate.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        stem=stem,
        width=CONFIG.figures.width_in,
        aggregation=CONFIG.figures.aggregation,
        code=code_digest("figures"),
    message:
        "Plot what the reliability gate changes"
    shell:
        "python -m evpv_prm.figures gate --metrics verifier={input:q}"
        " --aggregation {params.aggregation} --width-in {params.width}"
        " --output-stem {params.stem:q} > {log:q} 2>&1"


EXPERIMENTS["gate"] += [*rules.tabulate_gate.output, *rules.plot_gate.output]
