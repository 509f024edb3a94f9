# Ablations: the steps of labelled solutions, judged again with one thing changed.
# Takes results/step_level/solutions/SHARD.jsonl and the verifier; gives
# results/ablations/CONFIGURATION.jsonl, their metrics, a table and a figure.


# All configurations are asked together, so that a shard starts the model once; what they say is
# then read from the store in one job, which takes seconds a configuration.
rule ask_ablations:
    input:
        solutions=f"{RESULTS}/step_level/solutions/{{scatteritem}}.jsonl",
        model=model_files(CONFIG, CONFIG.verifier),
    output:
        f"{RESULTS}/ablations/requests/{{scatteritem}}.json",
    log:
        f"{RESULTS}/logs/ask_ablations/{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ask_ablations/{{scatteritem}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(CONFIG.verifier, 1440),
        checked_inputs=1,
    params:
        images=CONFIG.step_level.images,
        options=render_options(CONFIG.step_level.judging),
        suite=render_options(CONFIG.step_level.ablations),
        # The other form is one of the configurations, so that its length always matters.
        reply=render_options(CONFIG.judge_reply),
        engine=engine_flags(CONFIG.verifier),
        store=f"{RESULTS}/store",
        code=code_digest("vpbench_ablation_runner"),
    message:
        "Ask for all ablations, shard {wildcards.scatteritem}"
    shell:
        "python -m evpv_prm.vpbench_ablation_runner --ask-all --benchmark {input.solutions:q}"
        " --images {params.images:q} --output {output:q} --store {params.store:q}"
        " {params.options:q} {params.suite:q} {params.reply:q} {params.engine:q}"
        " > {log:q} 2>&1"


rule run_ablations:
    input:
        solutions=gather.shards(f"{RESULTS}/step_level/solutions/{{scatteritem}}.jsonl"),
        requests=gather.shards(f"{RESULTS}/ablations/requests/{{scatteritem}}.json"),
        model=model_files(CONFIG, CONFIG.verifier),
    output:
        expand(
            f"{RESULTS}/ablations/{{configuration}}.jsonl",
            configuration=ABLATION_NAMES,
        ),
    log:
        f"{RESULTS}/logs/run_ablations.log",
    benchmark:
        f"{RESULTS}/benchmarks/run_ablations.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(8, 240),
    params:
        folder=folder_above(1),
        images=CONFIG.step_level.images,
        options=render_options(CONFIG.step_level.judging),
        suite=render_options(CONFIG.step_level.ablations),
        # The other form is one of the configurations, so that its length always matters.
        reply=render_options(CONFIG.judge_reply),
        engine=engine_flags(CONFIG.verifier),
        store=f"{RESULTS}/store",
        code=code_digest("vpbench_ablation_runner"),
    message:
        "Judge labelled solutions in all configurations"
    shell:
        "python -m evpv_prm.vpbench_ablation_runner --all --stored-only"
        " --benchmark {input.solutions:q} --images {params.images:q}"
        " --output {params.folder:q} --store {params.store:q}"
        " {params.options:q} {params.suite:q} {params.reply:q} {params.engine:q}"
        " > {log:q} 2>&1"


rule summarise_ablations:
    input:
        predictions=rules.run_ablations.output,
        requests=rules.run_ablations.input.requests,
    output:
        f"{RESULTS}/metrics/ablations.json",
    log:
        f"{RESULTS}/logs/summarise_ablations.log",
    benchmark:
        f"{RESULTS}/benchmarks/summarise_ablations.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(8, 30),
    params:
        samples=CONFIG.step_level.bootstrap_samples,
        seed=CONFIG.seed,
        code=code_digest("summarise_ablations"),
    message:
        "Compare the ablations"
    shell:
        "python -m evpv_prm.summarise_ablations --predictions {input.predictions:q}"
        " --requests {input.requests:q} --output {output:q}"
        " --bootstrap-samples {params.samples} --seed {params.seed} > {log:q} 2>&1"


rule tabulate_ablations:
    input:
        rules.summarise_ablations.output,
    output:
        exhibit("tables", "ablations"),
    log:
        f"{RESULTS}/logs/tabulate_ablations.log",
    benchmark:
        f"{RESULTS}/benchmarks/tabulate_ablations.tsv"
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
        "Tabulate the ablations"
    shell:
        "python -m evpv_prm.tables ablations --metrics verifier={input:q}"
        " {params.note:q} --output-stem {params.stem:q} > {log:q} 2>&1"


rule plot_ablations:
    input:
        rules.summarise_ablations.output,
    output:
        exhibit("figures", "ablations"),
    log:
        f"{RESULTS}/logs/plot_ablations.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_ablations.tsv"
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
        "Plot the ablations"
    shell:
        "python -m evpv_prm.figures ablations --metrics verifier={input:q}"
        " --width-in {params.width} --output-stem {params.stem:q} > {log:q} 2>&1"


EXPERIMENTS["ablations"] += [
    *rules.tabulate_ablations.output,
    *rules.plot_ablations.output,
]
