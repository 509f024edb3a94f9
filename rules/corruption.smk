# Constraint corruption: the steps judged with captions of which items are left out or falsified.
# Takes results/step_level/solutions/SHARD.jsonl and the verifier; gives
# results/corruption/SHARD.jsonl, results/metrics/corruption.json and
# results/{tables,figures}/corruption.*.


rule corrupt_constraints:
    input:
        solutions=f"{RESULTS}/step_level/solutions/{{scatteritem}}.jsonl",
        model=model_files(CONFIG, CONFIG.verifier),
    output:
        f"{RESULTS}/corruption/{{scatteritem}}.jsonl",
    log:
        f"{RESULTS}/logs/corrupt_constraints/{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/corrupt_constraints/{{scatteritem}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(CONFIG.verifier, 720),
        checked_inputs=1,
    params:
        images=CONFIG.step_level.images,
        options=render_options(CONFIG.step_level.judging),
        reply=JUDGE_REPLY,
        corruption=render_options(CONFIG.step_level.corruption),
        engine=engine_flags(CONFIG.verifier),
        store=f"{RESULTS}/store",
        code=code_digest("constraint_corruption_ablation"),
    message:
        "Judge the steps of labelled solutions with corrupted captions, shard {wildcards.scatteritem}"
    shell:
        "python -m evpv_prm.constraint_corruption_ablation --benchmark {input.solutions:q}"
        " --images {params.images:q} --output {output:q} --store {params.store:q}"
        " {params.options:q} {params.reply:q} {params.corruption:q} {params.engine:q}"
        " > {log:q} 2>&1"


rule summarise_corruption:
    input:
        gather.shards(f"{RESULTS}/corruption/{{scatteritem}}.jsonl"),
    output:
        f"{RESULTS}/metrics/corruption.json",
    log:
        f"{RESULTS}/logs/summarise_corruption.log",
    benchmark:
        f"{RESULTS}/benchmarks/summarise_corruption.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(8, 60),
    params:
        samples=CONFIG.step_level.bootstrap_samples,
        seed=CONFIG.seed,
        code=code_digest("summarise_corruption"),
    message:
        "Summarise the judgements with corrupted captions"
    shell:
        "python -m evpv_prm.summarise_corruption --predictions {input:q} --output {output:q}"
        " --bootstrap-samples {params.samples} --seed {params.seed} > {log:q} 2>&1"


rule tabulate_corruption:
    input:
        rules.summarise_corruption.output,
    output:
        exhibit("tables", "corruption"),
    log:
        f"{RESULTS}/logs/tabulate_corruption.log",
    benchmark:
        f"{RESULTS}/benchmarks/tabulate_corruption.tsv"
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
        "Tabulate the judgements with corrupted captions"
    shell:
        "python -m evpv_prm.tables corruption --metrics EVPV-PRM={input:q} {params.note:q}"
        " --output-stem {params.stem:q} > {log:q} 2>&1"


rule plot_corruption:
    input:
        rules.summarise_corruption.output,
    output:
        exhibit("figures", "corruption"),
    log:
        f"{RESULTS}/logs/plot_corruption.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_corruption.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        stem=stem,
        width=CONFIG.figures.width_in,
        code=code_digest("figures"),
    message:
        "Plot macro-F1 over the share of corrupted items"
    shell:
        "python -m evpv_prm.figures corruption --metrics EVPV-PRM={input:q}"
        " --width-in {params.width} --output-stem {params.stem:q} > {log:q} 2>&1"


EXPERIMENTS["step_level"] += [
    *rules.tabulate_corruption.output,
    *rules.plot_corruption.output,
]
