# Candidates: each policy answers every question several times.
# Takes results/questions/BENCHMARK/SHARD.jsonl and the policy models; gives
# results/candidates/POLICY/BENCHMARK/SHARD.jsonl.


rule generate_candidates:
    input:
        questions=f"{RESULTS}/questions/{{benchmark}}/{{scatteritem}}.jsonl",
        model=lambda wildcards: model_files(CONFIG, CONFIG.policies[wildcards.policy]),
    output:
        f"{RESULTS}/candidates/{{policy}}/{{benchmark}}/{{scatteritem}}.jsonl",
    log:
        f"{RESULTS}/logs/generate_candidates/{{policy}}/{{benchmark}}/{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/generate_candidates/{{policy}}/{{benchmark}}/{{scatteritem}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(lambda wildcards: CONFIG.policies[wildcards.policy], 720),
        checked_inputs=1,
    params:
        images=lambda wildcards: CONFIG.benchmarks[wildcards.benchmark].images,
        options=render_options(CONFIG.candidates),
        engine=lambda wildcards: engine_flags(CONFIG.policies[wildcards.policy]),
        store=f"{RESULTS}/store",
        code=code_digest("policy_inference"),
    message:
        "Sample candidates of {wildcards.policy} for {wildcards.benchmark}, shard {wildcards.scatteritem}"
    shell:
        "python -m evpv_prm.policy_inference --questions {input.questions:q}"
        " --images {params.images:q} --output {output:q} --store {params.store:q}"
        " {params.options:q} {params.engine:q} > {log:q} 2>&1"
