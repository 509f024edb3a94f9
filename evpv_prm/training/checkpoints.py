"""The work folder of a training: its checkpoints and its log."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson

STATE, LOG = "trainer_state.json", "logging.jsonl"


def whole_checkpoints(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the checkpoints that were saved whole, oldest first, with their trainer's state.

    The trainer writes its state last.
    """
    found = []
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=_step):
        state = _state(checkpoint)
        if state is not None:
            found.append((checkpoint, state))
    return found


def clean_up(folder: Path) -> None:
    """Remove what a killed trainer left in part: a checkpoint, the last line of the log."""
    for checkpoint in folder.glob("checkpoint-*"):
        if _state(checkpoint) is None:
            shutil.rmtree(checkpoint)
    log = folder / LOG
    if log.exists():
        content = log.read_bytes()
        log.write_bytes(content[: content.rfind(b"\n") + 1])


def is_finished(state: dict[str, Any]) -> bool:
    """Whether the trainer has done all of its steps."""
    return bool(state["global_step"] == state["max_steps"])


def best_checkpoint(state: dict[str, Any], folder: Path) -> Path:
    """Return the checkpoint with the lowest validation loss; training keeps it."""
    return folder / f"checkpoint-{state['best_global_step']}"


def _state(checkpoint: Path) -> dict[str, Any] | None:
    try:
        state = orjson.loads((checkpoint / STATE).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return state if isinstance(state, dict) else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
