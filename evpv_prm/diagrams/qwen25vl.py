"""Qwen2.5-VL as the tiny models have it: the published architecture and directory, a small size.

Takes sizes, ids and weights; gives models of transformers and the directories that vLLM, ms-swift
and transformers load.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evpv_prm.diagrams.sizes import Sizes

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig

FIRST_SPECIAL_ID = 151_643
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>",
    "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
PATCH_SIZE, MERGE_SIZE = 14, 2
PIXELS_PER_TOKEN = (PATCH_SIZE * MERGE_SIZE) ** 2
MIN_IMAGE_TOKENS = 4

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' -%}
{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif -%}
{{ '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] in ('image', 'image_url') -%}
{{ '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- elif part['type'] == 'video' -%}
{{ '<|vision_start|><|video_pad|><|vision_end|>' }}
{%- else -%}
{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""


def configuration(sizes: Sizes, rows: int, ids: Mapping[str, int]) -> Qwen2_5_VLConfig:
    """Return the configuration for a vocabulary of `rows` whose special tokens have these ids."""
    from transformers import Qwen2_5_VLConfig

    from evpv_prm.diagrams.tokenizer import CONTEXT_LENGTH, END_OF_TEXT, END_OF_TURN

    text = {
        "vocab_size": rows,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.intermediate,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_value_heads,
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-6,
        "use_sliding_window": False,
        "max_window_layers": sizes.layers,
        "bos_token_id": ids[END_OF_TEXT],
        "eos_token_id": ids[END_OF_TURN],
        "pad_token_id": ids[END_OF_TEXT],
        "rope_parameters": {
            "rope_type": "default",
            "type": "mrope",
            "mrope_section": [4, 6, 6],  # time, height, width: half a head in all
            "rope_theta": sizes.rope_theta,
        },
        "tie_word_embeddings": sizes.tied,
    }
    vision = {
        "depth": sizes.vision_layers,
        "hidden_size": sizes.vision_width,
        "intermediate_size": sizes.vision_intermediate,
        "num_heads": sizes.vision_heads,
        "out_hidden_size": sizes.width,
        "patch_size": PATCH_SIZE,
        "spatial_merge_size": MERGE_SIZE,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [sizes.vision_layers - 1],
        "in_channels": 3,
        "hidden_act": "silu",
    }
    return Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=sizes.tied,
    )


def write(
    directory: Path,
    config: Qwen2_5_VLConfig,
    weights: Mapping[str, torch.Tensor],
    tokenizer: PreTrainedTokenizerFast,
    *,
    image_tokens: tuple[int, int],
) -> None:
    """Write a model and its processor into an existing directory.

    `weights` have the names of `Qwen2_5_VLForConditionalGeneration`'s state; `image_tokens` are the
    least and the most that a picture is resized to.
    """
    from transformers import (
        GenerationConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    from evpv_prm.diagrams.tokenizer import END_OF_TEXT, END_OF_TURN

    model = Qwen2_5_VLForConditionalGeneration(config).bfloat16()
    model.load_state_dict(weights)
    ids = tokenizer.get_vocab()
    end, pad = ids[END_OF_TURN], ids[END_OF_TEXT]
    model.generation_config = GenerationConfig(
        bos_token_id=pad, pad_token_id=pad, eos_token_id=[end, pad]
    )
    model.save_pretrained(directory)

    patches: dict[str, Any] = {
        "patch_size": PATCH_SIZE,
        "merge_size": MERGE_SIZE,
        "temporal_patch_size": 2,
    }
    least, most = image_tokens
    image_processor = Qwen2VLImageProcessor(
        min_pixels=least * PIXELS_PER_TOKEN, max_pixels=most * PIXELS_PER_TOKEN, **patches
    )
    Qwen2_5_VLProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**patches),
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(directory)
    # Published checkpoints describe the image processor in a file of its own, and some readers
    # look only there.
    image_processor.save_pretrained(directory)
