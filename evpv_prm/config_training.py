"""The configuration of the trainings: vision SFT, vision DPO and step-judge SFT.

The defaults are the reference implementation's. A field that ms-swift knows has ms-swift's name.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from evpv_prm.section import Fraction, Section

Attention = Literal["flash_attn", "flash_attention_4", "sdpa", "eager"]
"""ms-swift's names: flash_attn is version 2."""


class Training(Section):
    """Hyper-parameters of a LoRA training."""

    seed: int = Field(42, ge=0, description="Seed of the adapter's weights and of the data's order")
    adapter: Literal["best", "last"] = Field(
        "last", description="Which checkpoint is kept; best: the lowest loss on the validation data"
    )
    num_train_epochs: float = Field(1.0, gt=0, description="Passes over the data")
    per_device_train_batch_size: int = Field(1, ge=1, description="Samples a device and step")
    per_device_eval_batch_size: int = Field(1, ge=1, description="Validation samples a device")
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="Batches that make one optimiser step"
    )
    learning_rate: float = Field(1e-4, gt=0, description="Highest learning rate")
    warmup_ratio: Fraction = Field(
        0.05, description="Fraction of the steps in which the learning rate rises"
    )
    lora_rank: int = Field(8, ge=1, description="Rank of the adapter")
    lora_alpha: int = Field(32, ge=1, description="Scale of the adapter, times its rank")
    target_modules: str = Field("all-linear", description="Layers that get an adapter")
    freeze_vit: bool = Field(True, description="Leave the vision encoder as it is")
    freeze_aligner: bool = Field(
        True, description="Leave the layers between vision encoder and language model as they are"
    )
    torch_dtype: Literal["bfloat16", "float16", "float32"] = Field(
        "bfloat16", description="Precision of weights and activations; without a GPU: float32"
    )
    attn_impl: Attention = Field(
        "flash_attn", description="Attention kernel; a flash kernel, where it cannot run: sdpa"
    )
    padding_free: bool = Field(
        True, description="Concatenate the samples of a batch; only with a flash kernel"
    )
    gradient_checkpointing: bool = Field(
        True, description="Recompute activations of the language model: less memory, more time"
    )
    vit_gradient_checkpointing: bool = Field(
        False, description="Recompute activations of the vision encoder"
    )
    validations: int = Field(
        20, ge=1, description="Validations of a training at most, evenly spaced, one at its end"
    )
    validation_rows: int = Field(
        500,
        ge=1,
        description="Rows of the validation data that a validation takes at most, evenly spaced",
    )
    checkpoints: int = Field(
        20, ge=1, description="Checkpoints of a training at most, evenly spaced, one at its end"
    )
    save_total_limit: int = Field(5, ge=1, description="Checkpoints kept at most")
    logging_steps: int = Field(10, ge=1, description="Steps between lines of the log")
    max_length: int = Field(8192, ge=16, description="Longest sample, in tokens; longer: an error")
    max_image_tokens: int = Field(
        1024, ge=4, description="Larger images are shrunk to this number of tokens"
    )
    load_from_cache_file: bool = Field(
        True, description="Prepare the data once and take it from the cache when going on"
    )
    dataset_num_proc: int = Field(8, ge=1, description="Processes that prepare the data")
    dataloader_num_workers: int = Field(1, ge=0, description="Processes that load samples")
    stop_grace_s: float = Field(
        300, gt=0, description="Wait for a checkpoint after SIGTERM, then kill, in seconds"
    )

    @model_validator(mode="after")
    def _best_is_saved(self) -> Self:
        if self.adapter == "best" and self.checkpoints != self.validations:
            raise ValueError("adapter best needs as many checkpoints as validations")
        return self


class SftTraining(Training):
    """Hyper-parameters of a supervised fine-tuning."""

    packing: bool = Field(
        True,
        description="Fill sequences of max_length with several samples; only with a flash kernel",
    )


class VisionSft(SftTraining):
    """Vision SFT: the model learns to describe images."""

    dataloader_num_workers: int = Field(16, ge=0, description="Processes that load samples")


class StepJudgeSft(SftTraining):
    """Step-judge SFT: the model learns to judge steps."""


class VisionDpo(Training):
    """Vision DPO: the model learns to prefer the right description.

    The reference implementation sets less here than for its SFT; the rest is ms-swift's default.
    """

    beta: float = Field(0.1, gt=0, description="How strongly DPO holds to the model it began with")
    gradient_accumulation_steps: int = Field(
        2, ge=1, description="Batches that make one optimiser step"
    )
    warmup_ratio: Fraction = Field(
        0.0, description="Fraction of the steps in which the learning rate rises"
    )
    attn_impl: Attention = Field(
        "sdpa", description="Attention kernel; a flash kernel, where it cannot run: sdpa"
    )
    padding_free: bool = Field(
        False, description="Concatenate the samples of a batch; only with a flash kernel"
    )
    vit_gradient_checkpointing: bool = Field(
        True, description="Recompute activations of the vision encoder"
    )
    load_from_cache_file: bool = Field(
        False, description="Prepare the data once and take it from the cache when going on"
    )
    dataset_num_proc: int = Field(1, ge=1, description="Processes that prepare the data")


class Trainings(Section):
    """The trainings, one after the other: vision SFT, DPO if wanted, step-judge SFT."""

    base: str = Field(
        "data/models/Qwen2.5-VL-7B-Instruct",
        min_length=1,
        description="Model to begin with: a checkpoint folder or a hub name",
    )
    base_revision: str | None = Field(
        None, description="Revision of a hub model; null: its default"
    )
    gpus: int = Field(4, ge=0, description="GPUs of a training")
    with_dpo: bool = Field(False, description="Put the DPO between the two fine-tunings")
    vision_sft: VisionSft = Field(VisionSft(), description="Vision SFT")
    vision_dpo: VisionDpo = Field(VisionDpo(), description="Vision DPO")
    step_judge_sft: StepJudgeSft = Field(StepJudgeSft(), description="Step-judge SFT")
