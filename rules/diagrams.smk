# The demo's inputs: a synthetic world of diagrams and tiny models, trained or with random weights.
# Takes nothing; gives results/world/, results/visualprm/ and results/tiny/. Runs only where the
# configuration asks for these files.


rule make_world:
    output:
        benchmarks=f"{RESULTS}/world/benchmarks.jsonl",
        mmmu=f"{RESULTS}/world/mmmu.jsonl",
        facts=f"{RESULTS}/world/facts.jsonl",
        solutions=f"{RESULTS}/world/visualprocessbench.jsonl",
        images=directory(f"{RESULTS}/world/images"),
    log:
        f"{RESULTS}/logs/make_world.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_world.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        questions=CONFIG.diagrams.questions_per_datasource,
        solutions=CONFIG.diagrams.solutions,
        difficulty=CONFIG.diagrams.difficulty,
        seed=CONFIG.diagrams.seed,
        folder=lambda wildcards, output: os.path.dirname(output.benchmarks),
        code=code_digest("diagrams.make_world"),
    message:
        "Draw the synthetic diagrams"
    shell:
        "python -m evpv_prm.diagrams.make_world --output {params.folder:q}"
        " --questions-per-datasource {params.questions} --solutions {params.solutions}"
        " --difficulty {params.difficulty} --seed {params.seed} > {log:q} 2>&1"


rule make_visualprm:
    output:
        annotations=directory(f"{RESULTS}/visualprm/annotations"),
        images=directory(f"{RESULTS}/visualprm/images"),
        truth=f"{RESULTS}/visualprm/truth.jsonl",
    log:
        f"{RESULTS}/logs/make_visualprm.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_visualprm.tsv"
    priority: URGENT
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        questions=CONFIG.diagrams.training_questions_per_subset,
        difficulty=CONFIG.diagrams.difficulty,
        seed=CONFIG.diagrams.seed,
        folder=lambda wildcards, output: os.path.dirname(output.truth),
        code=code_digest("diagrams.make_visualprm"),
    message:
        "Draw synthetic diagrams with labelled solutions"
    shell:
        "python -m evpv_prm.diagrams.make_visualprm --output {params.folder:q}"
        " --questions-per-subset {params.questions} --difficulty {params.difficulty}"
        " --seed {params.seed} > {log:q} 2>&1"


rule build_tiny_model:
    output:
        directory(f"{RESULTS}/tiny/{{architecture}}"),
    log:
        f"{RESULTS}/logs/build_tiny_model/{{architecture}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_tiny_model/{{architecture}}.tsv"
    wildcard_constraints:
        architecture="qwen25vl|internvl",
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        **needs(4, 10),
    params:
        seed=CONFIG.diagrams.seed,
        code=lambda wildcards: code_digest(
            f"diagrams.tiny_{wildcards.architecture}", "diagrams.weights"
        ),
    message:
        "Build a tiny random {wildcards.architecture} model"
    shell:
        "python -m evpv_prm.diagrams.tiny_{wildcards.architecture} --output {output:q}"
        " --seed {params.seed} > {log:q} 2>&1"


rule expand_tiny_model:
    output:
        directory(f"{RESULTS}/tiny/{{trained}}"),
    log:
        f"{RESULTS}/logs/expand_tiny_model/{{trained}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/expand_tiny_model/{{trained}}.tsv"
    wildcard_constraints:
        trained="policy|verifier",
    priority: URGENT
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        **needs(4, 10),
    params:
        code=code_digest("diagrams.expand_weights", "diagrams.weights"),
    message:
        "Write the directory of the trained tiny {wildcards.trained}"
    shell:
        "python -m evpv_prm.diagrams.expand_weights --model {wildcards.trained} --output {output:q}"
        " > {log:q} 2>&1"


rule trim_vocabulary:
    input:
        lambda wildcards: (
            CONFIG.training.base
            if wildcards.name == "base"
            else f"{RESULTS}/models/{wildcards.name}"
        ),
    output:
        directory(f"{TRIMMED}/{{name}}"),
    log:
        f"{RESULTS}/logs/trim_vocabulary/{{name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/trim_vocabulary/{{name}}.tsv"
    wildcard_constraints:
        name="base|described|preferred|verifier",
    priority: URGENT
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        **needs(4, 10),
    params:
        code=code_digest("diagrams.trim_vocabulary", "diagrams.weights"),
    message:
        "Leave the unused tokens out of {input}"
    shell:
        "python -m evpv_prm.diagrams.trim_vocabulary --model {input:q} --output {output:q}"
        " > {log:q} 2>&1"
