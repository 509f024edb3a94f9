"""Rows for `profiles/rates.csv`: those that are there, with what was measured in place of guesses.

They stay estimates: a plan's rates count as measured when jobs of the pipeline were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from benchmarks.gpu_check.measuring import (
    DECODE,
    LONG_STEP,
    PREFILL,
    SHORT_FORWARD,
    SHORT_STEP,
)
from benchmarks.gpu_check.model import Scale
from evpv_prm.plan.tables import Rate

MODEL = "10B"
"""The class of models that Qwen2.5-VL-7B is in."""
COMPUTED = re.compile(r"(\d+) of \d+ prompt tokens of a call computed")


def serving_rates(
    shipped: Iterable[Rate], prefill: float, decode: float, source: str
) -> Iterator[Rate]:
    """Yield the rates of the rules that ask a model on one GPU, from tokens a second.

    How many of a prompt's tokens are computed stays as a row's reasoning says.
    """
    for rate in shipped:
        computed = COMPUTED.search(rate.reasoning)
        if rate.model == MODEL and computed:
            call = int(computed[1]) / prefill + rate.completion_tokens / decode
            speeds = f"{prefill:.0f}/{decode:.0f} prompt/new tokens a second with 1 GPU(s)"
            yield _changed(rate, rate.calls * call, f"{speeds} {source}")


def training_rates(
    shipped: Iterable[Rate], found: Mapping[str, float], kernel: str, scale: Scale, source: str
) -> Iterator[Rate]:
    """Yield the rates of the trainings, from the times of one GPU.

    With flash-attn 2, rows are packed to long ones, but for the DPO.
    """
    step, packed = found[SHORT_STEP], f"{scale.short_row} tokens"
    if kernel == "flash_attention_2":
        step = found[LONG_STEP] * scale.short_row / scale.long_row
        packed = f"{scale.short_row} of {scale.long_row} tokens"
    sft = f"a LoRA step of {packed} {source}, {kernel}"
    pair = 2 * found[SHORT_STEP] + 2 * found[SHORT_FORWARD]
    dpo = f"two LoRA steps and two forward passes of {scale.short_row} tokens {source}, {kernel}"
    for rate in shipped:
        if rate.model != MODEL:
            continue
        if rate.rule in ("train_vision_sft", "train_step_judge"):
            yield _changed(rate, step, sft)
        elif rate.rule == "train_dpo":
            yield _changed(rate, pair, dpo)


def rows(
    shipped: Iterable[Rate], found: Mapping[str, Mapping[str, float]], scale: Scale, source: str
) -> list[Rate]:
    """Return the rows that the numbers of the parts suffice for; `found` has them by part."""
    shipped, rates = list(shipped), list[Rate]()
    for kernel in ("flash_attention_2", "sdpa"):
        numbers = found.get(f"training-{kernel}", {})
        if numbers.keys() >= {SHORT_STEP, LONG_STEP, SHORT_FORWARD}:
            rates += training_rates(shipped, numbers, kernel, scale, source)
            break
    serving = found.get("serving", {})
    if serving.keys() >= {PREFILL, DECODE}:
        rates += serving_rates(shipped, serving[PREFILL], serving[DECODE], source)
    return rates


def _changed(rate: Rate, seconds: float, reason: str) -> Rate:
    """Return a rate with other seconds; what its reasoning says of the rest stays."""
    _, _, rest = rate.reasoning.partition("; ")
    changes = {"seconds": float(f"{seconds:.4g}"), "basis": "estimate"}
    return rate.model_copy(update=changes | {"reasoning": "; ".join(filter(None, (reason, rest)))})
