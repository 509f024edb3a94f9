# Trainings: from the training data to the merged verifier.
# Takes results/data/{vision_sft,dpo,step_judge_sft}/ and the base model; gives
# results/models/{vision_sft,vision_dpo,step_judge_sft}/ (adapters), results/models/{described,
# preferred,verifier}/ (merged models) and results/figures/training_curves.{pdf,png,csv}.
# Checkpoints stand in results/models/work, which no rule declares: Snakemake deletes what a failed
# job has declared, and then nothing could go on.

BASE = checkpoint_files(CONFIG, CONFIG.training.base)
# The revision counts for a hub model alone; a folder that this pipeline made has none.
REVISION = (
    [f"--model-revision={CONFIG.training.base_revision}"]
    if CONFIG.training.base_revision
    else []
)
MERGED = f"{RESULTS}/models"
STAGES = [
    "vision_sft",
    *(["vision_dpo"] if CONFIG.training.with_dpo else []),
    "step_judge_sft",
]


rule train_vision_sft:
    input:
        base=BASE,
        images=rules.extract_pairs.output,
        train=f"{RESULTS}/data/vision_sft/train.jsonl",
        validation=f"{RESULTS}/data/vision_sft/validation.jsonl",
    output:
        directory(f"{RESULTS}/models/vision_sft"),
    log:
        f"{RESULTS}/logs/train_vision_sft.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_vision_sft.tsv"
    priority: URGENT
    conda:
        "../envs/models.yaml"
    threads: 16
    resources:
        **trains("train_vision_sft"),
        checked_inputs=1,
    params:
        script="sft_vision",
        model=[f"--model={CONFIG.training.base}", *REVISION],
        gpus=CONFIG.training.gpus,
        validation=validation_options,
        options=render_options(CONFIG.training.vision_sft),
        code=code_digest("training.main", "training.swift_plugin.evpv_callbacks"),
    message:
        "Train the model to describe images"
    shell:
        # Else torch takes all cores, those of the jobs beside it, too.
        "OMP_THREAD_LIMIT={threads}"
        ' python "$SCRIPTS/train/{params.script}.py" {params.model:q}'
        " --train {input.train:q} {params.validation:q} --images-root {input.images:q}"
        " --gpus {params.gpus} --output {output:q} {params.options:q} > {log:q} 2>&1"


rule merge_vision:
    input:
        base=BASE,
        adapter=rules.train_vision_sft.output,
    output:
        directory(f"{MERGED}/described"),
    log:
        f"{RESULTS}/logs/merge_vision.log",
    benchmark:
        f"{RESULTS}/benchmarks/merge_vision.tsv"
    priority: URGENT
    conda:
        "../envs/models.yaml"
    threads: 4
    resources:
        **needs(64, 120),
    params:
        model=[f"--model={CONFIG.training.base}", *REVISION],
        code=code_digest("training.merge"),
    message:
        "Merge the adapter of {input.adapter}"
    shell:
        'python "$SCRIPTS/train/merge_lora.py" {params.model:q}'
        " --adapter {input.adapter:q} --output {output:q} > {log:q} 2>&1"


use rule train_vision_sft as train_dpo with:
    input:
        base=rules.merge_vision.output,
        images=rules.extract_pairs.output,
        train=f"{RESULTS}/data/dpo/train.jsonl",
        validation=f"{RESULTS}/data/dpo/validation.jsonl",
    output:
        directory(f"{RESULTS}/models/vision_dpo"),
    log:
        f"{RESULTS}/logs/train_dpo.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_dpo.tsv"
    resources:
        **trains("train_dpo"),
        checked_inputs=1,
    params:
        script="dpo_vision",
        model=lambda wildcards, input: f"--model={input.base}",
        gpus=CONFIG.training.gpus,
        validation=validation_options,
        options=render_options(CONFIG.training.vision_dpo),
        code=code_digest("training.main", "training.swift_plugin.evpv_callbacks"),
    message:
        "Train the model to prefer right descriptions"


use rule merge_vision as merge_dpo with:
    input:
        base=rules.merge_vision.output,
        adapter=rules.train_dpo.output,
    output:
        directory(f"{MERGED}/preferred"),
    log:
        f"{RESULTS}/logs/merge_dpo.log",
    benchmark:
        f"{RESULTS}/benchmarks/merge_dpo.tsv"
    params:
        model=lambda wildcards, input: f"--model={input.base}",
        code=code_digest("training.merge"),


JUDGE_BASE = (
    rules.merge_dpo.output if CONFIG.training.with_dpo else rules.merge_vision.output
)


use rule train_vision_sft as train_step_judge with:
    input:
        base=JUDGE_BASE,
        images=rules.extract_pairs.output,
        train=f"{RESULTS}/data/step_judge_sft/train.jsonl",
        validation=f"{RESULTS}/data/step_judge_sft/validation.jsonl",
    output:
        directory(f"{RESULTS}/models/step_judge_sft"),
    log:
        f"{RESULTS}/logs/train_step_judge.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_step_judge.tsv"
    resources:
        **trains("train_step_judge"),
        checked_inputs=1,
    params:
        script="sft_step_judge",
        model=lambda wildcards, input: f"--model={input.base}",
        gpus=CONFIG.training.gpus,
        validation=validation_options,
        options=render_options(CONFIG.training.step_judge_sft),
        code=code_digest("training.main", "training.swift_plugin.evpv_callbacks"),
    message:
        "Train the model to judge steps"


use rule merge_vision as merge_step_judge with:
    input:
        base=JUDGE_BASE,
        adapter=rules.train_step_judge.output,
    output:
        directory(f"{MERGED}/verifier"),
    log:
        f"{RESULTS}/logs/merge_step_judge.log",
    benchmark:
        f"{RESULTS}/benchmarks/merge_step_judge.tsv"
    params:
        model=lambda wildcards, input: f"--model={input.base}",
        code=code_digest("training.merge"),


rule plot_training_curves:
    input:
        expand(f"{RESULTS}/models/{{stage}}", stage=STAGES),
    output:
        exhibit("figures", "training_curves"),
    log:
        f"{RESULTS}/logs/plot_training_curves.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_training_curves.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        logs=lambda wildcards, input: named(
            STAGES, [f"{folder}/logging.jsonl" for folder in input]
        ),
        stem=stem,
        width=CONFIG.figures.width_in,
        code=code_digest("training_curves"),
    message:
        "Plot how the trainings went"
    shell:
        "python -m evpv_prm.training_curves --log {params.logs:q} --width-in {params.width}"
        " --output-stem {params.stem:q} > {log:q} 2>&1"


# A verifier from elsewhere has none.
TRAINING_FIGURES = []
if CONFIG.makes_verifier:
    TRAINING_FIGURES += [
        rules.plot_error_categories.output,
        rules.plot_training_curves.output,
    ]

TRAINING_DATA = [
    rules.describe_images.output,
    rules.build_step_judge_sft_data.output,
    rules.build_dpo_data.output,
    rules.check_leakage.output,
    rules.plot_error_categories.output,
]
