"""Settings and hardware become ms-swift's command lines."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from evpv_prm.config_training import (
    SftTraining,
    StepJudgeSft,
    Training,
    VisionDpo,
    VisionSft,
)
from evpv_prm.training.command import (
    BaseModel,
    Invocation,
    merge_command,
    plan,
    training_command,
)
from evpv_prm.training.hardware import Hardware

CPU = Hardware(())
GPUS = Hardware(("0", "1", "2", "3"), frozenset({"flash_attn", "flash_attention_4"}))
OLD_GPU = Hardware(("0",))
NEW_GPU = Hardware(("0",), frozenset({"flash_attention_4"}))
OTHER: dict[str, Any] = {
    "torch_dtype": "float16",
    "attn_impl": "eager",
    "target_modules": "q_proj",
    "warmup_ratio": 0.5,
}


def command(settings: Training, hardware: Hardware = GPUS, **changes: Any) -> Invocation:
    arguments: dict[str, Any] = {
        "base": BaseModel("org/model", "v1"),
        "train": Path("train.jsonl"),
        "validation": Path("validation.jsonl"),
        "checkpoints": Path("work/checkpoints"),
        "resume_from": None,
        "port": 29501,
    }
    return training_command(plan(settings, hardware), **(arguments | changes))


def flag(invocation: Invocation, name: str) -> str | None:
    argv = invocation.argv
    return argv[argv.index(f"--{name}") + 1] if f"--{name}" in argv else None


def test_the_defaults_are_the_reference_implementations() -> None:
    vision, judge, dpo = command(VisionSft()), command(StepJudgeSft()), command(VisionDpo())
    shared = {
        "tuner_type": "lora", "torch_dtype": "bfloat16", "num_train_epochs": "1.0",
        "per_device_train_batch_size": "1", "per_device_eval_batch_size": "1",
        "learning_rate": "0.0001", "lora_rank": "8", "lora_alpha": "32",
        "target_modules": "all-linear", "freeze_vit": "true",
        "save_total_limit": "5", "logging_steps": "10", "max_length": "8192",
    }  # fmt: skip
    sft = {
        "load_from_cache_file": "true", "attn_impl": "flash_attn", "padding_free": "true",
        "freeze_aligner": "true", "packing": "true", "gradient_checkpointing": "true",
        "vit_gradient_checkpointing": "false", "gradient_accumulation_steps": "1",
        "warmup_ratio": "0.05", "dataset_num_proc": "8",
    }  # fmt: skip
    for invocation, expected in (
        (vision, shared | sft | {"dataloader_num_workers": "16"}),
        (judge, shared | sft | {"dataloader_num_workers": "1"}),
        (dpo, shared | {"gradient_accumulation_steps": "2", "rlhf_type": "dpo", "beta": "0.1"}),
    ):
        assert {name: flag(invocation, name) for name in expected} == expected
        assert invocation.environment["IMAGE_MAX_TOKEN_NUM"] == "1024"


@pytest.mark.parametrize("section", [VisionSft, StepJudgeSft, VisionDpo])
def test_every_setting_changes_the_command(section: type[Training]) -> None:
    flash = {"attn_impl": "flash_attn"}
    usual = command(section.model_validate(flash))
    for name, field in section.model_fields.items():
        # What follows the training, and what its data has.
        if name in ("adapter", "stop_grace_s", "validation_rows"):
            continue
        default = field.default
        other = not default if isinstance(default, bool) else 2 * default or 3
        value = OTHER.get(name, other)
        changed = command(section.model_validate(flash | {name: value}))
        assert (changed.argv, changed.environment) != (usual.argv, usual.environment), name


@pytest.mark.parametrize("section", [VisionSft, StepJudgeSft, VisionDpo])
def test_answers_end_together_so_that_prompts_need_no_logits(section: type[Training]) -> None:
    assert flag(command(section()), "padding_side") == "left"


def test_best_needs_a_checkpoint_at_every_validation() -> None:
    with pytest.raises(ValueError, match="as many checkpoints as validations"):
        VisionSft(adapter="best", validations=10, checkpoints=20)
    assert VisionSft(adapter="best", validations=10, checkpoints=10)
    assert VisionSft(validations=10, checkpoints=20)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7, 20, 1000])
def test_validations_and_checkpoints_divide_a_training_of_any_length(number: int) -> None:
    # Regression: there was one every 200 steps, which validated the step judge 1,188 times.
    invocation = command(VisionSft(validations=number, checkpoints=number))
    part = float(flag(invocation, "eval_steps") or 0)
    assert flag(invocation, "save_steps") == flag(invocation, "eval_steps")
    for steps in (*range(1, 2000), 59_400, 237_600):
        # As transformers computes it (TrainerState.compute_steps): below 1, a part of all steps.
        interval = math.ceil(steps * part) if part < 1 else part
        assert interval == math.ceil(steps / number)


@pytest.mark.parametrize("count", [0, 1, 4, 8])
def test_one_process_a_device_meets_at_the_port_given(count: int) -> None:
    # Regression: the number of processes was set but not exported, so one process ran with four
    # visible devices.
    devices = tuple(map(str, range(count)))
    invocation = command(VisionSft(), Hardware(devices), port=31007)
    assert invocation.environment["CUDA_VISIBLE_DEVICES"] == ",".join(devices)
    assert invocation.environment["MASTER_PORT"] == "31007"
    if count > 1:
        assert invocation.argv[:3] == [sys.executable, "-m", "torch.distributed.run"]
        assert flag(invocation, "nproc_per_node") == str(count)
        assert flag(invocation, "master_port") == "31007"
    else:
        program, (*_, module, stage) = invocation.argv[:2], invocation.argv[:4]
        assert program == [sys.executable, "-m"]
        assert (module, stage) == ("evpv_prm.training.swift_module", "swift.cli.sft")


def test_what_cannot_run_is_replaced_and_said() -> None:
    on_cpu = plan(VisionSft(), CPU)
    chosen = {name: on_cpu.flags[name] for name in ("torch_dtype", "attn_impl", "packing")}
    assert chosen == {"torch_dtype": "float32", "attn_impl": "sdpa", "packing": False}
    assert len(on_cpu.substitutions) == 4
    on_old_gpu = plan(VisionSft(), OLD_GPU)
    assert on_old_gpu.flags["torch_dtype"] == "bfloat16"
    assert on_old_gpu.substitutions[0] == (
        "attn_impl: sdpa instead of flash_attn: flash-attn is not installed or needs newer GPUs"
    )
    assert (on_old_gpu.flags["packing"], on_old_gpu.flags["padding_free"]) == (False, False)
    # It is untried, and never taken unasked.
    on_new_gpu = plan(VisionSft(), NEW_GPU)
    assert on_new_gpu.substitutions == (
        f"{on_old_gpu.substitutions[0]}; flash_attention_4 could run",
        *on_old_gpu.substitutions[1:],
    )
    precise = plan(VisionSft(torch_dtype="float32"), GPUS)
    assert precise.flags["torch_dtype"] == "float32"
    assert (precise.flags["attn_impl"], precise.flags["packing"]) == ("sdpa", False)
    assert plan(VisionSft(), GPUS).substitutions == ()
    cpu_settings = SftTraining(
        torch_dtype="float32", attn_impl="sdpa", padding_free=False, packing=False
    )
    assert plan(cpu_settings, CPU).substitutions == ()


def test_flash_attention_4_packs_where_it_can_run() -> None:
    settings = VisionSft(attn_impl="flash_attention_4")
    chosen = plan(settings, NEW_GPU)
    assert chosen.substitutions == ()
    assert (chosen.flags["attn_impl"], chosen.flags["packing"]) == ("flash_attention_4", True)
    replaced = plan(settings, OLD_GPU)
    assert replaced.flags["attn_impl"] == "sdpa"
    assert not replaced.flags["packing"]
    assert "flash-attn-4 is not installed or needs newer GPUs" in replaced.substitutions[0]


def test_half_precision_is_computed_only_where_it_is_asked_for() -> None:
    for dtype, fp16, bf16 in (
        ("float32", "false", "false"),
        ("float16", "true", "false"),
        ("bfloat16", "false", "true"),
    ):
        invocation = command(VisionSft.model_validate({"torch_dtype": dtype}))
        assert (flag(invocation, "fp16"), flag(invocation, "bf16")) == (fp16, bf16)


def test_validation_is_never_split_off_by_record() -> None:
    # Regression: a random part of the records was the validation data, so that the right and the
    # wrong solution of one image stood on both sides.
    for validation, strategy in ((Path("v.jsonl"), "steps"), (None, "no")):
        invocation = command(VisionSft(), validation=validation)
        assert flag(invocation, "split_dataset_ratio") == "0"
        assert flag(invocation, "val_dataset") == (str(validation) if validation else None)
        assert flag(invocation, "eval_strategy") == strategy


def test_a_local_model_is_never_looked_for_on_a_hub(tmp_path: Path) -> None:
    local = command(VisionSft(), base=BaseModel(str(tmp_path)))
    assert local.environment["HF_HUB_OFFLINE"] == local.environment["TRANSFORMERS_OFFLINE"] == "1"
    assert flag(local, "model_revision") is None
    hub = command(VisionSft())
    assert "HF_HUB_OFFLINE" not in hub.environment
    assert flag(hub, "model_revision") == "v1"


def test_going_on_names_its_checkpoint() -> None:
    assert flag(command(VisionSft()), "resume_from_checkpoint") is None
    resumed = command(VisionSft(), resume_from=Path("c/checkpoint-9"))
    assert flag(resumed, "resume_from_checkpoint") == "c/checkpoint-9"


def test_merging_takes_the_adapter_it_is_given() -> None:
    # Regression: the last folder in text order was merged (v9 before v12), and the step judge's
    # adapter went into the untuned base.
    invocation = merge_command(BaseModel("base"), Path("runs/v12/adapter"), Path("merged"))
    assert flag(invocation, "adapters") == "runs/v12/adapter"
    assert flag(invocation, "model") == "base"
    assert flag(invocation, "output_dir") == "merged"
    assert invocation.environment["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.real
def test_ms_swift_knows_every_flag() -> None:
    # Regression: flags of another version were used, which this one refuses.
    from dataclasses import fields

    from swift.arguments import ExportArguments, RLHFArguments, SftArguments
    from torch.distributed.run import get_args_parser

    merging = merge_command(BaseModel("b", "v"), Path("a"), Path("m"))
    resumed = {"resume_from": Path("checkpoint-1")}
    for invocation, arguments in (
        (command(VisionSft(), CPU, **resumed), SftArguments),
        (command(VisionDpo(), CPU, **resumed), RLHFArguments),
        (merging, ExportArguments),
    ):
        used = {word[2:] for word in invocation.argv if word.startswith("--")}
        assert used - {field.name for field in fields(arguments)} == set()

    argv = command(VisionSft(), GPUS).argv
    launcher = get_args_parser().parse_args(argv[argv.index("torch.distributed.run") + 1 :])
    assert (launcher.nproc_per_node, launcher.master_port) == ("4", 29501)
    assert (launcher.module, launcher.training_script) == (True, "evpv_prm.training.swift_module")
    assert launcher.training_script_args[0] == "swift.cli.sft"
    assert launcher.shutdown_timeout == 300
