# What each training adds: the verifier's base and the model after each training, compared by the
# steps that they judge and, in a synthetic world, by the facts that they see.
# Takes results/step_level/solutions/SHARD.jsonl, the file of stages.facts and the models; gives
# results/stages/STAGE/, results/metrics/stages.json, and the table and the figure stage_gains.

STAGE_MODELS = {
    "base": stage_model("base", CONFIG.training.base, CONFIG.training.base_revision),
    "vision_sft": stage_model("described", f"{MERGED}/described"),
    **(
        {"vision_dpo": stage_model("preferred", f"{MERGED}/preferred")}
        if CONFIG.training.with_dpo
        else {}
    ),
    "step_judge_sft": CONFIG.verifier,
}
FACTS = CONFIG.stages.facts


wildcard_constraints:
    stage="|".join(STAGE_MODELS),


rule examine_stage:
    input:
        solutions=gather.shards(f"{RESULTS}/step_level/solutions/{{scatteritem}}.jsonl"),
        facts=[FACTS] if FACTS else [],
        model=lambda wildcards: model_files(CONFIG, STAGE_MODELS[wildcards.stage]),
    output:
        f"{RESULTS}/stages/{{stage}}/solutions.jsonl",
        [f"{RESULTS}/stages/{{stage}}/descriptions.jsonl"] if FACTS else [],
    log:
        f"{RESULTS}/logs/examine_stage/{{stage}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/examine_stage/{{stage}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(CONFIG.verifier, 720),
        checked_inputs=1,
    params:
        folder=folder_above(1),
        images=CONFIG.step_level.images,
        facts=(
            [f"--facts={FACTS}", f"--facts-images={CONFIG.stages.images}"]
            if FACTS
            else []
        ),
        limit=[f"--limit={limit}"] if (limit := CONFIG.stages.limit) else [],
        options=render_options(CONFIG.step_level.judging),
        reply=JUDGE_REPLY,
        describing=render_options(CONFIG.scoring.describing),
        # A model that fails is a finding: its failures are counted, and count as wrong.
        engine=lambda wildcards: [
            *engine_flags(STAGE_MODELS[wildcards.stage]),
            "--max-failures=1",
        ],
        store=f"{RESULTS}/store",
        code=code_digest("examine_stage"),
    message:
        "Examine what the model sees and judges after {wildcards.stage}"
    shell:
        "python -m evpv_prm.examine_stage --benchmark {input.solutions:q}"
        " --images {params.images:q} {params.facts:q} {params.limit:q} --output {params.folder:q}"
        " --store {params.store:q} {params.options:q} {params.reply:q} {params.describing:q}"
        " {params.engine:q}"
        " > {log:q} 2>&1"


rule compute_stage_gains:
    input:
        expand(f"{RESULTS}/stages/{{stage}}/solutions.jsonl", stage=STAGE_MODELS),
    output:
        json=f"{RESULTS}/metrics/stages.json",
        markdown=f"{RESULTS}/metrics/stages.md",
    log:
        f"{RESULTS}/logs/compute_stage_gains.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_stage_gains.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(4, 30),
    params:
        stages=lambda wildcards, input: named(
            STAGE_MODELS, [os.path.dirname(file) for file in input]
        ),
        samples=CONFIG.stages.bootstrap_samples,
        seed=CONFIG.seed,
        code=code_digest("compute_stage_gains"),
    message:
        "Compute what each training adds"
    shell:
        "python -m evpv_prm.compute_stage_gains --stages {params.stages:q}"
        " --output {output.json:q} --markdown {output.markdown:q}"
        " --bootstrap-samples {params.samples} --seed {params.seed} > {log:q} 2>&1"


rule tabulate_stage_gains:
    input:
        rules.compute_stage_gains.output.json,
    output:
        exhibit("tables", "stage_gains"),
    log:
        f"{RESULTS}/logs/tabulate_stage_gains.log",
    benchmark:
        f"{RESULTS}/benchmarks/tabulate_stage_gains.tsv"
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
        "Tabulate what each training adds"
    shell:
        "python -m evpv_prm.tables stage-gains --metrics verifier={input:q} {params.note:q}"
        " --output-stem {params.stem:q} > {log:q} 2>&1"


rule plot_stage_gains:
    input:
        rules.compute_stage_gains.output.json,
    output:
        exhibit("figures", "stage_gains"),
    log:
        f"{RESULTS}/logs/plot_stage_gains.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_stage_gains.tsv"
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
        "Plot what each training adds"
    shell:
        "python -m evpv_prm.figures stage-gains --metrics verifier={input:q}"
        " --width-in {params.width} --output-stem {params.stem:q} > {log:q} 2>&1"


EXPERIMENTS["stages"] += [
    *rules.tabulate_stage_gains.output,
    *rules.plot_stage_gains.output,
]
