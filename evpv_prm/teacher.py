"""What is asked of the teacher: requests, and replies that are asked for until they are valid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from evpv_prm import cli
from evpv_prm.config import Decoding
from evpv_prm.engine.base import Failure, Image, Reply, Request, Sampling, Stage
from evpv_prm.engine.store import StoredEngine
from evpv_prm.prompts import Prompt

ValueT = TypeVar("ValueT")


def teacher_request(
    stage: Stage, prompt: Prompt, image: Image, decoding: Decoding, seed: int, key: str
) -> Request:
    """Return the first request for a prompt about one image.

    Its seed follows from `seed` and `key`; 64 attempts have seeds of their own.
    """
    digest = int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:5])
    return Request(
        stage=stage,
        messages=prompt.messages,
        images=[image],
        sampling=Sampling(
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=decoding.max_tokens,
            seed=digest * 64,
        ),
        json_schema=prompt.json_schema,
    )


def ask_until_valid(
    engine: StoredEngine,
    requests: Sequence[Request],
    check: Callable[[int, str], ValueT | Failure],
    attempts: int,
    label: str,
) -> list[ValueT | Failure]:
    """Return what `check(index, text)` makes of the reply to each request, in order.

    A reply that it refuses, or that was cut off, is asked for again as another sample, `attempts`
    times in all; the last failure stands. Other failures are the engine's, which has tried again
    itself. Every reply is stored, so that a rerun asks for none of them again.
    """
    outcomes: list[ValueT | Failure] = [Failure("not_asked")] * len(requests)
    pending = list(range(len(requests)))
    for attempt in range(attempts):
        if not pending:
            break
        wave = [_sample(requests[index], attempt) for index in pending]
        name = label if attempt == 0 else f"{label}, attempt {attempt + 1}"
        results = engine.generate(wave, cli.progress(len(wave), name))
        invalid = []
        for index, result in zip(pending, results, strict=True):
            outcome = check(index, result.text) if isinstance(result, Reply) else result
            outcomes[index] = outcome
            is_mendable = isinstance(result, Reply) or result.kind == "truncated"
            if isinstance(outcome, Failure) and is_mendable:
                invalid.append(index)
        pending = invalid
    return outcomes


def _sample(request: Request, index: int) -> Request:
    sampling = replace(request.sampling, seed=request.sampling.seed + index)
    return replace(request, sampling=sampling, sample_index=index)
