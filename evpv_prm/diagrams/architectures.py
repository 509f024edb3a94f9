"""The two trained tiny models with a compact vocabulary: what is trained, packed and expanded.

A model of Qwen2.5-VL's vocabulary is mostly rows for tokens that the tokenizer never yields. A
compact model has one row for each token that it can yield, and one more, the *shared row*, that
stands for all others: its logit counts as many times as there are of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evpv_prm.diagrams import internvl, qwen25vl
from evpv_prm.diagrams.sizes import TRAINED

if TYPE_CHECKING:
    import torch
    from transformers import (
        InternVLForConditionalGeneration,
        PreTrainedModel,
        PreTrainedTokenizerFast,
        Qwen2_5_VLForConditionalGeneration,
    )

Name = Literal["policy", "verifier"]
NAMES: tuple[Name, ...] = ("policy", "verifier")


@dataclass(frozen=True)
class CompactVocabulary:
    """How a model's compact rows and its real ids belong together.

    Compact ids are those of the trained tokens, the special tokens and the shared row, in this
    order. Real ids are the same but for the special tokens, which start at `first_special_id`.
    """

    trained: int
    special_tokens: Sequence[str]
    first_special_id: int

    @property
    def shared_row(self) -> int:
        """Return the compact id that stands for all unused real ids."""
        return self.trained + len(self.special_tokens)

    @property
    def rows(self) -> int:
        """Return the number of compact rows."""
        return self.shared_row + 1

    @property
    def real_rows(self) -> int:
        """Return the number of rows of the expanded model, a multiple of 64."""
        return -(-(self.first_special_id + len(self.special_tokens) + 1) // 64) * 64

    @property
    def unused(self) -> int:
        """Return how many real rows the shared row stands for."""
        return self.real_rows - self.shared_row

    @property
    def shared_logit_offset(self) -> float:
        """Return what is added to the shared row's logit, so that it weighs as the real rows do."""
        return math.log(self.unused)

    def real_id(self, compact: int) -> int:
        """Return a token's id in the expanded model.

        Raises:
            ValueError: the shared row has none.
        """
        if not 0 <= compact < self.shared_row:
            raise ValueError(f"{compact} is not the compact id of a token")
        offset = compact - self.trained
        return compact if offset < 0 else self.first_special_id + offset

    def compact_id(self, real: int) -> int:
        """Return the compact row of a real id: the shared one for an unused id."""
        if real < self.trained:
            return real
        offset = real - self.first_special_id
        return self.trained + offset if 0 <= offset < len(self.special_tokens) else self.shared_row


def compact_ids(name: Name) -> CompactVocabulary:
    """Return how the compact and the real ids of a model belong together."""
    from evpv_prm.diagrams.tokenizer import VOCABULARY_SIZE

    if name == "verifier":
        return CompactVocabulary(
            VOCABULARY_SIZE, qwen25vl.SPECIAL_TOKENS, qwen25vl.FIRST_SPECIAL_ID
        )
    return CompactVocabulary(VOCABULARY_SIZE, internvl.SPECIAL_TOKENS, VOCABULARY_SIZE)


def compact_tokenizer(name: Name) -> PreTrainedTokenizerFast:
    """Return the tokenizer that yields compact ids."""
    from evpv_prm.diagrams.tokenizer import build_tokenizer

    architecture = qwen25vl if name == "verifier" else internvl
    return build_tokenizer(architecture.SPECIAL_TOKENS, architecture.CHAT_TEMPLATE)


def compact_verifier(seed: int) -> Qwen2_5_VLForConditionalGeneration:
    """Return the verifier with compact rows and random weights, in float32."""
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    rows, ids = compact_ids("verifier").rows, compact_tokenizer("verifier").get_vocab()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2_5_VLForConditionalGeneration(qwen25vl.configuration(TRAINED, rows, ids))


def compact_policy(seed: int) -> InternVLForConditionalGeneration:
    """Return the policy with compact rows and random weights, in float32."""
    import torch
    from transformers import InternVLForConditionalGeneration

    rows, ids = compact_ids("policy").rows, compact_tokenizer("policy").get_vocab()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return InternVLForConditionalGeneration(internvl.configuration(TRAINED, rows, ids))


def compact_model(name: Name, seed: int) -> PreTrainedModel:
    """Return `compact_verifier` or `compact_policy`."""
    return compact_verifier(seed) if name == "verifier" else compact_policy(seed)


def expanded(name: Name, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a compact model's weights with a row for every real id.

    Unused embeddings are zero, unused output rows are copies of the shared row.
    """
    import torch

    vocabulary = compact_ids(name)
    rows = torch.tensor([vocabulary.compact_id(real) for real in range(vocabulary.real_rows)])
    embeddings = weights[EMBEDDINGS][rows]
    embeddings[rows == vocabulary.shared_row] = 0
    return weights | {EMBEDDINGS: embeddings, OUTPUT_ROWS: weights[OUTPUT_ROWS][rows]}


def trimmed_ids() -> CompactVocabulary:
    """Return the ids of a verifier whose special tokens stand right behind the others."""
    published = compact_ids("verifier")
    return replace(published, first_special_id=published.trained)


def trimmed(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return an expanded verifier's weights with the rows of `trimmed_ids`.

    The last ones, which make their number a multiple of 64, are copies of an unused one.

    Raises:
        IndexError: there are fewer rows than the expanded verifier has.
    """
    published = compact_ids("verifier")
    rows = [
        published.real_id(index) if index < published.shared_row else published.trained
        for index in range(trimmed_ids().real_rows)
    ]
    return weights | {name: weights[name][rows] for name in (EMBEDDINGS, OUTPUT_ROWS)}


def write_verifier(
    directory: Path, weights: Mapping[str, torch.Tensor], vocabulary: CompactVocabulary
) -> None:
    """Write a trained verifier of this vocabulary, with tokenizer and processor.

    Raises:
        RuntimeError: the weights have other names or sizes.
    """
    from evpv_prm.diagrams.tokenizer import build_tokenizer

    tokenizer = build_tokenizer(
        qwen25vl.SPECIAL_TOKENS, qwen25vl.CHAT_TEMPLATE, vocabulary.first_special_id
    )
    config = qwen25vl.configuration(TRAINED, vocabulary.real_rows, tokenizer.get_vocab())
    # A picture of any size becomes what the model was trained on.
    image_tokens = (internvl.IMAGE_TOKENS, internvl.IMAGE_TOKENS)
    qwen25vl.write(directory, config, weights, tokenizer, image_tokens=image_tokens)


EMBEDDINGS, OUTPUT_ROWS = "model.language_model.embed_tokens.weight", "lm_head.weight"
"""The weights that have a row for every token, in both architectures."""
