"""A LoRA adapter by hand, as peft makes it: W x + (alpha / rank) B A x, with B zero at first."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from evpv_prm.config_training import StepJudgeSft

RANK = StepJudgeSft().lora_rank
SCALE = StepJudgeSft().lora_alpha / RANK


class LoraLinear(nn.Module):
    """A linear layer with an adapter of its own, in float32; the layer itself is not trained."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        weight = base.weight
        self.down = nn.Parameter(torch.empty(RANK, base.in_features, device=weight.device))
        self.up = nn.Parameter(torch.zeros(base.out_features, RANK, device=weight.device))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        # In the layer's precision, as a trainer's autocast computes.
        down, up = self.down.to(states.dtype), self.up.to(states.dtype)
        change = functional.linear(functional.linear(states, down), up)
        return cast(torch.Tensor, self.base(states)) + SCALE * change

    def merged(self) -> nn.Linear:
        """Return the layer with the adapter in its weights, rounded to their precision."""
        with torch.no_grad():
            self.base.weight += (SCALE * self.up @ self.down).to(self.base.weight.dtype)
        return self.base


def add_adapter(model: nn.Module, adapted: nn.Module) -> list[nn.Parameter]:
    """Put an adapter on all linear layers of a part of a model, which itself is not trained.

    Returns:
        what is to be trained.
    """
    model.requires_grad_(False)
    layers = [(name, each) for name, each in adapted.named_modules() if isinstance(each, nn.Linear)]
    for name, layer in layers:
        adapted.set_submodule(name, LoraLinear(layer))
    return [weight for weight in model.parameters() if weight.requires_grad]


def merge(model: nn.Module) -> None:
    """Put the adapters of a model into its weights."""
    layers = [(name, each) for name, each in model.named_modules() if isinstance(each, LoraLinear)]
    for name, layer in layers:
        model.set_submodule(name, layer.merged())
