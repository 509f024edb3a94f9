"""A Qwen2.5-VL as published, but narrow: the real vocabulary, and the files of the hub.

The published configuration is flat, as transformers 4 wrote it; this package's own tiny models have
the one of transformers 5. The vocabulary is that of the package `dashscope`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evpv_prm.diagrams import qwen25vl
from evpv_prm.diagrams.sizes import Sizes, random_sizes
from evpv_prm.jsonl import write_json

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

ROWS = 152_064
"""Of the embeddings and of the output: more than there are tokens."""


def build(directory: Path, seed: int = 0) -> None:
    """Write the model, of random weights in float32, and its processor into a new directory."""
    # Imported late, so that the tests are collected at once.
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = build_tokenizer()
    ids = tokenizer.get_vocab()
    config = _configuration(random_sizes(), ids)
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig.from_dict(config))
    model.save_pretrained(directory)  # the weights have their published names in the file
    tokenizer.backend_tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    tokenizer.backend_tokenizer.model.save(str(directory))  # vocab.json and merges.txt
    end, pad = config["eos_token_id"], config["bos_token_id"]
    for name, content in {
        "config": config,
        "generation_config": {
            "bos_token_id": pad,
            "pad_token_id": pad,
            "eos_token_id": [end, pad],
            "do_sample": True,
            "repetition_penalty": 1.05,
            "temperature": 1e-6,
        },
        "tokenizer_config": _tokenizer_configuration(ids),
        "preprocessor_config": _PREPROCESSOR,
        "chat_template": {"chat_template": qwen25vl.CHAT_TEMPLATE},
    }.items():
        write_json(directory / f"{name}.json", content)


def build_tokenizer() -> Qwen2Tokenizer:
    """Return the published tokenizer."""
    from tiktoken.load import load_tiktoken_bpe
    from transformers import AddedToken, Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    file = distribution("dashscope").locate_file("dashscope/resources/qwen.tiktoken")
    ranks = load_tiktoken_bpe(str(file))
    letters = bytes_to_unicode()

    def text(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    tokenizer = Qwen2Tokenizer(
        {text(token): rank for token, rank in ranks.items()},
        [(text(left), text(right)) for left, right in _merges(ranks)],
    )
    tokenizer.add_tokens([AddedToken(token, special=True) for token in qwen25vl.SPECIAL_TOKENS])
    return tokenizer


def _merges(ranks: Mapping[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the two parts that each token of several bytes is merged from, lowest rank first."""
    for token in sorted(ranks, key=ranks.__getitem__):
        parts = [token[index : index + 1] for index in range(len(token))]
        while len(parts) > 2:
            merged = list(map(bytes.__add__, parts, parts[1:]))
            first = min(range(len(merged)), key=lambda n: ranks.get(merged[n], len(ranks)))
            parts[first : first + 2] = [merged[first]]
        if len(parts) == 2:
            yield parts[0], parts[1]


def _configuration(sizes: Sizes, ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "attention_dropout": 0.0,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "vision_token_id": ids["<|vision_pad|>"],
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "hidden_act": "silu",
        "hidden_size": sizes.width,
        "initializer_range": 0.02,
        "intermediate_size": sizes.intermediate,
        "max_position_embeddings": 128_000,
        "max_window_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "num_key_value_heads": sizes.key_value_heads,
        "rms_norm_eps": 1e-6,
        "rope_theta": sizes.rope_theta,
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},  # for heads of 32
        "sliding_window": 32_768,
        "use_sliding_window": False,
        "tie_word_embeddings": sizes.tied,
        "torch_dtype": "float32",
        "transformers_version": "4.41.2",
        "use_cache": True,
        "vocab_size": ROWS,
        "vision_config": {
            "depth": sizes.vision_layers,
            "hidden_act": "silu",
            "hidden_size": sizes.vision_width,
            "intermediate_size": sizes.vision_intermediate,
            "num_heads": sizes.vision_heads,
            "in_chans": 3,
            "out_hidden_size": sizes.width,
            "patch_size": qwen25vl.PATCH_SIZE,
            "spatial_merge_size": qwen25vl.MERGE_SIZE,
            "spatial_patch_size": qwen25vl.PATCH_SIZE,
            "window_size": 112,
            "fullatt_block_indexes": [sizes.vision_layers - 1],
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
        },
    }


def _tokenizer_configuration(ids: Mapping[str, int]) -> dict[str, Any]:
    control = qwen25vl.SPECIAL_TOKENS[: qwen25vl.SPECIAL_TOKENS.index("<tool_call>")]
    written = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(ids[token]): {"content": token, "special": token in control} | written
            for token in qwen25vl.SPECIAL_TOKENS
        },
        "additional_special_tokens": list(control[1:]),
        "bos_token": None,
        "chat_template": qwen25vl.CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131_072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


_PREPROCESSOR = {
    "min_pixels": 4 * qwen25vl.PIXELS_PER_TOKEN,
    "max_pixels": 16_384 * qwen25vl.PIXELS_PER_TOKEN,
    "patch_size": qwen25vl.PATCH_SIZE,
    "temporal_patch_size": 2,
    "merge_size": qwen25vl.MERGE_SIZE,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
}
