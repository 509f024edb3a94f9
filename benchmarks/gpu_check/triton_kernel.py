"""A kernel that Triton compiles: what it needs of a machine, vLLM's kernels need as well."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK = 256


@triton.jit
def _add(left, right, total, count, BLOCK: tl.constexpr):  # noqa: N803
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = places < count
    sums = tl.load(left + places, mask=there) + tl.load(right + places, mask=there)
    tl.store(total + places, sums, mask=there)


def add(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the sum of two vectors of one length on a GPU."""
    total = torch.empty_like(left)
    _add[(triton.cdiv(len(left), BLOCK),)](left, right, total, len(left), BLOCK=BLOCK)
    return total
