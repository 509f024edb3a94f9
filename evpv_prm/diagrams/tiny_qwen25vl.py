"""Build a tiny Qwen2.5-VL with random weights: the published architecture, a few megabytes.

The special tokens have the published ids, since trainers and servers rely on them. The checkpoint
holds what Qwen2.5-VL's own directories hold, in bfloat16.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evpv_prm.cli import run
from evpv_prm.diagrams.model_directory import builder_parser, model_directory
from evpv_prm.errors import UserError

FIRST_SPECIAL_ID = 151_643
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>",
    "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
HEAD_SIZE = 32
"""No smaller one is served by vLLM on a CPU."""
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = builder_parser("tiny_qwen25vl", __doc__)
    parser.add_argument(
        "--max-image-tokens",
        type=int,
        default=64,
        metavar="N",
        help="larger images are shrunk to N tokens of 28×28 pixels (default: %(default)s)",
    )
    parser.add_argument(
        "--heads", type=int, default=1, metavar="N",
        help=f"attention heads of {HEAD_SIZE} each, which make the width (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--vision-heads", type=int, default=1, metavar="N",
        help="the same of the vision model (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--layers", type=int, default=2, metavar="N",
        help="layers of the language and of the vision model each (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--compact-vocabulary", action="store_true",
        help="put the special tokens right behind the others, not at the published ids: quicker to "
        "sample from, but ms-swift cannot train it",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    if arguments.max_image_tokens < MIN_IMAGE_TOKENS:
        raise UserError(f"--max-image-tokens: expected at least {MIN_IMAGE_TOKENS}")
    with model_directory(arguments.output) as directory:
        build(
            directory,
            arguments.seed,
            arguments.max_image_tokens,
            heads=arguments.heads,
            vision_heads=arguments.vision_heads,
            layers=arguments.layers,
            compact_vocabulary=arguments.compact_vocabulary,
        )
    return 0


def build(
    directory: Path,
    seed: int,
    max_image_tokens: int,
    *,
    heads: int = 1,
    vision_heads: int = 1,
    layers: int = 2,
    compact_vocabulary: bool = False,
) -> None:
    """Write the model and its processor into an existing directory; see the command's flags."""
    # Imported late, so that --help and a wrong flag answer at once.
    import torch
    from transformers import (
        GenerationConfig,
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    from evpv_prm.diagrams.tokenizer import CONTEXT_LENGTH, build_tokenizer

    tokenizer = build_tokenizer(
        SPECIAL_TOKENS, CHAT_TEMPLATE, None if compact_vocabulary else FIRST_SPECIAL_ID
    )
    width, vision_width = heads * HEAD_SIZE, vision_heads * HEAD_SIZE
    ids = tokenizer.get_vocab()
    end, pad = ids["<|im_end|>"], ids["<|endoftext|>"]
    text = {
        "vocab_size": -(-len(tokenizer) // 64) * 64,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 1,
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-6,
        "use_sliding_window": False,
        "max_window_layers": layers,
        "bos_token_id": pad,
        "eos_token_id": end,
        "pad_token_id": pad,
        "rope_parameters": {
            "rope_type": "default",
            "type": "mrope",
            "mrope_section": [4, 6, 6],  # time, height, width: half a head in all
            "rope_theta": 1_000_000.0,
        },
        "tie_word_embeddings": True,  # as in the published 3B model; halves the file
    }
    vision = {
        "depth": layers,
        "hidden_size": vision_width,
        "intermediate_size": 2 * vision_width,
        "num_heads": vision_heads,
        "out_hidden_size": width,
        "patch_size": PATCH_SIZE,
        "spatial_merge_size": MERGE_SIZE,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [layers - 1],
        "in_channels": 3,
        "hidden_act": "silu",
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config).bfloat16()
    model.generation_config = GenerationConfig(
        bos_token_id=pad, pad_token_id=pad, eos_token_id=[end, pad]
    )
    model.save_pretrained(directory)

    patches = {
        "patch_size": PATCH_SIZE,
        "merge_size": MERGE_SIZE,
        "temporal_patch_size": 2,
    }
    image_processor = Qwen2VLImageProcessor(
        min_pixels=MIN_IMAGE_TOKENS * PIXELS_PER_TOKEN,
        max_pixels=max_image_tokens * PIXELS_PER_TOKEN,
        **patches,
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


if __name__ == "__main__":
    sys.exit(run(main))
