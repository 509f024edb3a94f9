"""The tiny models' tokenizer: byte-level BPE in which every word of the demo is one token.

Trained weights are tied to it, so its description is a file of this package that only
`evpv_prm.diagrams.train_tokenizer` writes; the prompts may change without changing it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

DESCRIPTION = Path(__file__).parent / "weights" / "tokenizer.json"
END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
CONTEXT_LENGTH = 32_768
VOCABULARY_SIZE = 1024
"""Entries without the special tokens."""

# The byte 0 in the byte-level alphabet. No text produces a token that begins with it, and no JSON
# string may hold it: a constrained reply of a random model is made of trained tokens alone.
_FILLER_PREFIX = "Ā"


def build_tokenizer(
    special_tokens: Sequence[str], chat_template: str, first_special_id: int | None = None
) -> PreTrainedTokenizerFast:
    """Return the tokenizer with special tokens behind the others, or from a given id on.

    The vocabulary is filled up to `first_special_id` with tokens that no text contains.
    """
    description = json.loads(DESCRIPTION.read_bytes())
    # `models.BPE` has no way to add entries: they are written into its description.
    vocabulary = description["model"]["vocab"]
    for number in range(len(vocabulary), first_special_id or 0):
        vocabulary[f"{_FILLER_PREFIX}{number}"] = number
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.add_special_tokens(list(special_tokens))
    # Not `Qwen2Tokenizer`: when it is loaded, it puts its own rule for pieces in place of ours.
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[token for token in special_tokens if token != END_OF_TEXT],
        model_max_length=CONTEXT_LENGTH,
        chat_template=chat_template,
    )


def tokenizer_digest() -> str:
    """Return what names the tokenizer in the weights that were trained with it."""
    return hashlib.sha256(DESCRIPTION.read_bytes()).hexdigest()
