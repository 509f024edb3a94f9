"""InternVL2.5 as the tiny models have it: trained in transformers' layout, served in the published.

The published checkpoints are `InternVLChatModel`s: a configuration class that comes with the model
(load it with trust_remote_code), and weights under `vision_model`, `mlp1` and `language_model`.
transformers' own `InternVLForConditionalGeneration` is the same function under other names, with
the query, key and value of the vision tower apart.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evpv_prm.diagrams.sizes import Sizes
from evpv_prm.jsonl import write_json

if TYPE_CHECKING:
    import torch
    from transformers import InternVLConfig, PreTrainedTokenizerFast

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>",
    "</quad>", "<ref>", "</ref>", "<box>", "</box>",
)  # fmt: skip

IMAGE_SIZE, PATCH_SIZE = 112, 14
PIXEL_SHUFFLE = 2  # this many patches each way become one token
IMAGE_TOKENS = (IMAGE_SIZE // PATCH_SIZE // PIXEL_SHUFFLE) ** 2
"""Of one tile."""

# As published: written for text, so that a server has to put `<image>` into it.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""

# transformers' names of modules, and the published ones.
_RENAMED = (
    ("model.vision_tower.embeddings.cls_token", "vision_model.embeddings.class_embedding"),
    ("embeddings.position_embeddings", "embeddings.position_embedding"),
    ("embeddings.patch_embeddings.projection", "embeddings.patch_embedding"),
    ("encoder.layer.", "encoder.layers."),
    (".lambda_1", ".ls1"),
    (".lambda_2", ".ls2"),
    (".layernorm_before", ".norm1"),
    (".layernorm_after", ".norm2"),
    (".attention.qkv", ".attn.qkv"),
    (".attention.projection_layer", ".attn.proj"),
    ("model.vision_tower.", "vision_model."),
    ("model.multi_modal_projector.layer_norm", "mlp1.0"),
    ("model.multi_modal_projector.linear_1", "mlp1.1"),
    ("model.multi_modal_projector.linear_2", "mlp1.3"),
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
)


def configuration(sizes: Sizes, rows: int, ids: Mapping[str, int]) -> InternVLConfig:
    """Return the configuration for a vocabulary of `rows` whose special tokens have these ids."""
    from transformers import InternVLConfig

    vision = {
        "hidden_size": sizes.vision_width,
        "intermediate_size": sizes.vision_intermediate,
        "num_hidden_layers": sizes.vision_layers,
        "num_attention_heads": sizes.vision_heads,
        "attention_bias": True,
        "image_size": [IMAGE_SIZE, IMAGE_SIZE],
        "patch_size": [PATCH_SIZE, PATCH_SIZE],
    }
    return InternVLConfig(
        text_config={"model_type": "qwen2"} | _language(sizes, rows, ids),
        vision_config=vision,
        image_token_id=ids["<IMG_CONTEXT>"],
        image_seq_length=IMAGE_TOKENS,
        downsample_ratio=1 / PIXEL_SHUFFLE,
        tie_word_embeddings=sizes.tied,
    )


def write(
    directory: Path,
    sizes: Sizes,
    weights: Mapping[str, torch.Tensor],
    tokenizer: PreTrainedTokenizerFast,
    *,
    max_tiles: int,
) -> None:
    """Write a model in the published layout into an existing directory.

    `weights` have the names of `InternVLForConditionalGeneration`'s state. A picture becomes one to
    `max_tiles` tiles, and several of them are joined by a thumbnail.
    """
    import torch
    from safetensors.torch import save_file

    from evpv_prm.diagrams.tokenizer import END_OF_TEXT, END_OF_TURN

    tokenizer.save_pretrained(directory)
    save_file(
        {name: tensor.to(torch.bfloat16) for name, tensor in published_layout(weights).items()},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )
    ids = tokenizer.get_vocab()
    end, pad = ids[END_OF_TURN], ids[END_OF_TEXT]
    rows = weights["lm_head.weight"].shape[0]
    configuration_class = Path(__file__).with_name("configuration_internvl_chat.py")
    shutil.copy(configuration_class, directory)
    language = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
    write_json(
        directory / "config.json",
        {
            "architectures": ["InternVLChatModel"],
            "model_type": "internvl_chat",
            "auto_map": {"AutoConfig": f"{configuration_class.stem}.InternVLChatConfig"},
            "downsample_ratio": 1 / PIXEL_SHUFFLE,
            "dynamic_image_size": True,
            "force_image_size": IMAGE_SIZE,
            "min_dynamic_patch": 1,
            "max_dynamic_patch": max_tiles,
            "use_thumbnail": max_tiles > 1,
            "ps_version": "v2",
            "select_layer": -1,
            "template": "internvl2_5",
            "torch_dtype": "bfloat16",
            "tie_word_embeddings": sizes.tied,
            "vision_config": _published_vision(sizes),
            "llm_config": language | _language(sizes, rows, ids) | {"torch_dtype": "bfloat16"},
        },
    )
    write_json(
        directory / "generation_config.json", {"eos_token_id": [end, pad], "pad_token_id": pad}
    )
    write_json(directory / "preprocessor_config.json", _preprocessor())


def published_layout(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of `InternVLForConditionalGeneration` as `InternVLChatModel` has them."""
    import torch

    fused: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        if projection := re.fullmatch(r"(.*vision_tower.*\.)([qkv])_proj\.(\w+)", name):
            block, part, kind = projection.groups()
            if part == "q":
                parts = [weights[f"{block}{each}_proj.{kind}"] for each in "qkv"]
                fused[f"{block}qkv.{kind}"] = torch.cat(parts)
        else:
            fused[name] = tensor
    return {_published_name(name): tensor.contiguous() for name, tensor in fused.items()}


def _published_name(name: str) -> str:
    for ours, published in _RENAMED:
        name = name.replace(ours, published)
    return name


def _language(sizes: Sizes, rows: int, ids: Mapping[str, int]) -> dict[str, Any]:
    from evpv_prm.diagrams.tokenizer import CONTEXT_LENGTH, END_OF_TEXT, END_OF_TURN

    return {
        "vocab_size": rows,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.intermediate,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_value_heads,
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-6,
        "rope_theta": sizes.rope_theta,
        "hidden_act": "silu",
        "tie_word_embeddings": sizes.tied,
        "bos_token_id": ids[END_OF_TEXT],
        "eos_token_id": ids[END_OF_TURN],
        "pad_token_id": ids[END_OF_TEXT],
    }


def _published_vision(sizes: Sizes) -> dict[str, Any]:
    return {
        "architectures": ["InternVisionModel"],
        "model_type": "intern_vit_6b",
        "hidden_size": sizes.vision_width,
        "intermediate_size": sizes.vision_intermediate,
        "num_hidden_layers": sizes.vision_layers,
        "num_attention_heads": sizes.vision_heads,
        "num_channels": 3,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
        "qkv_bias": True,
        "qk_normalization": False,
        "norm_type": "layer_norm",
        "layer_norm_eps": 1e-6,
        "hidden_act": "gelu",
        "initializer_factor": 0.1,
        "dropout": 0.0,
        "drop_path_rate": 0.0,
        "attention_dropout": 0.0,
        "use_flash_attn": False,
        "torch_dtype": "bfloat16",
    }


def _preprocessor() -> dict[str, Any]:
    return {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "crop_size": IMAGE_SIZE,
        "size": IMAGE_SIZE,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "resample": 3,
    }
