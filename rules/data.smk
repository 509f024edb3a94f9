# Questions: from the benchmarks' files to shards of checked records.
# Takes the files and image folders that the configuration names; gives
# results/inputs/report.{json,md} and results/questions/BENCHMARK[/SHARD].jsonl.


rule validate_inputs:
    input:
        # Asked only where questions are needed: models and lints do without them.
        lambda wildcards: or_stop(question_files, CONFIG),
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
        checked_inputs=CHECKED,
        mem_mb=4000,
        runtime=30,
    params:
        benchmarks=benchmark_arguments(),
        allowed=CONFIG.max_missing_images,
        code=code_digest("validate_inputs"),
    message:
        "Check all questions and images of the run"
    shell:
        "python -m evpv_prm.validate_inputs {params.benchmarks:q}"
        " --max-missing-images {params.allowed}"
        " --report {output.json:q} --markdown {output.markdown:q} > {log:q} 2>&1"


rule prepare_questions:
    input:
        lambda wildcards: or_stop(question_files, CONFIG, wildcards.benchmark),
    output:
        f"{RESULTS}/questions/{{benchmark}}.jsonl",
    log:
        f"{RESULTS}/logs/prepare_questions/{{benchmark}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_questions/{{benchmark}}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
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
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("split_questions"),
    message:
        "Split the questions of {wildcards.benchmark} into {CONFIG.shards} shard(s)"
    shell:
        "python -m evpv_prm.split_questions --questions {input:q} --outputs {output:q}"
        " > {log:q} 2>&1"
