"""How a part measures: what it yields, how it times, how it counts calls of an attention kernel."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

GIB = 2**30

# What rates are made of.
SHORT_STEP, LONG_STEP = "LoRA step, short row", "LoRA step, long row"
SHORT_FORWARD = "forward pass alone, short row"
PREFILL, DECODE = "prefill", "decode"


@dataclass(frozen=True)
class Measurement:
    """One thing that a part found."""

    name: str
    value: float | str
    unit: str = ""

    def __str__(self) -> str:
        shown = self.value if isinstance(self.value, str) else f"{self.value:,.4g}"
        return f"{self.name}: {shown} {self.unit}".rstrip()


def seconds(action: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Return the median time of an action in seconds, after half as many that warm up."""
    times = []
    warmups = repeats // 2
    for _ in range(warmups + repeats):
        _wait(device)
        begun = time.perf_counter()
        action()
        _wait(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[warmups:])


def measured(
    name: str, action: Callable[[], Any], device: torch.device, repeats: int
) -> Iterator[Measurement]:
    """Yield the seconds of an action and, on a GPU, the most memory that was taken meanwhile."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    yield Measurement(name, seconds(action, device, repeats), "s")
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        yield Measurement(f"{name}, peak memory", peak / GIB, "GiB")


def attention_calls(kernel: str, action: Callable[[], Any]) -> int:
    """Return how often an action calls an attention kernel of transformers."""
    calls = count()
    with _replaced(kernel, lambda: next(calls)):
        action()
    return next(calls)


@contextmanager
def _replaced(kernel: str, note: Callable[[], Any]) -> Iterator[None]:
    """Have a kernel call `note` as well."""
    attend = ALL_ATTENTION_FUNCTIONS[kernel]

    def noting(*arguments: Any, **options: Any) -> Any:
        note()
        return attend(*arguments, **options)

    ALL_ATTENTION_FUNCTIONS[kernel] = noting
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS[kernel]  # the one of all models is behind it


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
