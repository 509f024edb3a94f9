"""Build a tiny InternVL2.5 with random weights: `InternVLChatModel` over a Qwen2 language model.

The layout is that of the published checkpoints before their port to transformers: a configuration
class that comes with the model (load it with trust_remote_code), and weights under
`vision_model`, `mlp1` and `language_model`, here in bfloat16.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evpv_prm.cli import run
from evpv_prm.diagrams.model_directory import builder_parser, model_directory
from evpv_prm.jsonl import write_json

if TYPE_CHECKING:
    import torch

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>",
    "</quad>", "<ref>", "</ref>", "<box>", "</box>",
)  # fmt: skip

HIDDEN_SIZE = 32
LAYERS = 2
IMAGE_SIZE, PATCH_SIZE = 112, 14
PIXEL_SHUFFLE = 2  # this many patches each way become one token: 16 tokens a tile
MAX_TILES = 2

# As published: written for text, so that a server has to put `<image>` into it.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    arguments = builder_parser("tiny_internvl", __doc__).parse_args(argv)
    with model_directory(arguments.output) as directory:
        build(directory, arguments.seed)
    return 0


def build(directory: Path, seed: int) -> None:
    """Write the model and its tokenizer into an existing directory."""
    # Imported late, so that --help and a wrong flag answer at once.
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from evpv_prm.diagrams.tokenizer import END_OF_TEXT, END_OF_TURN, build_tokenizer

    tokenizer = build_tokenizer(SPECIAL_TOKENS, CHAT_TEMPLATE)
    tokenizer.save_pretrained(directory)
    ids = tokenizer.get_vocab()
    end, pad = ids[END_OF_TURN], ids[END_OF_TEXT]
    language = _language_config(rows=-(-len(tokenizer) // 64) * 64, end=end, pad=pad)
    vision = _vision_config()

    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(Qwen2Config(**language))
    weights = {f"language_model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, shape in _vision_shapes():
        weights[name] = _initial(name, shape)
    save_file(
        {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in weights.items()},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )

    configuration = Path(__file__).with_name("configuration_internvl_chat.py")
    shutil.copy(configuration, directory)
    write_json(
        directory / "config.json",
        {
            "architectures": ["InternVLChatModel"],
            "model_type": "internvl_chat",
            "auto_map": {"AutoConfig": f"{configuration.stem}.InternVLChatConfig"},
            "downsample_ratio": 1 / PIXEL_SHUFFLE,
            "dynamic_image_size": True,
            "force_image_size": IMAGE_SIZE,
            "min_dynamic_patch": 1,
            "max_dynamic_patch": MAX_TILES,
            "use_thumbnail": True,
            "ps_version": "v2",
            "select_layer": -1,
            "template": "internvl2_5",
            "torch_dtype": "bfloat16",
            "tie_word_embeddings": False,
            "vision_config": vision,
            "llm_config": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"} | language,
        },
    )
    write_json(
        directory / "generation_config.json", {"eos_token_id": [end, pad], "pad_token_id": pad}
    )
    write_json(directory / "preprocessor_config.json", _preprocessor_config())


def _language_config(rows: int, end: int, pad: int) -> dict[str, Any]:
    from evpv_prm.diagrams.tokenizer import CONTEXT_LENGTH

    return {
        "vocab_size": rows,
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": 2 * HIDDEN_SIZE,
        "num_hidden_layers": LAYERS,
        # One head of 32: no smaller size is served by vLLM on a CPU.
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": pad,
        "eos_token_id": end,
        "pad_token_id": pad,
        "torch_dtype": "bfloat16",
    }


def _vision_config() -> dict[str, Any]:
    return {
        "architectures": ["InternVisionModel"],
        "model_type": "intern_vit_6b",
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": 2 * HIDDEN_SIZE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 1,
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


def _preprocessor_config() -> dict[str, Any]:
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


def _vision_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of the vision tower's and the projection's weights."""
    size, inner = HIDDEN_SIZE, 2 * HIDDEN_SIZE
    merged = size * PIXEL_SHUFFLE**2
    positions = (IMAGE_SIZE // PATCH_SIZE) ** 2 + 1  # one for the class token
    yield "vision_model.embeddings.class_embedding", (1, 1, size)
    yield "vision_model.embeddings.position_embedding", (1, positions, size)
    yield from _layer("vision_model.embeddings.patch_embedding", size, 3, PATCH_SIZE, PATCH_SIZE)
    for index in range(LAYERS):
        block = f"vision_model.encoder.layers.{index}"
        yield f"{block}.ls1", (size,)
        yield f"{block}.ls2", (size,)
        yield from _layer(f"{block}.norm1", size)
        yield from _layer(f"{block}.norm2", size)
        yield from _layer(f"{block}.attn.qkv", 3 * size, size)
        yield from _layer(f"{block}.attn.proj", size, size)
        yield from _layer(f"{block}.mlp.fc1", inner, size)
        yield from _layer(f"{block}.mlp.fc2", size, inner)
    yield from _layer("mlp1.0", merged)
    yield from _layer("mlp1.1", HIDDEN_SIZE, merged)
    yield from _layer("mlp1.3", HIDDEN_SIZE, HIDDEN_SIZE)


def _layer(name: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a layer's weight and its bias, one a row."""
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _initial(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Draw a weight: ones for scales (norms, layer scale), zeros for biases, else normal."""
    import torch

    if name.endswith(".bias"):
        return torch.zeros(shape)
    return torch.ones(shape) if len(shape) == 1 else 0.02 * torch.randn(shape)


if __name__ == "__main__":
    sys.exit(run(main))
