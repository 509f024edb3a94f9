# Training data: a teacher describes the images and judges the steps of the paired solutions.
# Takes results/data/pairs/ and the teacher; gives results/data/{vision_sft,step_judge_sft,dpo}/
# {train,validation}.jsonl with data cards, results/data/described/ and
# results/figures/error_categories.{pdf,png,csv}.

TEACHER = CONFIG.teacher


rule describe_images:
    input:
        pairs=rules.extract_pairs.output,
        model=model_files(CONFIG, TEACHER),
        truth=truth(),
        tokenizer=checkpoint_files(CONFIG, CONFIG.training.base),
    output:
        files=[f"{RESULTS}/data/vision_sft/{name}" for name in TRAINING_FILES],
        descriptions=f"{RESULTS}/data/vision_sft/descriptions.jsonl",
    log:
        f"{RESULTS}/logs/describe_images.log",
    benchmark:
        f"{RESULTS}/benchmarks/describe_images.tsv"
    priority: URGENT
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(TEACHER, 2880),
        checked_inputs=1,
    params:
        server=teacher_beside(),
        files=lambda wildcards, output: file_options(output.files),
        tokenizer=tokenizer_options,
        options=render_options(CONFIG.teacher_data.descriptions),
        engine=engine_flags(TEACHER),
        store=f"{RESULTS}/store",
        code=teacher_code("build_vision_sft_data"),
    message:
        "Have the teacher describe the images"
    shell:
        '{params.server:q} python "$SCRIPTS/data/build_vision_sft_data.py"'
        " --pairs {input.pairs:q}/*/swiftdata.jsonl --images {input.pairs:q}"
        " --descriptions {output.descriptions:q} {params.files:q} {params.tokenizer:q}"
        " --store {params.store:q} {params.options:q} {params.engine:q} > {log:q} 2>&1"


rule merge_vision_descriptions:
    input:
        pairs=rules.extract_pairs.output,
        descriptions=rules.describe_images.output.descriptions,
    output:
        pairs=directory(f"{RESULTS}/data/described"),
        report=f"{RESULTS}/data/described.json",
    log:
        f"{RESULTS}/logs/merge_vision_descriptions.log",
    benchmark:
        f"{RESULTS}/benchmarks/merge_vision_descriptions.tsv"
    priority: URGENT
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2, 60),
    params:
        code=code_digest("merge_vision_descriptions"),
    message:
        "Add the descriptions to the solutions"
    shell:
        "cd {input.pairs:q}; subsets=(*/swiftdata.jsonl); cd - > /dev/null;"
        ' python "$SCRIPTS/data/merge_vision_descriptions.py"'
        ' --pairs "${{subsets[@]/#/{input.pairs}/}}" --outputs "${{subsets[@]/#/{output.pairs}/}}"'
        " --descriptions {input.descriptions:q} --report {output.report:q} > {log:q} 2>&1"


rule build_step_judge_sft_data:
    input:
        pairs=rules.extract_pairs.output,
        described=rules.merge_vision_descriptions.output.pairs,
        model=model_files(CONFIG, TEACHER),
        truth=truth(),
        tokenizer=checkpoint_files(CONFIG, CONFIG.training.base),
    output:
        files=[f"{RESULTS}/data/step_judge_sft/{name}" for name in TRAINING_FILES],
        labels=f"{RESULTS}/data/step_judge_sft/labels.jsonl",
    log:
        f"{RESULTS}/logs/build_step_judge_sft_data.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_step_judge_sft_data.tsv"
    priority: URGENT
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(TEACHER, 2880),
        checked_inputs=1,
    params:
        server=teacher_beside(),
        files=lambda wildcards, output: file_options(output.files),
        tokenizer=tokenizer_options,
        options=render_options(CONFIG.teacher_data.steps),
        reply=JUDGE_REPLY,
        history=CONFIG.scoring.history_steps,
        engine=engine_flags(TEACHER),
        store=f"{RESULTS}/store",
        code=teacher_code("build_step_judge_sft_data"),
    message:
        "Have the teacher judge the steps of the solutions"
    shell:
        '{params.server:q} python "$SCRIPTS/data/build_step_judge_sft_data.py"'
        " --pairs {input.described:q}/*/swiftdata.jsonl --images {input.pairs:q}"
        " --labels {output.labels:q} --history-steps {params.history} {params.reply:q}"
        " {params.files:q} {params.tokenizer:q}"
        " --store {params.store:q} {params.options:q} {params.engine:q} > {log:q} 2>&1"


rule plot_error_categories:
    input:
        rules.build_step_judge_sft_data.output.labels,
    output:
        exhibit("figures", "error_categories"),
    log:
        f"{RESULTS}/logs/plot_error_categories.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_error_categories.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(4, 30),
    params:
        stem=stem,
        width=CONFIG.figures.width_in,
        code=code_digest("error_categories"),
    message:
        "Plot what is wrong with the wrong steps"
    shell:
        "python -m evpv_prm.error_categories --labels {input:q} --width-in {params.width}"
        " --output-stem {params.stem:q} > {log:q} 2>&1"


# Only a teacher that spoils the descriptions is asked.
SPOILT_BY_TEACHER = CONFIG.teacher_data.preferences.corrupted_by == "teacher"


rule build_dpo_data:
    input:
        pairs=rules.extract_pairs.output,
        descriptions=rules.describe_images.output.descriptions,
        model=model_files(CONFIG, TEACHER) if SPOILT_BY_TEACHER else [],
        truth=truth() if SPOILT_BY_TEACHER else [],
        tokenizer=checkpoint_files(CONFIG, CONFIG.training.base),
    output:
        files=[f"{RESULTS}/data/dpo/{name}" for name in TRAINING_FILES],
    log:
        f"{RESULTS}/logs/build_dpo_data.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_dpo_data.tsv"
    priority: URGENT
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **(serves(TEACHER, 1440) if SPOILT_BY_TEACHER else needs(4, 60)),
        checked_inputs=1,
    params:
        server=teacher_beside() if SPOILT_BY_TEACHER else [],
        files=lambda wildcards, output: file_options(output.files),
        tokenizer=tokenizer_options,
        options=render_options(CONFIG.teacher_data.preferences),
        engine=(
            [f"--store={RESULTS}/store", *engine_flags(TEACHER)]
            if SPOILT_BY_TEACHER
            else [f"--seed={CONFIG.seed}"]
        ),
        code=(
            teacher_code("build_dpo_data")
            if SPOILT_BY_TEACHER
            else code_digest("build_dpo_data")
        ),
    message:
        "Spoil the descriptions"
    shell:
        '{params.server:q} python "$SCRIPTS/data/build_dpo_data.py"'
        " --descriptions {input.descriptions:q} --images {input.pairs:q}"
        " {params.files:q} {params.tokenizer:q}"
        " {params.options:q} {params.engine:q} > {log:q} 2>&1"
