"""Sequences to tensors: ids, positions, who sees whom, and what is to be predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from evpv_prm.diagrams.pretraining.encoding import Sequences

Places: TypeAlias = Callable[[Sequence[int]], list[tuple[int, int, int]]]
"""Ids of a trunk to the (time, height, width) position of each."""


@dataclass(frozen=True)
class Batch:
    """A batch of B sequences of at most N tokens, branches behind their trunk.

    `ids` (B, N); `positions` (3, B, N); `sees` (B, 1, N, N), True where a token (row) sees another
    (column); `where` (T,) the flat indices of the positions that predict, `targets` (T,) the ids
    that follow them and `weights` (T,) how much each counts.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    sees: torch.Tensor
    where: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def collate(sequences: Sequence[Sequences], places: Places) -> Batch:
    """Pad sequences to one length and say who sees whom."""
    longest = -(-max(map(len, sequences)) // 8) * 8
    shape = (len(sequences), longest)
    ids = torch.zeros(shape, dtype=torch.long)
    positions = torch.zeros((3, *shape), dtype=torch.long)
    # The padding is a segment of its own: it sees itself, and nobody sees it.
    segment = torch.full(shape, -1)
    index = torch.arange(longest).repeat(len(sequences), 1)
    fork = torch.zeros(shape, dtype=torch.long)
    where, targets, weights = [], [], []
    for row, sequence in enumerate(sequences):
        trunk = places(sequence.ids)
        at, size = 0, len(sequence.ids)
        ids[row, :size] = torch.tensor(sequence.ids)
        positions[:, row, :size] = torch.tensor(trunk).T
        segment[row, :size] = 0
        fork[row, :size] = torch.arange(1, size + 1)
        for place, weight in enumerate(sequence.weights):
            if weight:
                where.append(row * longest + place - 1)
                targets.append(sequence.ids[place])
                weights.append(weight)
        at = size
        for number, branch in enumerate(sequence.branches, start=1):
            end = at + len(branch.ids)
            ids[row, at:end] = torch.tensor(branch.ids)
            positions[:, row, at:end] = max(trunk[branch.fork]) + torch.arange(end - at)
            segment[row, at:end] = number
            fork[row, at:end] = branch.fork
            for place, weight in enumerate(branch.weights):
                if weight:
                    where.append(row * longest + at + place - 1)
                    targets.append(branch.ids[place])
                    weights.append(weight)
            at = end
    same = (segment[:, :, None] == segment[:, None, :]) & (index[:, None, :] <= index[:, :, None])
    before = (segment[:, None, :] == 0) & (index[:, None, :] < fork[:, :, None])
    return Batch(
        ids,
        positions,
        (same | before)[:, None],
        torch.tensor(where),
        torch.tensor(targets),
        torch.tensor(weights),
    )
