# Scores: the verifier describes, audits and judges; Best-of-N metrics follow.
# Takes results/candidates/POLICY/BENCHMARK/SHARD.jsonl and the verifier; gives
# results/scored/POLICY/BENCHMARK/SHARD.jsonl and results/metrics/best_of_n/POLICY.json.

# All scored files, and whose candidates each holds.
SCORED = [file for policy in CONFIG.policies for file in scored_files(policy)]
SCORED_BY = [policy for policy in CONFIG.policies for _ in scored_files(policy)]
BEST_OF_N = f"{RESULTS}/metrics/best_of_n/{{policy}}.json"


rule score_candidates:
    input:
        candidates=rules.generate_candidates.output,
        model=model_files(CONFIG, CONFIG.verifier),
    output:
        f"{RESULTS}/scored/{{policy}}/{{benchmark}}/{{scatteritem}}.jsonl",
    log:
        f"{RESULTS}/logs/score_candidates/{{policy}}/{{benchmark}}/{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/score_candidates/{{policy}}/{{benchmark}}/{{scatteritem}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(CONFIG.verifier, 720),
        checked_inputs=1,
    params:
        images=lambda wildcards: CONFIG.benchmarks[wildcards.benchmark].images,
        options=render_options(CONFIG.scoring),
        reply=JUDGE_REPLY,
        engine=engine_flags(CONFIG.verifier),
        store=f"{RESULTS}/store",
        code=code_digest("evpv_prm_inference"),
    message:
        "Score the candidates of {wildcards.policy} for {wildcards.benchmark}, shard {wildcards.scatteritem}"
    shell:
        "python -m evpv_prm.evpv_prm_inference --candidates {input.candidates:q}"
        " --images {params.images:q} --output {output:q} --store {params.store:q}"
        " {params.options:q} {params.reply:q} {params.engine:q} > {log:q} 2>&1"


rule compute_bon_metrics:
    input:
        lambda wildcards: scored_files(wildcards.policy),
    output:
        json=BEST_OF_N,
        markdown=f"{RESULTS}/metrics/best_of_n/{{policy}}.md",
    log:
        f"{RESULTS}/logs/compute_bon_metrics/{{policy}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_bon_metrics/{{policy}}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2, 30),
    params:
        aggregations=CONFIG.best_of_n.aggregations,
        samples=CONFIG.best_of_n.bootstrap_samples,
        seed=CONFIG.seed,
        code=code_digest("compute_bon_metrics"),
    message:
        "Compute Pass@k and BoN@k of {wildcards.policy}"
    shell:
        "python -m evpv_prm.compute_bon_metrics --scored {input:q} --output {output.json:q}"
        " --markdown {output.markdown:q} --aggregations {params.aggregations:q}"
        " --bootstrap-samples {params.samples}"
        " --seed {params.seed} > {log:q} 2>&1"
