"""What each rule works on, and with which model: what the cost model knows of the rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from evpv_prm.ablations import SUITE
from evpv_prm.config import Config, Model
from evpv_prm.config_training import Training
from evpv_prm.plan.sizes import Count, Sizes, TrainingRows
from evpv_prm.plan.tables import ANY_MODEL

CLASSES = {10: "10B", 30: "30B", 80: "80B"}
"""Classes of models by the most parameters, in thousands of millions; the rest is "larger"."""

VALIDATED_SHARE = 1 / 3
"""What a row costs in a validation, of what it costs in training.

Of 6 operations for each parameter and token, the forward pass takes 2; the backward pass of a LoRA
training takes 2 for the gradients of the activations, and 2 to compute the activations again.
"""

Wildcards = Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """A rule that costs more than a while of a CPU."""

    unit: str
    """What the rates of the rule are for: a candidate, a step, an image, the whole job."""
    units: Callable[[Wildcards, Config, Sizes], Count]
    """How many there are of them, in all shards."""
    model: Callable[[Wildcards, Config], Model | str | None] = lambda _wildcards, _config: None
    """The model that decides what a unit costs, or its name; None: no model does."""
    asks: bool = False
    """Whether it asks that model, and says so in its log."""


def model_class(config: Config, model: Model | str | None) -> str:
    """Return the class of a model, as rates name it.

    "any" stands for no model, "api" for one behind HTTP, "tiny" for the demo's. Others are told
    apart by `parameters_b` or by the number in their name, as in InternVL2_5-26B; the trained
    verifier by that of its base. One without a number counts as the smallest.
    """
    if model is None:
        return ANY_MODEL
    if isinstance(model, Model) and model.backend == "api":
        return "api"
    name = model.model if isinstance(model, Model) else model
    if Path(name).is_relative_to(Path(config.results) / "models"):
        name = config.training.base
    if Path(name).is_relative_to(Path(config.results) / "tiny"):
        return "tiny"
    number = re.search(r"(\d+(?:\.\d+)?)b(?![a-z0-9])", Path(name).name, re.IGNORECASE)
    billions = float(number[1]) if number else 0.0
    if isinstance(model, Model):
        billions = model.parameters_b or billions
    return next((each for most, each in CLASSES.items() if billions <= most), "larger")


def rate_key(config: Config, rule: str, wildcards: Wildcards) -> tuple[str, str] | None:
    """Return by which rule and class of model the rate of a job is found; None: it has none.

    Steps that are verified in two modes have two rates, RULE/MODE.
    """
    if rule not in RULES:
        return None
    mode = wildcards.get("mode")
    model = RULES[rule].model(wildcards, config)
    return f"{rule}/{mode}" if mode else rule, model_class(config, model)


def units(config: Config, sizes: Sizes, rule: str, wildcards: Wildcards) -> Count:
    """Return the units of work of one job; a shard has its share of them."""
    count = RULES[rule].units(wildcards, config, sizes)
    return count * (1 / config.shards) if "scatteritem" in wildcards else count


def _once(_wildcards: Wildcards, _config: Config, _sizes: Sizes) -> Count:
    return Count(1)


def _policy(wildcards: Wildcards, config: Config) -> Model:
    return config.policies[wildcards["policy"]]


def _verifier(_wildcards: Wildcards, config: Config) -> Model:
    return config.verifier


def _teacher(_wildcards: Wildcards, config: Config) -> Model:
    return config.teacher


def _spoiler(_wildcards: Wildcards, config: Config) -> Model | None:
    return config.teacher if config.teacher_data.preferences.corrupted_by == "teacher" else None


def _base(_wildcards: Wildcards, config: Config) -> str:
    return config.training.base


def _candidates(wildcards: Wildcards, config: Config, sizes: Sizes) -> Count:
    return sizes.questions[wildcards["benchmark"]] * config.candidates.num_candidates


def _intervened(wildcards: Wildcards, config: Config, sizes: Sizes) -> Count:
    assert config.intervention is not None
    return sizes.questions[wildcards["benchmark"]].at_most(config.intervention.describing.limit)


def _corrupted(_wildcards: Wildcards, config: Config, sizes: Sizes) -> Count:
    assert config.step_level is not None
    return sizes.steps * len(config.step_level.corruption.ratios)


def _examined(_wildcards: Wildcards, config: Config, sizes: Sizes) -> Count:
    limit = config.stages.limit if config.stages else None
    share = sizes.solutions.at_most(limit).number / max(sizes.solutions.number, 1)
    return sizes.steps * share


def _asked_by_ablations(_wildcards: Wildcards, config: Config, sizes: Sizes) -> Count:
    assert config.step_level is not None
    return sizes.steps * config.step_level.ablations.repetitions


def _ablated(wildcards: Wildcards, config: Config, sizes: Sizes) -> Count:
    return _asked_by_ablations(wildcards, config, sizes) * len(SUITE)


def _of(size: Callable[[Sizes, Config], Count]) -> Callable[[Wildcards, Config, Sizes], Count]:
    return lambda _wildcards, config, sizes: size(sizes, config)


def _trained(rows: TrainingRows, settings: Training, gpus: int) -> Count:
    """The rows of one GPU, which shares them with the others."""
    validated = rows.validation.at_most(settings.validation_rows) * settings.validations
    trained = rows.train * settings.num_train_epochs + validated * VALIDATED_SHARE
    return trained * (1 / max(1, gpus))


_SOLUTIONS = _of(lambda sizes, _: sizes.training.solutions)
_IMAGES = _of(lambda sizes, _: sizes.training.images)
_STEPS = _of(lambda sizes, _: sizes.steps)

RULES: Mapping[str, Work] = {
    "download_visualprm400k": Work("job", _once),
    "download_model": Work("job", _once, lambda wildcards, _config: wildcards["download"]),
    "extract_pairs": Work("training solution", _SOLUTIONS),
    "describe_images": Work("training image", _IMAGES, _teacher, asks=True),
    "merge_vision_descriptions": Work("training solution", _SOLUTIONS),
    "build_step_judge_sft_data": Work("training solution", _SOLUTIONS, _teacher, asks=True),
    "build_dpo_data": Work("training image", _IMAGES, _spoiler),
    "train_vision_sft": Work(
        "row a GPU",
        _of(
            lambda sizes, config: _trained(
                sizes.training.described, config.training.vision_sft, config.training.gpus
            )
        ),
        _base,
    ),
    "train_dpo": Work(
        "row a GPU",
        _of(
            lambda sizes, config: _trained(
                sizes.training.described, config.training.vision_dpo, config.training.gpus
            )
        ),
        _base,
    ),
    "train_step_judge": Work(
        "row a GPU",
        _of(
            lambda sizes, config: _trained(
                sizes.training.judged, config.training.step_judge_sft, config.training.gpus
            )
        ),
        _base,
    ),
    "merge_vision": Work("job", _once, _base),
    "merge_dpo": Work("job", _once, _base),
    "merge_step_judge": Work("job", _once, _base),
    "generate_candidates": Work("candidate", _candidates, _policy, asks=True),
    "score_candidates": Work("candidate", _candidates, _verifier, asks=True),
    "verify_steps": Work("step", _STEPS, _verifier, asks=True),
    "examine_stage": Work("step", _examined, _verifier, asks=True),
    "corrupt_constraints": Work("step and ratio", _corrupted, _verifier, asks=True),
    "ask_ablations": Work("step", _asked_by_ablations, _verifier, asks=True),
    "run_ablations": Work("step", _ablated),
    "describe_for_intervention": Work("question", _intervened, _teacher, asks=True),
    "answer_under_intervention": Work("question", _intervened, _policy, asks=True),
    "judge_intervention": Work("question", _intervened, _verifier, asks=True),
}
"""All other rules take seconds, or minutes of a CPU, and leave next to nothing on the disk."""
