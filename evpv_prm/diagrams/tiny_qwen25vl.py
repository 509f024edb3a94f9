"""Build a tiny Qwen2.5-VL with random weights: the published architecture, a few megabytes.

The special tokens have the published ids, since trainers and servers rely on them. The checkpoint
holds what Qwen2.5-VL's own directories hold, in bfloat16.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evpv_prm.cli import run
from evpv_prm.diagrams import qwen25vl
from evpv_prm.diagrams.model_directory import builder_parser, model_directory
from evpv_prm.diagrams.sizes import HEAD_SIZE, random_sizes
from evpv_prm.errors import UserError


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
    if arguments.max_image_tokens < qwen25vl.MIN_IMAGE_TOKENS:
        raise UserError(f"--max-image-tokens: expected at least {qwen25vl.MIN_IMAGE_TOKENS}")
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
    from transformers import Qwen2_5_VLForConditionalGeneration

    from evpv_prm.diagrams.tokenizer import build_tokenizer

    tokenizer = build_tokenizer(
        qwen25vl.SPECIAL_TOKENS,
        qwen25vl.CHAT_TEMPLATE,
        None if compact_vocabulary else qwen25vl.FIRST_SPECIAL_ID,
    )
    # Tied, as in the published 3B model; halves the file.
    sizes = random_sizes(layers=layers, heads=heads, vision_heads=vision_heads, tied=True)
    rows = -(-len(tokenizer) // 64) * 64
    config = qwen25vl.configuration(sizes, rows, tokenizer.get_vocab())
    torch.manual_seed(seed)
    weights = Qwen2_5_VLForConditionalGeneration(config).state_dict()
    image_tokens = (qwen25vl.MIN_IMAGE_TOKENS, max_image_tokens)
    qwen25vl.write(directory, config, weights, tokenizer, image_tokens=image_tokens)


if __name__ == "__main__":
    sys.exit(run(main))
