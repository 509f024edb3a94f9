"""The first stage: a vision model learns to read, through a probe of each of its tokens.

The token where a value stands is to say the value and the label that it belongs to, wherever that
is written; the others, that there is no value. All tokens are read by the same linear map: a
language model reads them all alike, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from evpv_prm.diagrams.families import LABELS
from evpv_prm.diagrams.scene import SIDE, Diagram

NOTHING = 0
"""What a token without a value is to say; else the value, 1 to 9."""
TOKENS_A_SIDE = 4
_CELL = SIDE // TOKENS_A_SIDE


class Probe(nn.Module):
    """Linear maps of a picture's tokens (pictures, 16, width) to values and labels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.values = nn.Linear(width, 10)
        self.labels = nn.Linear(width, len(LABELS))

    def forward(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (pictures, 16, 10) of the values and (pictures, 16, labels)."""
        tokens = self.norm(seen)
        return self.values(tokens).float(), self.labels(tokens).float()


def shown(diagrams: Sequence[Diagram]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the value (NOTHING for none) and the label (-100 for none) at every token."""
    values = torch.full((len(diagrams), TOKENS_A_SIDE**2), NOTHING)
    labels = torch.full_like(values, -100)  # what cross_entropy leaves out
    for picture, diagram in enumerate(diagrams):
        for fact in diagram.facts:
            x, y = fact.at
            token = min(y // _CELL, 3) * TOKENS_A_SIDE + min(x // _CELL, 3)
            values[picture, token] = fact.value
            labels[picture, token] = LABELS.index(fact.label)
    return values, labels
