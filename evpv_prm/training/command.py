"""The command lines and environments of ms-swift 4.6, built without side effects.

The commands start ms-swift's modules instead of its `swift` wrapper: the wrapper dies of a signal
without passing it on, and leaves the trainer running.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evpv_prm.config_training import Training, VisionDpo
from evpv_prm.training.hardware import FLASH_KERNELS, Hardware

TEMPLATE = "qwen2_5_vl"
SWIFT = "evpv_prm.training.swift_module"
PLUGIN = Path(__file__).parent / "swift_plugin" / "evpv_callbacks.py"
NOT_FLAGS = frozenset(
    {
        *("seed", "adapter", "max_image_tokens", "stop_grace_s"),
        *("validations", "validation_rows", "checkpoints"),
    }
)
"""Fields of a training that are no flags of ms-swift's."""


@dataclass(frozen=True)
class Invocation:
    """A program to start: its words, and what its environment has beside the caller's."""

    argv: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class BaseModel:
    """The model that a training starts from: a checkpoint folder, or a hub name and revision."""

    name: str
    revision: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the model is a folder of this machine."""
        return Path(self.name).is_dir()


@dataclass(frozen=True)
class Plan:
    """A training that can run on the hardware it was given."""

    settings: Training
    flags: Mapping[str, Any]
    """Values of ms-swift's flags, as far as they come from the settings."""

    substitutions: tuple[str, ...]
    """What the settings ask for and the hardware cannot do, one line each."""

    hardware: Hardware


def plan(settings: Training, hardware: Hardware) -> Plan:
    """Return the flags of a training, with what cannot run on the hardware replaced."""
    flags = settings.model_dump(exclude=set(NOT_FLAGS))
    substitutions = []

    def substitute(name: str, value: Any, reason: str) -> None:
        substitutions.append(f"{name}: {value} instead of {flags[name]}: {reason}")
        flags[name] = value

    if not hardware.devices and settings.torch_dtype != "float32":
        substitute("torch_dtype", "float32", "there is no GPU")
    if settings.attn_impl in FLASH_KERNELS:
        problem = _flash_problem(settings.attn_impl, hardware, flags["torch_dtype"])
        if problem:
            substitute("attn_impl", "sdpa", problem)
    for name in ("padding_free", "packing"):
        if flags.get(name) and flags["attn_impl"] not in FLASH_KERNELS:
            substitute(name, False, f"it needs {' or '.join(FLASH_KERNELS)}")
    return Plan(settings, flags, tuple(substitutions), hardware)


def training_command(
    plan: Plan,
    base: BaseModel,
    train: Path,
    validation: Path | None,
    checkpoints: Path,
    resume_from: Path | None,
    port: int,
) -> Invocation:
    """Return the command of one training.

    Args:
        plan: settings that the hardware can run; `VisionDpo` makes it a DPO, else it is an SFT.
        base: the model to train an adapter for.
        train: JSONL file in ms-swift's format, images as absolute paths.
        validation: the same for validation; None: no validation.
        checkpoints: folder that gets `checkpoint-N/` and `logging.jsonl`.
        resume_from: the checkpoint to go on from; None: start.
        port: a free TCP port.
    """
    dpo = isinstance(plan.settings, VisionDpo)
    argv = [
        *_launcher(plan, port),
        SWIFT,
        *(("swift.cli.rlhf", "--rlhf_type", "dpo") if dpo else ("swift.cli.sft",)),
        *(*_model_flags(base), "--check_model", "false"),
        *("--dataset", str(train)),
        *(("--val_dataset", str(validation)) if validation else ()),
        *("--eval_strategy", "steps" if validation else "no"),
        *("--eval_steps", _part(plan.settings.validations)),
        *("--save_steps", _part(plan.settings.checkpoints)),
        *("--split_dataset_ratio", "0"),
        *("--tuner_type", "lora"),
        *(word for name, value in plan.flags.items() for word in (f"--{name}", _word(value))),
        # Else ms-swift computes in half precision where float32 is asked for.
        *("--fp16", _word(plan.flags["torch_dtype"] == "float16")),
        *("--bf16", _word(plan.flags["torch_dtype"] == "bfloat16")),
        *("--seed", str(plan.settings.seed), "--data_seed", str(plan.settings.seed)),
        # The answers of a batch end together, so that the output layer, which is most of a tiny
        # model's work, leaves the prompts out (`use_logits_to_keep`, on by default).
        *("--padding_side", "left"),
        # Else a sample that cannot be encoded is silently replaced by a random other one.
        *("--strict", "true"),
        # Else the first validation of each run, and no other, draws a random number: a run that
        # went on from a checkpoint would drop other weights than one that was never stopped.
        *("--dataloader_persistent_workers", "false"),
        *("--output_dir", str(checkpoints), "--add_version", "false"),
        *("--external_plugins", str(PLUGIN), "--callbacks", "evpv"),
        *("--report_to", "none"),
        # Bars fill a log; the plugin reports progress in lines.
        *("--disable_tqdm", "true"),
        *(("--resume_from_checkpoint", str(resume_from)) if resume_from else ()),
    ]
    environment = {
        **_environment(base, plan.hardware.devices),
        "IMAGE_MAX_TOKEN_NUM": str(plan.settings.max_image_tokens),
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        "MODELSCOPE_CACHE": str(checkpoints.parent / "cache"),
        "MASTER_PORT": str(port),  # a single process opens it too
    }
    return Invocation(argv, environment)


def merge_command(base: BaseModel, adapter: Path, output: Path) -> Invocation:
    """Return the command that merges an adapter into its base model, on the CPU.

    `output` must not exist: ms-swift leaves a folder that is there as it is, and ends well.
    """
    argv = [
        *(sys.executable, "-m", SWIFT, "swift.cli.export"),
        *_model_flags(base),
        *("--adapters", str(adapter), "--load_args", "false"),
        *("--merge_lora", "true", "--safe_serialization", "true", "--device_map", "cpu"),
        *("--output_dir", str(output)),
    ]
    return Invocation(argv, _environment(base, ()))


def _flash_problem(name: str, hardware: Hardware, torch_dtype: str) -> str | None:
    """Return why a flash kernel cannot run; None if it can."""
    package = FLASH_KERNELS[name].package
    if not hardware.devices:
        return "there is no GPU"
    if torch_dtype == "float32":
        return f"{package} computes in half precision alone"
    if name not in hardware.flash_kernels:
        others = "".join(f"; {other} could run" for other in sorted(hardware.flash_kernels))
        return f"{package} is not installed or needs newer GPUs{others}"
    return None


def _part(number: int) -> str:
    """Return a part of all steps such that `number` of them make the whole.

    With packing, nobody knows the number of steps before the trainer does. It rounds up to whole
    steps, and takes 1 for a step and not for the whole: hence a hair less.
    """
    return repr(math.nextafter(1 / number, 0))


def _launcher(plan: Plan, port: int) -> list[str]:
    processes = len(plan.hardware.devices)
    if processes <= 1:
        return [sys.executable, "-m"]
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nproc_per_node", str(processes), "--master_port", str(port)),
        *("--shutdown_timeout", str(round(plan.settings.stop_grace_s)), "--module"),
    ]


def _model_flags(base: BaseModel) -> list[str]:
    return [
        *("--model", base.name),
        *(("--model_revision", base.revision) if base.revision else ()),
        *("--template", TEMPLATE),
    ]


def _environment(base: BaseModel, devices: tuple[str, ...]) -> dict[str, str]:
    environment = {"CUDA_VISIBLE_DEVICES": ",".join(devices)}
    if base.is_local:
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return environment


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
