# Step level: the verifier judges labelled solutions, with a caption of the images and without.
# Takes the file of step_level.solutions and the verifier; gives
# results/step_level/solutions/SHARD.jsonl, results/step_level/{caption,direct}/SHARD.jsonl,
# results/metrics/step_level/{caption,direct}.json, and the table and the figure step_level.


rule split_solutions:
    input:
        # Asked only where solutions are needed: models and lints do without them.
        lambda wildcards: from_outside(solution_files),
    output:
        scatter.shards(f"{RESULTS}/step_level/solutions/{{scatteritem}}.jsonl"),
    log:
        f"{RESULTS}/logs/split_solutions.log",
    benchmark:
        f"{RESULTS}/benchmarks/split_solutions.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        limit=[f"--limit={limit}"] if (limit := CONFIG.step_level.limit) else [],
        code=code_digest("split_solutions"),
    message:
        "Split the labelled solutions into {CONFIG.shards} shard(s) and give each its pid"
    shell:
        "python -m evpv_prm.split_solutions --solutions {input:q} {params.limit:q}"
        " --outputs {output:q} > {log:q} 2>&1"


rule verify_steps:
    input:
        solutions=f"{RESULTS}/step_level/solutions/{{scatteritem}}.jsonl",
        model=model_files(CONFIG, CONFIG.verifier),
    output:
        f"{RESULTS}/step_level/{{mode}}/{{scatteritem}}.jsonl",
    log:
        f"{RESULTS}/logs/verify_steps/{{mode}}/{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/verify_steps/{{mode}}/{{scatteritem}}.tsv"
    wildcard_constraints:
        mode="|".join(STEP_MODES),
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
        # The gate audits against the caption.
        mode=lambda wildcards: {
            "caption": ["--gate", *render_options(CONFIG.step_level.gate)],
            "direct": ["--direct"],
        }[wildcards.mode],
        engine=engine_flags(CONFIG.verifier),
        store=f"{RESULTS}/store",
        code=code_digest("step_verifier"),
    message:
        "Judge the steps of labelled solutions ({wildcards.mode}), shard {wildcards.scatteritem}"
    shell:
        "python -m evpv_prm.step_verifier --benchmark {input.solutions:q}"
        " --images {params.images:q} --output {output:q} --store {params.store:q}"
        " {params.options:q} {params.mode:q} {params.reply:q} {params.engine:q}"
        " > {log:q} 2>&1"


rule compute_step_metrics:
    input:
        gather.shards(f"{RESULTS}/step_level/{{{{mode}}}}/{{scatteritem}}.jsonl"),
    output:
        json=f"{RESULTS}/metrics/step_level/{{mode}}.json",
        markdown=f"{RESULTS}/metrics/step_level/{{mode}}.md",
    log:
        f"{RESULTS}/logs/compute_step_metrics/{{mode}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_step_metrics/{{mode}}.tsv"
    wildcard_constraints:
        mode="|".join(STEP_MODES),
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2, 10),
    params:
        samples=CONFIG.step_level.bootstrap_samples,
        seed=CONFIG.seed,
        code=code_digest("compute_step_metrics"),
    message:
        "Compute macro-F1 of the judged steps ({wildcards.mode})"
    shell:
        "python -m evpv_prm.compute_step_metrics --predictions {input:q}"
        " --output {output.json:q} --markdown {output.markdown:q}"
        " --bootstrap-samples {params.samples} --seed {params.seed} > {log:q} 2>&1"


rule tabulate_step_level:
    input:
        expand(f"{RESULTS}/metrics/step_level/{{mode}}.json", mode=STEP_MODES),
    output:
        exhibit("tables", "step_level"),
    log:
        f"{RESULTS}/logs/tabulate_step_level.log",
    benchmark:
        f"{RESULTS}/benchmarks/tabulate_step_level.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        metrics=named_step_metrics,
        stem=stem,
        note=[f"--note={CONFIG.diagrams.note}"] if CONFIG.diagrams.note else [],
        code=code_digest("tables"),
    message:
        "Tabulate macro-F1 of the judged steps beside published results"
    shell:
        "python -m evpv_prm.tables step-level --metrics {params.metrics:q}"
        " {params.note:q} --output-stem {params.stem:q} > {log:q} 2>&1"


rule plot_step_level:
    input:
        rules.tabulate_step_level.input,
    output:
        exhibit("figures", "step_level"),
    log:
        f"{RESULTS}/logs/plot_step_level.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_step_level.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        metrics=named_step_metrics,
        stem=stem,
        width=CONFIG.figures.width_in,
        code=code_digest("figures"),
    message:
        "Plot macro-F1 of the judged steps beside published results"
    shell:
        "python -m evpv_prm.figures step-level --metrics {params.metrics:q}"
        " --width-in {params.width} --output-stem {params.stem:q} > {log:q} 2>&1"


EXPERIMENTS["step_level"] += [
    *rules.tabulate_step_level.output,
    *rules.plot_step_level.output,
]
