"""Optimisers, the learning rate over a stage, and the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional

from evpv_prm.diagrams.pretraining.batches import Batch

WARMUP_STEPS = 30
FLAT_FRACTION = 0.4
FINAL_RATE = 0.02
GENTLE_RATE = 1e-4
MARGIN = 4.0
"""Log-probability by which the unused ids count more than they are."""
WEIGHT_DECAY = 0.3
"""Of Muon: without it, a layer's output soon drowns what earlier layers wrote."""


def precision() -> torch.autocast:
    """Return the context to compute in: bfloat16 where the processor multiplies it, else float32.

    Where it does not, bfloat16 is emulated and takes many times as long as float32.
    """
    native = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.autocast("cpu", torch.bfloat16, enabled=native)


class Optimisers:
    """Muon for the matrices inside the layers, AdamW for everything else."""

    def __init__(
        self,
        named: Iterable[tuple[str, nn.Parameter]],
        matrix_rate: float,
        other_rate: float,
        is_gentle: Callable[[str], bool] = lambda _name: False,
    ) -> None:
        """Take named parameters and the learning rates of both.

        AdamW trains those with a gentle name, too, matrices among them, at GENTLE_RATE.
        """
        learnt = [(name, p) for name, p in named if p.requires_grad]
        gentle = [p for name, p in learnt if is_gentle(name)]
        strong = [(name, p) for name, p in learnt if not is_gentle(name)]
        matrices = [p for name, p in strong if p.ndim == 2 and not _is_table(name)]
        chosen = set(map(id, matrices))
        self._others = [p for _, p in strong if id(p) not in chosen]
        self._optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=matrix_rate, momentum=0.95, weight_decay=WEIGHT_DECAY),
            torch.optim.AdamW(self._others, lr=other_rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self._rates = [matrix_rate, other_rate]
        if gentle:
            self._optimisers.append(
                torch.optim.AdamW(gentle, lr=GENTLE_RATE, betas=(0.9, 0.98), weight_decay=0.0)
            )
            self._rates.append(GENTLE_RATE)

    def step(self, loss: torch.Tensor, factor: float) -> None:
        """Go one step down the loss, at `factor` of the learning rates."""
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._others, 1.0)
        for optimiser, rate in zip(self._optimisers, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad()

    def state(self) -> list[dict[str, object]]:
        """Return what a later run needs to go on."""
        return [optimiser.state_dict() for optimiser in self._optimisers]

    def restore(self, states: Sequence[dict[str, object]]) -> None:
        """Go on from `state`."""
        for optimiser, state in zip(self._optimisers, states, strict=True):
            optimiser.load_state_dict(state)


def _is_table(name: str) -> bool:
    return "embed_tokens" in name or "lm_head" in name


def rate_factor(step: int, steps: int) -> float:
    """Return the share of the learning rate at a step: a warm-up, a plateau, a linear descent."""
    done = step / steps
    descent = 1.0 if done < FLAT_FRACTION else (1 - done) / (1 - FLAT_FRACTION)
    return min(1.0, (step + 1) / WARMUP_STEPS) * max(FINAL_RATE, descent)


def reply_loss(
    states: torch.Tensor, head: nn.Module, batch: Batch, unused: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weighted cross-entropy of the taught tokens, and which were the likeliest.

    `states` are (B, N, width). The last row of `head` stands for `unused` ids of the expanded
    vocabulary. It counts as more than all of them together: so they stay unlikely in what a
    fine-tuning makes of the model, too.
    """
    logits = head(states.flatten(0, 1)[batch.where]).float()
    if unused > 1:
        logits = torch.cat([logits[:, :-1], logits[:, -1:] + math.log(unused) + MARGIN], dim=1)
    losses = functional.cross_entropy(logits, batch.targets, reduction="none")
    loss = (losses * batch.weights).sum() / batch.weights.sum()
    return loss, logits.argmax(-1) == batch.targets
