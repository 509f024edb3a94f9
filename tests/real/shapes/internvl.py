"""An InternVL2.5 as published, but narrow: InternLM2, tiles of 448 pixels, a slow tokenizer.

The published checkpoints of 8 and 26 billion parameters bring code along for their configuration
and for a tokenizer that has no fast twin. This one brings code of ours under the same names.
"""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evpv_prm import prompts
from evpv_prm.diagrams import internvl
from evpv_prm.diagrams.sizes import HEAD_SIZE, Sizes, random_sizes
from evpv_prm.jsonl import write_json

if TYPE_CHECKING:
    import torch

TILE_SIZE, MAX_TILES = 448, 12
TILE_TOKENS = (TILE_SIZE // internvl.PATCH_SIZE // internvl.PIXEL_SHUFFLE) ** 2

PIECES = 1024
"""Entries of the sentencepiece model; the added tokens follow."""

ADDED_TOKENS = (
    "<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>", "<|im_end|>",
    "<|im_start|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>",
    "<box>", "</box>",
)  # fmt: skip
IDS = {token: PIECES + number for number, token in enumerate(ADDED_TOKENS)}
ROWS = PIECES + len(ADDED_TOKENS)


def build(directory: Path, seed: int = 0) -> None:
    """Write the model, of random weights in float32, and its tokenizer into a new directory."""
    import torch  # late, so that the tests are collected at once
    from safetensors.torch import save_file

    shutil.copytree(Path(__file__).with_name("remote_code"), directory)
    (directory / "tokenizer.model").write_bytes(_sentencepiece_model())
    sizes = random_sizes()
    torch.manual_seed(seed)
    weights = _vision_weights(sizes) | _language_weights(sizes)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    end = IDS["<|im_end|>"]
    for name, content in {
        "config": _configuration(sizes),
        "generation_config": {"eos_token_id": [end, end + 1]},
        "tokenizer_config": _tokenizer_configuration(),
        "preprocessor_config": _PREPROCESSOR,
    }.items():
        write_json(directory / f"{name}.json", content)


def _sentencepiece_model() -> bytes:
    """Return a model as LLaMA's: digits apart, bytes for unknown characters.

    It puts a space before every text, so that the tokens of `1` are not those of a reply that is 1.
    """
    from sentencepiece import SentencePieceTrainer

    sources = sorted(Path(prompts.__file__).parent.glob("*.py"))
    written = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter("".join(path.read_text() for path in sources).splitlines()),
        model_writer=written,
        model_type="bpe",
        vocab_size=PIECES,
        byte_fallback=True,
        split_digits=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    return written.getvalue()


def _vision_weights(sizes: Sizes) -> dict[str, torch.Tensor]:
    """Return random weights of the vision tower and of the projection."""
    from transformers import InternVLForConditionalGeneration

    config = internvl.configuration(sizes, ROWS, IDS | {"<|endoftext|>": 2})
    config.vision_config.image_size = [TILE_SIZE, TILE_SIZE]
    weights = internvl.published_layout(InternVLForConditionalGeneration(config).state_dict())
    return {name: each for name, each in weights.items() if not name.startswith("language_model.")}


def _language_weights(sizes: Sizes) -> dict[str, torch.Tensor]:
    """Return random weights of the language model, under InternLM2's names."""
    import torch

    width, inner = sizes.width, sizes.intermediate
    shapes: dict[str, tuple[int, ...]] = {
        "model.tok_embeddings": (ROWS, width),
        "model.norm": (width,),
        "output": (ROWS, width),
    }
    for layer in range(sizes.layers):
        shapes |= {
            f"model.layers.{layer}.{part}": shape
            for part, shape in {
                "attention.wqkv": (width + 2 * sizes.key_value_heads * HEAD_SIZE, width),
                "attention.wo": (width, width),
                "attention_norm": (width,),
                "feed_forward.w1": (inner, width),
                "feed_forward.w3": (inner, width),
                "feed_forward.w2": (width, inner),
                "ffn_norm": (width,),
            }.items()
        }
    return {
        f"language_model.{name}.weight": torch.ones(shape)
        if name.endswith("norm")
        else torch.randn(shape) * _INITIALIZER_RANGE
        for name, shape in shapes.items()
    }


def _configuration(sizes: Sizes) -> dict[str, Any]:
    return {
        "architectures": ["InternVLChatModel"],
        "auto_map": {"AutoConfig": "configuration_internvl_chat.InternVLChatConfig"},
        "model_type": "internvl_chat",
        "downsample_ratio": 1 / internvl.PIXEL_SHUFFLE,
        "dynamic_image_size": True,
        "force_image_size": TILE_SIZE,
        "max_dynamic_patch": MAX_TILES,
        "min_dynamic_patch": 1,
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "internvl2_5",
        "torch_dtype": "float32",
        "use_thumbnail": True,
        "llm_config": {
            "architectures": ["InternLM2ForCausalLM"],
            "model_type": "internlm2",
            "bias": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 2,
            "hidden_act": "silu",
            "hidden_size": sizes.width,
            "initializer_range": _INITIALIZER_RANGE,
            "intermediate_size": sizes.intermediate,
            "max_position_embeddings": 32_768,
            "num_attention_heads": sizes.heads,
            "num_hidden_layers": sizes.layers,
            "num_key_value_heads": sizes.key_value_heads,
            "rms_norm_eps": 1e-5,
            "rope_scaling": {"factor": 2.0, "type": "dynamic"},
            "rope_theta": sizes.rope_theta,
            "tie_word_embeddings": sizes.tied,
            "torch_dtype": "float32",
            "vocab_size": ROWS,
        },
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "model_type": "intern_vit_6b",
            "attention_dropout": 0.0,
            "drop_path_rate": 0.0,
            "dropout": 0.0,
            "hidden_act": "gelu",
            "hidden_size": sizes.vision_width,
            "image_size": TILE_SIZE,
            "initializer_factor": 1.0,
            "initializer_range": _INITIALIZER_RANGE,
            "intermediate_size": sizes.vision_intermediate,
            "layer_norm_eps": 1e-6,
            "norm_type": "layer_norm",
            "num_attention_heads": sizes.vision_heads,
            "num_channels": 3,
            "num_hidden_layers": sizes.vision_layers,
            "patch_size": internvl.PATCH_SIZE,
            "qk_normalization": False,
            "qkv_bias": True,
            "torch_dtype": "float32",
            "use_flash_attn": False,
        },
    }


def _tokenizer_configuration() -> dict[str, Any]:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    ids = {"<unk>": 0, "<s>": 1, "</s>": 2} | IDS
    return {
        "added_tokens_decoder": {
            str(index): {"content": token, "special": True} | flags for token, index in ids.items()
        },
        "additional_special_tokens": list(ADDED_TOKENS),
        "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]},
        "bos_token": "<s>",
        "chat_template": "{{ bos_token }}" + internvl.CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "model_max_length": 8192,
        "pad_token": "</s>",
        "tokenizer_class": "InternLM2Tokenizer",
        "unk_token": "<unk>",
    }


_INITIALIZER_RANGE = 0.02
_PREPROCESSOR = {
    "crop_size": TILE_SIZE,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "size": TILE_SIZE,
}
