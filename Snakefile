# The EVPV-PRM reproduction: `snakemake --profile PROFILE [TARGET]`.
# Targets: all (default), data, models, best_of_n, step_level, ablations, gate, intervention, tables,
# figures. Rules live in rules/, logic in evpv_prm/.

from snakemake.utils import min_version

min_version("9.0")

# A configuration file on the command line or in a profile takes the place of config.yaml.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/diagrams.smk"
include: "rules/data.smk"
include: "rules/teacher.smk"
include: "rules/train.smk"
include: "rules/candidates.smk"
include: "rules/verify.smk"
include: "rules/report.smk"


if CONFIG.step_level:

    include: "rules/step_level.smk"
    include: "rules/corruption.smk"
    include: "rules/ablations.smk"
    include: "rules/gate.smk"


if CONFIG.intervention:

    include: "rules/intervention.smk"


localrules:
    all,
    data,
    models,
    best_of_n,
    step_level,
    ablations,
    gate,
    intervention,
    tables,
    figures,


rule all:
    default_target: True
    input:
        rules.validate_inputs.output,
        rules.tabulate_best_of_n.output,
        rules.plot_bon_curves.output,
        rules.write_provenance.output,
        rules.check_leakage.output if MAKES_VERIFIER else [],
        TRAINING_FIGURES,
        EXPERIMENTS.values(),


rule data:
    input:
        rules.describe_images.output,
        rules.build_step_judge_sft_data.output,
        rules.build_dpo_data.output,
        rules.check_leakage.output,
        rules.plot_error_categories.output,


rule models:
    input:
        rules.merge_step_judge.output,
        rules.plot_training_curves.output,


rule best_of_n:
    input:
        rules.validate_inputs.output,
        expand(f"{RESULTS}/metrics/best_of_n/{{policy}}.json", policy=CONFIG.policies),


rule step_level:
    input:
        rules.validate_inputs.output,
        EXPERIMENTS["step_level"],


rule ablations:
    input:
        rules.validate_inputs.output,
        EXPERIMENTS["ablations"],


rule gate:
    input:
        rules.validate_inputs.output,
        EXPERIMENTS["gate"],


rule intervention:
    input:
        rules.validate_inputs.output,
        EXPERIMENTS["intervention"],


rule tables:
    input:
        rules.validate_inputs.output,
        rules.tabulate_best_of_n.output,
        experiment_results("tables"),


rule figures:
    input:
        rules.validate_inputs.output,
        rules.plot_bon_curves.output,
        TRAINING_FIGURES,
        experiment_results("figures"),
