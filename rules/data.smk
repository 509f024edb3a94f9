# Inputs: the benchmarks' questions in shards, and pairs of solutions to train on.
# Takes the files and folders that the configuration names; gives results/inputs/report.{json,md},
# results/questions/BENCHMARK[/SHARD].jsonl, results/data/pairs/SUBSET/ and results/data/leakage.json.

QUESTIONS = f"{RESULTS}/questions/{{benchmark}}.jsonl"


rule validate_inputs:
    input:
        # Asked only where questions are needed: models and lints do without them.
        lambda wildcards: from_outside(question_files) + from_outside(solution_files),
    output:
        json=f"{RESULTS}/inputs/report.json",
        markdown=f"{RESULTS}/inputs/report.md",
    log:
        f"{RESULTS}/logs/validate_inputs.log",
    benchmark:
        f"{RESULTS}/benchmarks/validate_inputs.tsv"
    priority: 100
    conda:
        "../envs/analysis.yaml"
    threads: 8
    resources:
        **needs(4, 30),
        checked_inputs=CHECKED,
    params:
        benchmarks=benchmark_arguments(),
        models=model_arguments(),
        allowed=CONFIG.max_missing_images,
        code=code_digest("validate_inputs"),
    message:
        "Check all questions and images of the run"
    shell:
        "python -m evpv_prm.validate_inputs {params.benchmarks:q} {params.models:q}"
        " --max-missing-images {params.allowed}"
        " --report {output.json:q} --markdown {output.markdown:q} > {log:q} 2>&1"


rule prepare_questions:
    input:
        lambda wildcards: from_outside(question_files, wildcards.benchmark),
    output:
        QUESTIONS,
    log:
        f"{RESULTS}/logs/prepare_questions/{{benchmark}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_questions/{{benchmark}}.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        datasource=lambda wildcards: CONFIG.benchmarks[wildcards.benchmark].datasource
        or wildcards.benchmark,
        limit=lambda wildcards: (
            [f"--limit={limit}"]
            if (limit := CONFIG.benchmarks[wildcards.benchmark].limit)
            else []
        ),
        code=code_digest("prepare_questions"),
    message:
        "Select the questions of {wildcards.benchmark} and give each its pid"
    shell:
        "python -m evpv_prm.prepare_questions --questions {input:q}"
        " --datasource {params.datasource:q} {params.limit:q} --output {output:q} > {log:q} 2>&1"


rule split_questions:
    input:
        rules.prepare_questions.output,
    output:
        scatter.shards(f"{RESULTS}/questions/{{{{benchmark}}}}/{{scatteritem}}.jsonl"),
    log:
        f"{RESULTS}/logs/split_questions/{{benchmark}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/split_questions/{{benchmark}}.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        code=code_digest("split_questions"),
    message:
        "Split the questions of {wildcards.benchmark} into {CONFIG.shards} shard(s)"
    shell:
        "python -m evpv_prm.split_questions --questions {input:q} --outputs {output:q}"
        " > {log:q} 2>&1"


# Runs only when it is asked for by name: 75 GB are no side effect. Its folder is not declared, so
# that a download that was interrupted goes on.
rule download_visualprm400k:
    output:
        f"{CONFIG.data_set.folder}/{MANIFEST}",
    log:
        f"{RESULTS}/logs/download_visualprm400k.log",
    priority: URGENT
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2, 2880),
    params:
        options=render_options(CONFIG.data_set.download),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    message:
        "Fetch and unpack the labelled solutions"
    shell:
        'python "$SCRIPTS/data/download_visualprm400k.py" --output {params.folder:q}'
        " {params.options:q} > {log:q} 2>&1"


rule download_model:
    output:
        f"{MODELS}/{{download}}/{MANIFEST}",
    log:
        f"{RESULTS}/logs/download_model/{{download}}.log",
    conda:
        "../envs/models.yaml"
    resources:
        **needs(2, 720),
    params:
        options=lambda wildcards: render_options(CONFIG.downloads[wildcards.download]),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    message:
        "Fetch the model {wildcards.download}"
    shell:
        'python "$SCRIPTS/data/download_model.py" --output {params.folder:q}'
        " {params.options:q} > {log:q} 2>&1"


rule extract_pairs:
    input:
        # Asked only where pairs are needed: a verifier that is there does without them.
        lambda wildcards: from_outside(annotation_files),
    output:
        directory(f"{RESULTS}/data/pairs"),
    log:
        f"{RESULTS}/logs/extract_pairs.log",
    benchmark:
        f"{RESULTS}/benchmarks/extract_pairs.tsv"
    priority: URGENT
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2, 120),
    params:
        folder=CONFIG.data_set.folder,
        options=render_options(CONFIG.data_set.pairs),
        code=code_digest("data.pairs"),
    message:
        "Pair the right and the wrong solutions of each question"
    shell:
        'python "$SCRIPTS/data/extract_preference_pairs.py"'
        " --annotations {params.folder:q}/annotations --images {params.folder:q}/images"
        " --output {output:q} {params.options:q} > {log:q} 2>&1"


rule check_leakage:
    input:
        pairs=rules.extract_pairs.output,
        questions=expand(QUESTIONS, benchmark=CONFIG.benchmarks),
    output:
        f"{RESULTS}/data/leakage.json",
    log:
        f"{RESULTS}/logs/check_leakage.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_leakage.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 8
    resources:
        **needs(4, 120),
    params:
        benchmarks=lambda wildcards, input: [
            word
            for (name, benchmark), questions in zip(
                CONFIG.benchmarks.items(), input.questions, strict=True
            )
            for word in ("--benchmark", name, questions, benchmark.images)
        ],
        code=code_digest("check_leakage"),
    message:
        "Look for the benchmarks' images and questions in the training data"
    shell:
        'python "$SCRIPTS/data/check_leakage.py" --pairs {input.pairs:q}/*/swiftdata.jsonl'
        " --images {input.pairs:q} {params.benchmarks:q} --workers {threads}"
        " --output {output:q} > {log:q} 2>&1"
