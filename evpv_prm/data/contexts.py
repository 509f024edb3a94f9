"""Which questions a model's context may not hold, found before the model is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evpv_prm.data.picture_tokens import TokenCount, token_count

Role = Literal["policy", "verifier"]

PICTURE_FRAME = 2
"""Tokens around a picture, that begin and end it."""

INSTRUCTION_TOKENS = 250
"""About what stands around a question: the instructions, and what a chat template adds."""

CHARACTERS_A_TOKEN = 3
"""Of Latin script, formulas and digits; prose has more to a token. Other scripts: one."""


@dataclass(frozen=True)
class ModelInput:
    """A model of a run: what it is, and how much it takes in one prompt.

    A policy is asked the questions of the benchmarks; the verifier describes their images, and
    those of labelled solutions.
    """

    name: str
    role: Role
    checkpoint: str
    """A folder, or a name; see `evpv_prm.data.picture_tokens.token_count`."""
    max_model_len: int
    """Longest prompt and reply, in tokens."""
    max_images: int
    """Images in one prompt."""
    reply: int
    """Longest reply, in tokens."""
    processor: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of its image processor."""

    def token_count(self) -> TokenCount | None:
        """Return how its pictures are counted; None for an unknown kind of model."""
        return token_count(self.checkpoint, self.processor)

    def problem(
        self, question: str, sizes: Sequence[tuple[int, int]], count: TokenCount
    ) -> str | None:
        """Return why the model may not be able to answer a question, in one line, or None.

        What the pictures take is exact, what the text takes an estimate. Later prompts about the
        question, which audit and judge, hold fewer tokens of reply and more of text: they are not
        looked at.

        Args:
            question: its text.
            sizes: width and height of each of its pictures, in pixels.
            count: see `token_count`.
        """
        if len(sizes) > self.max_images:
            return f"{len(sizes)} images, at most {self.max_images}"
        pictures = sum(count(*size) + PICTURE_FRAME for size in sizes)
        text = text_tokens(question) + INSTRUCTION_TOKENS
        if pictures + text + self.reply <= self.max_model_len:
            return None
        return (
            f"{pictures:,} tokens of pictures, about {text:,} of text and up to {self.reply:,} of "
            f"reply, at most {self.max_model_len:,} in all"
        )


def text_tokens(text: str) -> int:
    """Return about how many tokens a text takes."""
    others = sum(not character.isascii() for character in text)
    return others + math.ceil((len(text) - others) / CHARACTERS_A_TOKEN)
