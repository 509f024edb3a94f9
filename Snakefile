# The EVPV-PRM reproduction: `snakemake --profile PROFILE [TARGET]`.
# Targets: all (default) and the keys of TARGETS below. Rules live in rules/, logic in evpv_prm/.

import shutil
import sys

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


if CONFIG.stages:

    include: "rules/stages.smk"


include: "rules/claims.smk"
include: "rules/summary.smk"


TARGETS = {
    "data": TRAINING_DATA,
    "models": [rules.merge_step_judge.output, rules.plot_training_curves.output],
    "best_of_n": rules.tabulate_best_of_n.input,
    **EXPERIMENTS,
    "claims": CLAIMS,
    "tables": TABLES,
    "figures": FIGURES,
    "report": rules.write_report.output,
    "cases": rules.write_case_browser.output.page,
}


rule all:
    default_target: True
    input:
        rules.validate_inputs.output,
        [TABLES, FIGURES, rules.write_provenance.output, rules.write_report.output],
        rules.check_leakage.output if CONFIG.makes_verifier else [],
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


onerror:
    # A job cannot write that to its log: it is on the same disk.
    if shutil.disk_usage(RESULTS).free < 2**20:
        print(
            f"error: no space left for {RESULTS}: make room and run again",
            file=sys.stderr,
        )
