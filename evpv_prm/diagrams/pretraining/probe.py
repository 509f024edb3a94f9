"""The first stage: a vision model learns to read, through a probe that looks values up by label."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch
from torch import nn
from torch.nn import functional

from evpv_prm.diagrams.families import LABELS
from evpv_prm.diagrams.scene import Diagram

ABSENT = 0
"""The probe's answer for a label that a picture does not have; else the value, 1 to 9."""
PLACES = 3
ABSENT_LABELS = 2
"""Labels asked for in vain, a picture."""


class Probe(nn.Module):
    """Asks a picture's tokens for values, by label and by place.

    By label: one query each, attention over the tokens, then the value. That needs what a language
    model needs, a label and its value bound to each other, but is slow to start. By place: one
    linear map of all tokens, which soon teaches digits and labels.
    """

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(len(LABELS), width))
        self.norm = nn.RMSNorm(width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.answer = nn.Linear(width, 10)
        self.places = nn.Linear(tokens * width, PLACES * (10 + len(LABELS)))

    def by_label(self, seen: torch.Tensor) -> torch.Tensor:
        """Return logits (pictures, labels, 10) from a picture's tokens (pictures, 16, width)."""
        tokens = self.norm(seen)
        scores = self.queries @ self.keys(tokens).transpose(1, 2) / tokens.shape[-1] ** 0.5
        pooled = scores.softmax(-1) @ self.values(tokens)
        logits: torch.Tensor = self.answer(functional.silu(pooled))
        return logits

    def by_place(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (pictures, places, 10) of the values and (…, labels) of the labels."""
        logits = self.places(self.norm(seen).flatten(1)).view(len(seen), PLACES, -1)
        return logits[..., :10], logits[..., 10:]


def questions(
    rng: Random, diagrams: Sequence[Diagram]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (picture, label, value) of what is asked: all facts, and a few absent labels."""
    asked: list[tuple[int, int, int]] = []
    for picture, diagram in enumerate(diagrams):
        facts = {fact.label: fact.value for fact in diagram.facts}
        asked += [(picture, LABELS.index(label), value) for label, value in facts.items()]
        others = [label for label in LABELS if label not in facts]
        asked += [
            (picture, LABELS.index(label), ABSENT) for label in rng.sample(others, ABSENT_LABELS)
        ]
    pictures, labels, values = (torch.tensor(column) for column in zip(*asked, strict=True))
    return pictures, labels, values


def shown(diagrams: Sequence[Diagram]) -> tuple[torch.Tensor, ...]:
    """Return (picture, place, value, label) of every fact."""
    facts = [
        (picture, fact.place, fact.value, LABELS.index(fact.label))
        for picture, diagram in enumerate(diagrams)
        for fact in diagram.facts
    ]
    return tuple(torch.tensor(column) for column in zip(*facts, strict=True))
