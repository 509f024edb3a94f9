# The EVPV-PRM reproduction: `snakemake --profile PROFILE [TARGET]`.
# Targets: all (default) and the keys of TARGETS below. Rules live in rules/, logic in evpv_prm/.

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
include: "rules/cases.smk"
include: "rules/status.smk"
include: "rules/plan.smk"


if CONFIG.step_level:

    include: "rules/step_level.smk"
    include: "rules/corruption.smk"
    include: "rules/ablations.smk"
    include: "rules/gate.smk"


if CONFIG.intervention:

    include: "rules/intervention.smk"


BON_TABLES, BON_CURVES = rules.tabulate_best_of_n.output, rules.plot_bon_curves.output
TRAINING_DATA = [
    rules.describe_images.output,
    rules.build_step_judge_sft_data.output,
    rules.build_dpo_data.output,
    rules.check_leakage.output,
    rules.plot_error_categories.output,
]
TARGETS = {
    "data": TRAINING_DATA,
    "models": [rules.merge_step_judge.output, rules.plot_training_curves.output],
    "best_of_n": expand(BEST_OF_N, policy=CONFIG.policies),
    **EXPERIMENTS,
    "tables": [BON_TABLES, experiment_results("tables")],
    "figures": [BON_CURVES, TRAINING_FIGURES, experiment_results("figures")],
    "cases": rules.write_case_browser.output.page,
}


rule all:
    default_target: True
    input:
        rules.validate_inputs.output,
        [BON_TABLES, BON_CURVES, rules.write_provenance.output],
        [rules.check_leakage.output, TRAINING_FIGURES] if CONFIG.makes_verifier else [],
        EXPERIMENTS.values(),
        TARGETS["cases"],
    localrule: True


for target, files in TARGETS.items():

    rule:
        name:
            target
        input:
            # The benchmarks' questions say nothing about the training.
            rules.validate_inputs.output if target not in ("data", "models") else [],
            files,
        localrule: True
