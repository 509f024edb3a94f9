# What all rules share: the validated configuration, wildcards, and how a rule calls a command.
# Takes config.yaml (or the file given instead); gives CONFIG, RESULTS and the functions below.

import json
import os
import sys
from pathlib import Path
from functools import partial
from types import SimpleNamespace

from evpv_prm.ablations import NAMES as ABLATION_NAMES
from evpv_prm.cases.page import asset_names
from evpv_prm.cases.shapes import SOLUTIONS
from evpv_prm.config import load_config
from evpv_prm.devices import SHARING, allocated_devices, check_fits
from evpv_prm.errors import UserError
from evpv_prm.options import render_options
from evpv_prm.plan.run import known_rates
from evpv_prm.plan.runtime import training_minutes
from evpv_prm.run_report.exhibits import SUFFIXES, find
from evpv_prm.site import load_site, resources, serving_resources
from evpv_prm.workflow import (
    MANIFEST,
    MODELS,
    LOOKS,
    PACKAGE,
    PLAN_VARIABLE,
    annotation_files,
    checkpoint_files,
    code_digest,
    job_environment,
    model_files,
    question_files,
    solution_files,
)

# Jobs run the code of this repository, wherever Snakemake was started.
os.environ.update(job_environment(workflow.basedir, os.environ))


