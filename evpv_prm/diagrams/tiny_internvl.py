"""Build a tiny InternVL2.5 with random weights: `InternVLChatModel` over a Qwen2 language model.

The layout is that of the published checkpoints, in bfloat16; load it with trust_remote_code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evpv_prm.cli import run
from evpv_prm.diagrams import internvl
from evpv_prm.diagrams.model_directory import builder_parser, model_directory
from evpv_prm.diagrams.sizes import random_sizes

MAX_TILES = 2


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
    from transformers import InternVLForConditionalGeneration

    from evpv_prm.diagrams.tokenizer import build_tokenizer

    tokenizer = build_tokenizer(internvl.SPECIAL_TOKENS, internvl.CHAT_TEMPLATE)
    sizes, rows = random_sizes(), -(-len(tokenizer) // 64) * 64
    config = internvl.configuration(sizes, rows, tokenizer.get_vocab())
    torch.manual_seed(seed)
    weights = InternVLForConditionalGeneration(config).state_dict()
    internvl.write(directory, sizes, weights, tokenizer, max_tiles=MAX_TILES)


if __name__ == "__main__":
    sys.exit(run(main))
