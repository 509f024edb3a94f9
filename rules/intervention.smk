# Perception intervention: what the policy gets right, and how its steps are judged, when what there
# is to see is described to it, described wrongly, or taken away.
# Takes results/questions/BENCHMARK.jsonl, the teacher, the policy and the verifier; gives
# results/intervention/, results/metrics/intervention/POLICY.json and their table and figure.

INTERVENTION_POLICIES = CONFIG.intervention.policies or list(CONFIG.policies)[:1]
INTERVENTION_BENCHMARKS = CONFIG.intervention.benchmarks or list(CONFIG.benchmarks)
WORLD_FACTS = truth(f"{RESULTS}/world/facts.jsonl")


rule describe_for_intervention:
    input:
        questions=rules.prepare_questions.output,
        model=model_files(CONFIG, TEACHER),
        truth=WORLD_FACTS,
    output:
        f"{RESULTS}/intervention/described/{{benchmark}}.jsonl",
    log:
        f"{RESULTS}/logs/describe_for_intervention/{{benchmark}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/describe_for_intervention/{{benchmark}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(TEACHER, 1440),
        checked_inputs=1,
    params:
        server=teacher_beside(WORLD_FACTS),
        images=lambda wildcards: CONFIG.benchmarks[wildcards.benchmark].images,
        options=render_options(CONFIG.intervention.describing),
        engine=engine_flags(TEACHER),
        store=f"{RESULTS}/store",
        code=teacher_code("perception_intervention"),
    message:
        "Have the teacher describe the images of {wildcards.benchmark}"
    shell:
        "{params.server:q} python -m evpv_prm.perception_intervention --stage describe"
        " --questions {input.questions:q} --images {params.images:q} --output {output:q}"
        " --store {params.store:q} {params.options:q} {params.engine:q} > {log:q} 2>&1"


rule answer_under_intervention:
    input:
        questions=rules.describe_for_intervention.output,
        model=lambda wildcards: model_files(CONFIG, CONFIG.policies[wildcards.policy]),
    output:
        f"{RESULTS}/intervention/answered/{{policy}}/{{benchmark}}.jsonl",
    log:
        f"{RESULTS}/logs/answer_under_intervention/{{policy}}/{{benchmark}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer_under_intervention/{{policy}}/{{benchmark}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(lambda wildcards: CONFIG.policies[wildcards.policy], 720),
        checked_inputs=1,
    params:
        images=lambda wildcards: CONFIG.benchmarks[wildcards.benchmark].images,
        options=render_options(CONFIG.intervention.solving),
        engine=lambda wildcards: engine_flags(CONFIG.policies[wildcards.policy]),
        store=f"{RESULTS}/store",
        code=code_digest("perception_intervention"),
    message:
        "Have {wildcards.policy} answer {wildcards.benchmark} under each condition"
    shell:
        "python -m evpv_prm.perception_intervention --stage solve"
        " --questions {input.questions:q} --images {params.images:q} --output {output:q}"
        " --store {params.store:q} {params.options:q} {params.engine:q} > {log:q} 2>&1"


rule judge_intervention:
    input:
        questions=rules.answer_under_intervention.output,
        model=model_files(CONFIG, CONFIG.verifier),
    output:
        f"{RESULTS}/intervention/judged/{{policy}}/{{benchmark}}.jsonl",
    log:
        f"{RESULTS}/logs/judge_intervention/{{policy}}/{{benchmark}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/judge_intervention/{{policy}}/{{benchmark}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 8
    resources:
        **serves(CONFIG.verifier, 720),
        checked_inputs=1,
    params:
        images=lambda wildcards: CONFIG.benchmarks[wildcards.benchmark].images,
        options=render_options(CONFIG.intervention.judging),
        reply=JUDGE_REPLY,
        engine=engine_flags(CONFIG.verifier),
        store=f"{RESULTS}/store",
        code=code_digest("perception_intervention"),
    message:
        "Judge the steps of {wildcards.policy} for {wildcards.benchmark} under each condition"
    shell:
        "python -m evpv_prm.perception_intervention --stage judge"
        " --questions {input.questions:q} --images {params.images:q} --output {output:q}"
        " --store {params.store:q} {params.options:q} {params.reply:q} {params.engine:q} > {log:q} 2>&1"


rule compute_intervention_metrics:
    input:
        expand(
            f"{RESULTS}/intervention/judged/{{policy}}/{{benchmark}}.jsonl",
            benchmark=INTERVENTION_BENCHMARKS,
            allow_missing=True,
        ),
    output:
        json=f"{RESULTS}/metrics/intervention/{{policy}}.json",
        markdown=f"{RESULTS}/metrics/intervention/{{policy}}.md",
    log:
        f"{RESULTS}/logs/compute_intervention_metrics/{{policy}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compute_intervention_metrics/{{policy}}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(2, 30),
    params:
        samples=CONFIG.intervention.bootstrap_samples,
        seed=CONFIG.seed,
        code=code_digest("compute_intervention_metrics"),
    message:
        "Compute what the intervention changed for {wildcards.policy}"
    shell:
        "python -m evpv_prm.compute_intervention_metrics --judged {input:q}"
        " --output {output.json:q} --markdown {output.markdown:q}"
        " --bootstrap-samples {params.samples} --seed {params.seed} > {log:q} 2>&1"


rule tabulate_intervention:
    input:
        expand(
            f"{RESULTS}/metrics/intervention/{{policy}}.json",
            policy=INTERVENTION_POLICIES,
        ),
    output:
        exhibit("tables", "intervention"),
    log:
        f"{RESULTS}/logs/tabulate_intervention.log",
    benchmark:
        f"{RESULTS}/benchmarks/tabulate_intervention.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        metrics=lambda wildcards, input: named(INTERVENTION_POLICIES, input),
        stem=stem,
        note=[f"--note={CONFIG.diagrams.note}"] if CONFIG.diagrams.note else [],
        code=code_digest("tables"),
    message:
        "Tabulate the perception intervention"
    shell:
        "python -m evpv_prm.tables intervention --metrics {params.metrics:q}"
        " {params.note:q} --output-stem {params.stem:q} > {log:q} 2>&1"


rule plot_intervention:
    input:
        rules.tabulate_intervention.input,
    output:
        exhibit("figures", "intervention"),
    log:
        f"{RESULTS}/logs/plot_intervention.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_intervention.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        metrics=rules.tabulate_intervention.params.metrics,
        stem=stem,
        width=CONFIG.figures.width_in,
        code=code_digest("figures"),
    message:
        "Plot the perception intervention"
    shell:
        "python -m evpv_prm.figures intervention --metrics {params.metrics:q}"
        " --width-in {params.width} --output-stem {params.stem:q} > {log:q} 2>&1"


EXPERIMENTS["intervention"] += [
    *rules.tabulate_intervention.output,
    *rules.plot_intervention.output,
]
