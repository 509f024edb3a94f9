"""Conversations to token ids, and several that begin alike to one sequence with branches.

A model is asked many things whose prompts begin alike: the steps of a solution are judged one by
one, each with its history. Such prompts are laid out once, as a trunk, from which every reply
branches off where its prompt ends; a branch sees the trunk up to there and itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# The tokenizer never joins what stands before a line's end to what follows it.
_LINE = re.compile(r"(?<=\n)(?=\S)")


@dataclass(frozen=True)
class Turn:
    """A rendered prompt up to where the reply begins, and the reply that is taught."""

    prompt: str
    reply: str


@dataclass(frozen=True)
class Branch:
    """Token ids that follow the first `fork` ones of a trunk, and the weight of each as target."""

    fork: int
    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Sequences:
    """A trunk with its branches; weight 0: the token is given, not predicted."""

    ids: list[int]
    weights: list[float]
    branches: list[Branch]

    def __len__(self) -> int:
        return len(self.ids) + sum(len(branch.ids) for branch in self.branches)


class Encoder:
    """Texts to ids of the compact vocabulary."""

    def __init__(self, tokenizer: Any, weigh: Callable[[str], float]) -> None:
        """Take a tokenizer of compact ids.

        `weigh` says how much a token of a reply counts, given its text.
        """
        self._tokenizer = tokenizer
        self._end: int = tokenizer.eos_token_id
        self._weights = [weigh(tokenizer.decode([index])) for index in range(len(tokenizer))]
        self._line = lru_cache(maxsize=200_000)(self._encode_line)

    def encode(self, text: str) -> list[int]:
        """Return the compact ids of a text, pictures expanded."""
        ids: list[int] = []
        for line in _LINE.split(text):
            ids += self._line(line)
        return ids

    def weights(self, ids: Sequence[int]) -> list[float]:
        """Return how much each token counts where it is taught."""
        return [self._weights[index] for index in ids]

    def sequences(self, turns: Sequence[Turn]) -> Sequences:
        """Lay out turns that share their beginning; the last one is the trunk."""
        *others, last = [(self.encode(turn.prompt), self._reply(turn.reply)) for turn in turns]
        prompt, (reply, weights) = last
        branches = []
        for ids, (answer, answer_weights) in others:
            fork = _common(ids, prompt)
            given = ids[fork:]
            branches.append(Branch(fork, given + answer, [0.0] * len(given) + answer_weights))
        return Sequences(prompt + reply, [0.0] * len(prompt) + weights, branches)

    def _reply(self, text: str) -> tuple[list[int], list[float]]:
        # Trainers teach the line's end of the chat format, too.
        ids = [*self.encode(text), self._end, *self.encode("\n")]
        return ids, self.weights(ids)

    def _encode_line(self, line: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(line, add_special_tokens=False)
        return ids


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Return how many ids two sequences have in common at their beginning."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
