# Step level: the verifier judges labelled solutions, with a caption of the images and without.
# Takes the file of step_level.solutions and the verifier; gives
# results/step_level/solutions/SHARD.jsonl and results/step_level/{caption,direct}/SHARD.jsonl.

STEP_MODES = ("caption", "direct")


rule split_solutions:
    input:
        # Asked only where solutions are needed: models and lints do without them.
        lambda wildcards: or_stop(solution_files, CONFIG),
    output:
        scatter.shards(f"{RESULTS}/step_level/solutions/{{scatteritem}}.jsonl"),
    log:
        f"{RESULTS}/logs/split_solutions.log",
    benchmark:
        f"{RESULTS}/benchmarks/split_solutions.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        limit=(
            [f"--limit={CONFIG.step_level.limit}"] if CONFIG.step_level.limit else []
        ),
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
        checked_inputs=1,
        gpu=gpus(CONFIG.verifier),
        mem_mb=32000,
        runtime=720,
    params:
        images=CONFIG.step_level.images,
        options=render_options(CONFIG.step_level.judging),
        # The gate audits against the caption.
        mode=lambda wildcards: {
            "caption": ["--gate", *render_options(CONFIG.step_level.gate)],
            "direct": ["--direct"],
        }[wildcards.mode],
        engine=engine_flags(CONFIG.verifier),
        store=f"{RESULTS}/store",
        code=code_digest("step_verifier", "engine.vllm", "engine.api"),
    message:
        "Judge the steps of labelled solutions ({wildcards.mode}), shard {wildcards.scatteritem}"
    shell:
        "python -m evpv_prm.step_verifier --benchmark {input.solutions:q}"
        " --images {params.images:q} --output {output:q} --store {params.store:q}"
        " {params.options:q} {params.mode:q} {params.engine:q} > {log:q} 2>&1"


# The metrics of these judgements take the place of the judgements here.
STEP_LEVEL += gather.shards(
    f"{RESULTS}/step_level/{{mode}}/{{scatteritem}}.jsonl", mode=STEP_MODES
)
