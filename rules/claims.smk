# The method's claims put to the test: which hold, which are not shown, which are contradicted.
# Takes the metrics of all experiments and, where facts are known, results/scored/; gives
# results/metrics/claims.json, and the table and the figure claims.

CLAIM_FACTS = CONFIG.stages.facts if CONFIG.stages else None
CLAIM_POLICIES = INTERVENTION_POLICIES if CONFIG.intervention else []
# Only where it is known what the pictures show, the candidates themselves are looked at.
CLAIM_SCORED = list(zip(SCORED_BY, SCORED)) if CLAIM_FACTS else []


rule examine_claims:
    input:
        best_of_n=rules.tabulate_best_of_n.input,
        scored=[file for _, file in CLAIM_SCORED],
        facts=[CLAIM_FACTS] if CLAIM_FACTS else [],
        corruption=rules.summarise_corruption.output if CONFIG.step_level else [],
        interventions=rules.tabulate_intervention.input if CONFIG.intervention else [],
        stages=[rules.compute_stage_gains.output.json] if CONFIG.stages else [],
    output:
        json=f"{RESULTS}/metrics/claims.json",
        markdown=f"{RESULTS}/metrics/claims.md",
    log:
        f"{RESULTS}/logs/examine_claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/examine_claims.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(4, 30),
    params:
        evidence=lambda wildcards, input: [
            *("--best-of-n", *named(CONFIG.policies, input.best_of_n)),
            *(
                "--scored",
                *named([policy for policy, _ in CLAIM_SCORED], input.scored),
            ),
            *("--intervention", *named(CLAIM_POLICIES, input.interventions)),
            *(f"--facts={file}" for file in input.facts),
            *(f"--corruption={file}" for file in input.corruption),
            *(f"--stages={file}" for file in input.stages),
        ],
        aggregation=CONFIG.figures.aggregation,
        samples=CONFIG.best_of_n.bootstrap_samples,
        seed=CONFIG.seed,
        code=code_digest("tabulate_claims"),
    message:
        "Put the method's claims to the test"
    shell:
        "python -m evpv_prm.tabulate_claims {params.evidence:q}"
        " --aggregation {params.aggregation} --output {output.json:q}"
        " --markdown {output.markdown:q} --bootstrap-samples {params.samples}"
        " --seed {params.seed} > {log:q} 2>&1"


rule tabulate_claims:
    input:
        rules.examine_claims.output.json,
    output:
        exhibit("tables", "claims"),
    log:
        f"{RESULTS}/logs/tabulate_claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/tabulate_claims.tsv"
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
        "Tabulate the method's claims"
    shell:
        "python -m evpv_prm.tables claims --metrics run={input:q} {params.note:q}"
        " --output-stem {params.stem:q} > {log:q} 2>&1"


rule plot_claims:
    input:
        rules.examine_claims.output.json,
    output:
        exhibit("figures", "claims"),
    log:
        f"{RESULTS}/logs/plot_claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_claims.tsv"
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
        "Plot the differences behind the method's claims"
    shell:
        "python -m evpv_prm.figures claims --metrics run={input:q}"
        " --width-in {params.width} --output-stem {params.stem:q} > {log:q} 2>&1"


CLAIMS = [*rules.tabulate_claims.output, *rules.plot_claims.output]
if CONFIG.claims:
    EXPERIMENTS["claims"] = CLAIMS
