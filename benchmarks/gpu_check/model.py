"""The model that is measured and how much is asked of it.

On a GPU it is Qwen2.5-VL-7B as published, with random weights that are made on the device; on a
CPU a narrow one with as many layers in the vision tower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

DTYPE = torch.bfloat16
PATCH_VALUES = 3 * 2 * 14 * 14  # channels, frames, height and width of a patch

# config.json of Qwen/Qwen2.5-VL-7B-Instruct.
TEXT = {
    "vocab_size": 152_064,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 128_000,
    "max_window_layers": 28,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {
        "rope_type": "default",
        "mrope_section": [16, 24, 24],
        "rope_theta": 1_000_000.0,
    },
}
VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 3584,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
IDS: dict[str, Any] = {
    "vision_start_token_id": 151_652,
    "vision_end_token_id": 151_653,
    "image_token_id": 151_655,
    "video_token_id": 151_656,
}
NARROW_TEXT = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "rope_parameters": {
        "rope_type": "default",
        "mrope_section": [4, 6, 6],
        "rope_theta": 1_000_000.0,
    },
    "bos_token_id": None,
    "eos_token_id": None,
}
NARROW_VISION = {"hidden_size": 32, "intermediate_size": 64, "num_heads": 1, "out_hidden_size": 64}
NARROW_IDS = {name: 500 + place for place, name in enumerate(IDS)}
TEXT_IDS = 500
"""Rows of text are drawn from so many ids, the first ones of either vocabulary."""


@dataclass(frozen=True)
class Scale:
    """How large the model is and how much is asked of it; rows and caches in tokens."""

    is_real: bool
    picture_side: int
    """Tokens along one side of the picture of a row."""
    short_row: int
    long_row: int
    prefill: tuple[int, int]
    """Sequences of a batch, and their length."""
    decode_batch: int
    decode_cache: int
    judged_problems: int
    repeats: int


REAL = Scale(
    is_real=True,
    picture_side=32,
    short_row=2000,
    long_row=8192,
    prefill=(8, 2048),
    decode_batch=256,
    decode_cache=2300,
    judged_problems=100,
    repeats=5,
)
NARROW = Scale(
    is_real=False,
    picture_side=8,
    short_row=100,
    long_row=200,
    prefill=(4, 64),
    decode_batch=8,
    decode_cache=100,
    judged_problems=4,
    repeats=1,
)


def build(scale: Scale, device: torch.device, kernel: str = "sdpa") -> Any:
    """Return a model with random weights, made on the device, that attends with this kernel."""
    text, vision, ids = TEXT, VISION, IDS
    if not scale.is_real:
        text, vision, ids = TEXT | NARROW_TEXT, VISION | NARROW_VISION, NARROW_IDS
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
    torch.manual_seed(0)
    with device:
        return Qwen2_5_VLForConditionalGeneration._from_config(
            config, dtype=DTYPE, attn_implementation=kernel
        )


def picture(side: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Return a square picture of side × side tokens: random patches, and its grid."""
    patches = torch.randn(4 * side**2, PATCH_VALUES, device=device, dtype=DTYPE)
    return {
        "pixel_values": patches,
        "image_grid_thw": torch.tensor([[1, 2 * side, 2 * side]], device=device),
    }


def text(rows: int, length: int, device: torch.device) -> torch.Tensor:
    """Return random ids of text (rows, length)."""
    return torch.randint(TEXT_IDS, (rows, length), device=device)


def row(
    config: Qwen2_5_VLConfig, scale: Scale, length: int, device: torch.device
) -> dict[str, Any]:
    """Return the arguments of a forward pass over one row: a picture and text behind it."""
    ids = text(1, length, device)
    place = slice(1, 1 + scale.picture_side**2)
    ids[:, 0], ids[:, place] = config.vision_start_token_id, config.image_token_id
    ids[:, place.stop] = config.vision_end_token_id
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == config.image_token_id).int(),
        **picture(scale.picture_side, device),
    }
