"""Where a stage stands: written whole or not at all, so that a killed pretraining goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from evpv_prm.jsonl import atomic_write


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint at `path`."""
    with atomic_write(path) as stream:
        torch.save(state, stream)


def load(path: Path) -> dict[str, Any] | None:
    """Return the checkpoint at `path`, None where there is none."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state