def or_stop(function, *arguments):
    """Call a function; a user's error stops Snakemake with one line."""
    try:
        return function(*arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def from_outside(find, *arguments):
    """Files that no rule makes; one that is missing stops Snakemake with one line, but for a plan."""
    is_plan = PLAN_VARIABLE in os.environ
    return or_stop(partial(find, CONFIG, *arguments, is_plan=is_plan))


CONFIG = or_stop(load_config, config)
RESULTS = CONFIG.results
# What the trainings ask for rests on them; a verifier from elsewhere has none.
RATES = or_stop(known_rates, CONFIG) if CONFIG.makes_verifier else {}
TRIMMED = f"{RESULTS}/trimmed"
# The form of the judge's reply; a verdict alone has no evidence whose length could matter.
JUDGE_REPLY = (
    render_options(CONFIG.judge_reply) if CONFIG.judge_reply.has_evidence else []
)
SITE = or_stop(load_site, CONFIG.site)
SHARED_GPUS = len(allocated_devices(os.environ)) if SITE.share_gpus else None
if SHARED_GPUS:
    os.environ[SHARING] = "1"
    workflow.register_resource("gpu", SHARED_GPUS)
for model in [*CONFIG.policies.values(), CONFIG.verifier, CONFIG.teacher]:
    # A machine without a GPU may be about to run tiny models.
    or_stop(check_fits, model, SHARED_GPUS or None, SITE.gpu_memory_gb)
# What ends a job tells all its processes. The shell must outlive its command, which saves what it
# has; otherwise the job would be over, and the command killed, before that.
shell.prefix("set -euo pipefail; trap : TERM; " + "".join(f"{c}; " for c in SITE.setup))
STEP_MODES = {"caption": "caption, then judge", "direct": "direct"}
# What the targets of the experiments make; their rules add to it.
EXPERIMENTS = {
    name: [] for name in ("step_level", "ablations", "gate", "intervention", "stages")
}
CASES = f"{RESULTS}/cases"
CASE_ASSETS = asset_names()
TRAINING_FILES = ("train.jsonl", "validation.jsonl", "card.json", "card.md")

# The check of the inputs takes all of this resource and every job that asks a model a share of it,
# so that the check, which has the highest priority, comes first and a failed one stops the run. As
# an input of those jobs it would run all of them again with every new report; and as an `ancient`
# one it would hide every other change from Snakemake.
CHECKED = 1_000_000
workflow.register_resource("checked_inputs", CHECKED)

# Most of a run waits for the verifier, and that for one training after the other: what leads to it
# goes before the rest. (Snakemake's --prioritize would make a target of what it prioritises.)
URGENT = 1


# What Snakemake's own report (`snakemake --report FILE`) begins with.
report: "../evpv_prm/run_report/captions/run.rst"


# Snakemake wants to know the cores before it looks at the target; these need but one.
if LOOKS & set(sys.argv) and workflow.resource_settings.nodes is None:
    workflow.resource_settings.cores = workflow.resource_settings.cores or 1


wildcard_constraints:
    benchmark="|".join(map(re.escape, CONFIG.benchmarks)),
    policy="|".join(map(re.escape, CONFIG.policies)),
    download="|".join(map(re.escape, CONFIG.downloads)) or "(?!)",


scattergather:
    shards=CONFIG.shards,


def without_lock(wildcards):
    """No files. Were a target locked that only looks, its end would unlock the run beside it."""
    if set(workflow.dag_settings.targets) <= LOOKS:
        workflow.persistence.lock = workflow.persistence.noop
    return []


def scored_files(policy, benchmarks=CONFIG.benchmarks):
    """The scored files of one policy: every shard of these benchmarks, of all by default."""
    return [
        shard
        for benchmark in benchmarks
        for shard in gather.shards(
            f"{RESULTS}/scored/{policy}/{benchmark}/{{scatteritem}}.jsonl"
        )
    ]


def engine_flags(model):
    """The flags of a command that asks a model, without those that say where and how fast."""
    return [
        *render_options(model),
        f"--seed={CONFIG.seed}",
        f"--max-failures={CONFIG.max_failures}",
    ]


def stage_model(name, checkpoint, revision=None):
    """A model of the trainings, served as the verifier is: trimmed under this name if that is."""
    model = f"{TRIMMED}/{name}" if CONFIG.serves_trimmed else checkpoint
    return CONFIG.verifier.model_copy(update={"model": model, "revision": revision})


def needs(memory_gb, minutes, gpus=0):
    """A rule's resources: memory (for each GPU, if any) and time of the first attempt, and GPUs."""
    return resources(SITE, memory_gb, minutes, gpus)


def trains(rule):
    """The resources of a training, whose time follows from what it trains on."""
    # Snakemake asks again when the job is ready to run: its rows can be counted then.
    return needs(
        32,
        lambda wildcards: training_minutes(CONFIG, rule, RATES),
        CONFIG.training.gpus,
    )


def serves(model, minutes):
    """The resources of a rule that asks a model (or one that its wildcards give)."""
    return serving_resources(SITE, model, minutes)


def gpus_of_stages():
    """GPUs of the rules that ask for some: STAGE=N, or STAGE/POLICY=N where the policy decides."""
    words = []
    for asking in workflow.rules:
        policies = CONFIG.policies if "policy" in asking.wildcard_names else [""]
        for key in {"gpu", "gres"} & set(asking.resources):
            for policy in policies:
                value = (
                    asking.resources[key].evaluate(SimpleNamespace(policy=policy)).value
                )
                # gpu:TYPE:N where GPUs are asked for as --gres, and nothing where there are none
                count = str(value).rpartition(":")[2] or 0
                words.append(f"{os.path.join(asking.name, policy).rstrip('/')}={count}")
    return words


def benchmark_arguments():
    """The inputs to check, as the command takes them."""
    words = []
    for name, benchmark in CONFIG.benchmarks.items():
        words += [
            "--benchmark",
            f"name={name}",
            f"questions={benchmark.questions}",
            f"images={benchmark.images}",
            f"datasource={benchmark.datasource or name}",
        ]
        if benchmark.limit:
            words.append(f"limit={benchmark.limit}")
    if CONFIG.step_level:
        words += [
            "--benchmark",
            "name=VisualProcessBench",
            f"solutions={CONFIG.step_level.solutions}",
            f"images={CONFIG.step_level.images}",
            *([f"limit={limit}"] if (limit := CONFIG.step_level.limit) else []),
        ]
    return words


def model_arguments():
    """The models whose contexts the inputs have to fit into, as the check of the inputs takes them.

    The verifier that this run makes has the form of its base. Of other models that it makes, those
    of the demo, nothing is known before.
    """
    verifier = CONFIG.verifier
    if CONFIG.makes_verifier:
        verifier = verifier.model_copy(update={"model": CONFIG.training.base})
    asked = {
        **{
            name: ("policy", model, CONFIG.candidates.max_tokens)
            for name, model in CONFIG.policies.items()
        },
        "the verifier": ("verifier", verifier, CONFIG.scoring.describe.max_tokens),
    }
    words = []
    for name, (role, model, reply) in asked.items():
        if model.backend == "vllm" and not Path(model.model).is_relative_to(RESULTS):
            words += [
                "--model",
                f"name={name}",
                f"role={role}",
                f"checkpoint={model.model}",
                f"max_model_len={model.vllm.max_model_len}",
                f"max_images={model.vllm.max_images}",
                f"reply={reply}",
                f"processor={json.dumps(model.vllm.mm_processor_kwargs)}",
            ]
    return words


def experiment_results(folder):
    """What the experiments make in one folder of the results."""
    return [
        file
        for files in EXPERIMENTS.values()
        for file in files
        if f"{RESULTS}/{folder}/" in file  # in a storage, more stands before it
    ]


def named_metrics(wildcards, input):
    """The metrics files as NAME=FILE, in the configuration's order."""
    return named(CONFIG.policies, input)


def named_step_metrics(wildcards, input):
    """The step-level metrics files as NAME=FILE, named as tables and figures show them."""
    return named(STEP_MODES.values(), input)


def exhibit(kind, name):
    """The files of a table or a figure; the one that is shown is in Snakemake's own report, too."""
    found = find(kind, name)
    first, *others = (f"{RESULTS}/{kind}/{name}{suffix}" for suffix in SUFFIXES[kind])
    shown = report(
        first,
        caption=f"../{found.caption.relative_to(PACKAGE.parent)}",
        category=found.section,
        labels={"what": found.title, "as": kind.removesuffix("s")},
    )
    return [shown, *others]


def named(names, files):
    """Files as NAME=FILE, for a command that takes several."""
    return [f"{name}={file}" for name, file in zip(names, files, strict=True)]


def stem(wildcards, output):
    """A rule's outputs without their suffixes."""
    return os.path.splitext(output[0])[0]


def truth(file=f"{CONFIG.data_set.folder}/truth.jsonl"):
    """What the teacher of the demo knows, of the training data by default; nothing for any other."""
    return [file] if CONFIG.diagrams.teacher_error_rate is not None else []


def teacher_beside(known=None):
    """The words in front of a command that asks the teacher of the demo; none for any other."""
    return [
        word
        for file in known or truth()
        for word in (
            *("python", "-m", "evpv_prm.diagrams.with_teacher", "--truth", file),
            *("--error-rate", CONFIG.diagrams.teacher_error_rate, "--"),
        )
    ]


def teacher_code(command):
    """The digest of a command's code, with that of all that can answer it."""
    server = ["diagrams.with_teacher"] if truth() else []
    return code_digest(command, *server)


def file_options(output):
    """The flags for the training files that a rule writes."""
    flags = ("--train", "--validation", "--card", "--card-markdown")
    files = [next(f for f in output if f.endswith(name)) for name in TRAINING_FILES]
    words = [word for pair in zip(flags, files, strict=True) for word in pair]
    return [*words, *render_options(CONFIG.teacher_data.files)]


def tokenizer_options(wildcards, input):
    """The flag that counts lengths in tokens, where the base model is a folder."""
    return [f"--tokenizer={CONFIG.training.base}"] if input.tokenizer else []


def validation_options(wildcards, input):
    """The flag for the validation data, where some are held out."""
    held_out = CONFIG.teacher_data.files.validation_fraction > 0
    return [f"--validation={input.validation}"] if held_out else []


def folder_above(levels):
    """A function that gives the folder so many levels above a rule's first output."""
    return lambda wildcards, output: str(Path(output[0]).parents[levels - 1])


def pictured_records(wildcards):
    """The files whose images a benchmark's pictures are made of."""
    if wildcards.pictured == SOLUTIONS:
        return gather.shards(f"{RESULTS}/step_level/solutions/{{scatteritem}}.jsonl")
    return f"{RESULTS}/questions/{wildcards.pictured}.jsonl"
