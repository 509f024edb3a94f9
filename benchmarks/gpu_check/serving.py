"""How fast the language model reads prompts and writes replies.

transformers runs it, without CUDA graphs and paged caches: an engine such as vLLM is faster, most
of all in writing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from transformers import Cache, DynamicLayer

from benchmarks.gpu_check.measuring import DECODE, GIB, PREFILL, Measurement, seconds
from benchmarks.gpu_check.model import DTYPE, Scale, build, text

SPARE = 6 * GIB
"""Memory that stays free beside weights and cache, for activations and logits."""


class FullLayer(DynamicLayer):
    """One layer's cache, in which the newest token always takes the last place.

    Every step finds a cache of the same length, and none has to copy it to make room.
    """

    def __init__(self, shape: tuple[int, int, int, int], device: torch.device) -> None:
        """Take the shape (sequences, heads, tokens, size of a head)."""
        super().__init__()
        self.keys = torch.zeros(shape, dtype=DTYPE, device=device)
        self.values = torch.zeros(shape, dtype=DTYPE, device=device)
        self.is_initialized = True

    def get_seq_length(self) -> int:
        return int(self.keys.shape[-2]) - 1

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **_options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys[:, :, -1:], self.values[:, :, -1:] = key_states, value_states
        return self.keys, self.values


@torch.no_grad()
def measure(scale: Scale, device: torch.device) -> Iterator[Measurement]:
    """Yield tokens a second of both; of a cache that does not fit, the largest batch that does."""
    model = build(scale, device).eval()
    sequences, length = scale.prefill
    prompts = text(sequences, length, device)
    taken = seconds(lambda: model(input_ids=prompts, logits_to_keep=1), device, scale.repeats)
    yield Measurement("prefill batch", f"{sequences} sequences of {length} tokens")
    yield Measurement(PREFILL, sequences * length / taken, "tokens/s")

    config = model.config.text_config
    head = config.hidden_size // config.num_attention_heads
    of_token = config.num_hidden_layers * 2 * config.num_key_value_heads * head * DTYPE.itemsize
    batch = min(scale.decode_batch, _room(device) // (of_token * scale.decode_cache))
    less = f", fewer than {scale.decode_batch} for want of memory"
    yield Measurement(
        "decode batch",
        f"{batch} sequences with a cache of {scale.decode_cache} tokens"
        + (less if batch < scale.decode_batch else ""),
    )
    shape = (batch, config.num_key_value_heads, scale.decode_cache, head)
    cache = Cache(layers=[FullLayer(shape, device) for _ in range(config.num_hidden_layers)])
    newest = text(batch, 1, device)
    taken = seconds(
        lambda: model(input_ids=newest, past_key_values=cache).logits.argmax(-1),
        device,
        4 * scale.repeats,
    )
    yield Measurement(DECODE, batch / taken, "tokens/s")


def _room(device: torch.device) -> int:
    """Return the bytes that a cache can take."""
    if device.type != "cuda":
        return GIB
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    return max(0, free - SPARE)
