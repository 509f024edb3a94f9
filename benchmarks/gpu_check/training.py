"""What a training costs with one attention kernel: the vision tower, LoRA steps, validation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.gpu_check.adapter import add_adapter
from benchmarks.gpu_check.measuring import (
    LONG_STEP,
    SHORT_FORWARD,
    SHORT_STEP,
    Measurement,
    attention_calls,
    measured,
)
from benchmarks.gpu_check.model import Scale, build, picture, row

PICTURE_SIDE = 32
"""Of the picture that the vision tower is shown in any case: 1,024 tokens, the most that a training
allows."""
REPLY_SHARE = 4
"""One token in so many of a row is the reply, which alone goes through the output layer."""


def measure(kernel: str, scale: Scale, device: torch.device) -> Iterator[Measurement]:
    """Yield the costs of one GPU; a step is forward, backward and AdamW on the adapter."""
    model = build(scale, device, kernel)
    yield from _vision(model.model.visual, kernel, scale, device)
    language = model.model.language_model
    trained = add_adapter(model, language)
    language.gradient_checkpointing_enable({"use_reentrant": False})
    optimiser = torch.optim.AdamW(trained)

    def step(arguments: dict[str, Any]) -> None:
        model(**arguments).loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    def look(arguments: dict[str, Any]) -> None:
        with torch.no_grad():
            model(**arguments)

    short, long = (
        _with_labels(row(model.config, scale, length, device))
        for length in (scale.short_row, scale.long_row)
    )
    model.eval()
    yield from measured(SHORT_FORWARD, partial(look, short), device, scale.repeats)
    model.train()
    for name, arguments in ((SHORT_STEP, short), (LONG_STEP, long)):
        yield from measured(name, partial(step, arguments), device, scale.repeats)


def _vision(tower: Any, kernel: str, scale: Scale, device: torch.device) -> Iterator[Measurement]:
    shown = picture(PICTURE_SIDE, device)

    def look() -> None:
        with torch.no_grad():
            tower(shown["pixel_values"], grid_thw=shown["image_grid_thw"])

    name = f"vision tower, a picture of {PICTURE_SIDE**2} tokens"
    calls = attention_calls(kernel, look)
    yield Measurement(f"{name}, attention calls", calls)
    yield from measured(name, look, device, scale.repeats)


def _with_labels(arguments: dict[str, Any]) -> dict[str, Any]:
    ids = arguments["input_ids"]
    reply = ids.shape[1] // REPLY_SHARE
    return arguments | {"labels": ids[:, -reply:], "logits_to_keep": reply, "use_cache": False}
