# The summary of a run: beside the paper's numbers, what it took, and all of it on one page.
# Takes the metrics, tables and figures of everything else; gives results/tables/paper_comparison.*,
# results/figures/{paper_comparison,stage_costs}.*, results/report.html and
# results/figures/index.html.

CARDS = [
    f"{RESULTS}/data/{stage.replace('vision_dpo', 'dpo')}/card.json" for stage in STAGES
]
STEP_METRICS = rules.tabulate_step_level.input if CONFIG.step_level else []
STEP_NAMES = STEP_MODES.values() if CONFIG.step_level else []
INTERVENED = INTERVENTION_POLICIES if CONFIG.intervention else []


rule compare_with_paper:
    input:
        best_of_n=rules.tabulate_best_of_n.input,
        step_level=STEP_METRICS[:1],  # with a caption, as in the paper
        categories=(
            rules.plot_error_categories.output[-1:] if CONFIG.makes_verifier else []
        ),
    output:
        table=exhibit("tables", "paper_comparison"),
        figure=exhibit("figures", "paper_comparison"),
    log:
        f"{RESULTS}/logs/compare_with_paper.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_with_paper.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        metrics=lambda wildcards, input: named(CONFIG.policies, input.best_of_n),
        step_level=lambda wildcards, input: [
            f"--step-level={file}" for file in input.step_level
        ],
        categories=lambda wildcards, input: [
            f"--error-categories={file}" for file in input.categories
        ],
        stems=lambda wildcards, output: [
            f"--table-stem={os.path.splitext(output.table[0])[0]}",
            f"--output-stem={os.path.splitext(output.figure[0])[0]}",
        ],
        aggregation=CONFIG.figures.aggregation,
        width=CONFIG.figures.width_in,
        note=[f"--note={CONFIG.diagrams.note}"] if CONFIG.diagrams.note else [],
        code=code_digest("compare_with_paper"),
    message:
        "Compare with the paper"
    shell:
        "python -m evpv_prm.compare_with_paper --best-of-n {params.metrics:q}"
        " {params.step_level:q} {params.categories:q} --aggregation {params.aggregation}"
        " {params.note:q} --width-in {params.width} {params.stems:q} > {log:q} 2>&1"


TABLES = [
    *rules.compare_with_paper.output.table,
    *rules.tabulate_best_of_n.output,
    *experiment_results("tables"),
]
FIGURES = [
    *rules.compare_with_paper.output.figure,
    *rules.plot_bon_gain.output,
    *rules.plot_bon_curves.output,
    *experiment_results("figures"),
    *(file for files in TRAINING_FIGURES for file in files),
]


rule plot_stage_costs:
    input:
        # All that has been timed by then.
        TABLES,
        FIGURES,
        provenance=rules.write_provenance.output,
    output:
        exhibit("figures", "stage_costs"),
    log:
        f"{RESULTS}/logs/plot_stage_costs.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_stage_costs.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        benchmarks=f"{RESULTS}/benchmarks",
        gpus=lambda wildcards: gpus_of_stages(),
        stem=stem,
        width=CONFIG.figures.width_in,
        code=code_digest("stage_costs"),
    message:
        "Plot what the stages took"
    shell:
        "python -m evpv_prm.stage_costs --benchmarks {params.benchmarks:q} --gpus {params.gpus:q}"
        " --provenance {input.provenance:q} --width-in {params.width}"
        " --output-stem {params.stem:q} > {log:q} 2>&1"


FIGURES += rules.plot_stage_costs.output


rule write_report:
    input:
        provenance=rules.write_provenance.output,
        inputs=rules.validate_inputs.output.json,
        best_of_n=rules.tabulate_best_of_n.input,
        step_level=STEP_METRICS,
        interventions=rules.tabulate_intervention.input if CONFIG.intervention else [],
        corruption=rules.summarise_corruption.output if CONFIG.step_level else [],
        ablations=rules.summarise_ablations.output if CONFIG.step_level else [],
        cards=CARDS if CONFIG.makes_verifier else [],
        costs=rules.plot_stage_costs.output[-1],
        tables=TABLES,
        figures=FIGURES,
    output:
        report=f"{RESULTS}/report.html",
        gallery=f"{RESULTS}/figures/index.html",
    log:
        f"{RESULTS}/logs/write_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_report.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        best_of_n=lambda wildcards, input: named(CONFIG.policies, input.best_of_n),
        experiments=lambda wildcards, input: [
            *("--step-level", *named(STEP_NAMES, input.step_level)),
            *("--intervention", *named(INTERVENED, input.interventions)),
            *(f"--corruption={file}" for file in input.corruption),
            *(f"--ablations={file}" for file in input.ablations),
        ],
        case_browser=rules.write_case_browser.output.page,
        tables=[file for file in TABLES if file.endswith(".md")],
        figures=[file for file in FIGURES if file.endswith(".png")],
        code=code_digest("write_report", "run_report.assets", "run_report.captions"),
    message:
        "Write the report"
    shell:
        "python -m evpv_prm.write_report --best-of-n {params.best_of_n:q}"
        " {params.experiments:q} --cards {input.cards:q}"
        " --provenance {input.provenance:q} --inputs {input.inputs:q} --costs {input.costs:q}"
        " --tables {params.tables:q} --figures {params.figures:q}"
        " --case-browser {params.case_browser:q} --output {output.report:q} --gallery {output.gallery:q} > {log:q} 2>&1"
