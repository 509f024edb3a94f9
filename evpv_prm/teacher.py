"""What is asked of the teacher: requests, and replies that are asked for until they are valid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from evpv_prm.engine.base import Failure, Image, Reply, Request, Sampling, Stage, first_seed
from evpv_prm.engine.store import StoredEngine
from evpv_prm.prompts import Prompt
from evpv_prm.section import Decoding

ValueT = TypeVar("ValueT")


def teacher_request(
    stage: Stage, prompt: Prompt, image: Image, decoding: Decoding, seed: int, key: str
) -> Request:
    """Return the first request for a prompt about one image.

    Its seed follows from `seed` and `key`; see `first_seed`.
    """
    return Request(
        stage=stage,
        messages=prompt.messages,
        images=[image],
        sampling=Sampling(
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=decoding.max_tokens,
            seed=first_seed(seed, key),
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
    itself. A valid reply in the store is taken first, so that a rerun does not pay once more for
    the failures that came before it.
    """
    outcomes: list[ValueT | Failure] = [Failure("not_asked")] * len(requests)
    pending = set(range(len(requests)))
    known: set[tuple[int, int]] = set()
    for attempt in range(attempts):
        for index, text in _stored(engine, requests, pending, attempt):
            known.add((index, attempt))
            outcomes[index] = check(index, text)
        pending = {index for index in pending if isinstance(outcomes[index], Failure)}

    for attempt in range(attempts):
        wave = [index for index in sorted(pending) if (index, attempt) not in known]
        if not wave:
            continue
        name = label if attempt == 0 else f"{label}, attempt {attempt + 1}"
        results = engine.generate([_sample(requests[index], attempt) for index in wave], name)
        for index, result in zip(wave, results, strict=True):
            outcome = check(index, result.text) if isinstance(result, Reply) else result
            outcomes[index] = outcome
            is_mendable = isinstance(result, Reply) or result.kind == "truncated"
            if not (isinstance(outcome, Failure) and is_mendable):
                pending.remove(index)
    return outcomes


def _stored(
    engine: StoredEngine, requests: Sequence[Request], indices: Iterable[int], attempt: int
) -> Iterator[tuple[int, str]]:
    """Yield (index, text) of those requests whose reply to an attempt is stored."""
    by_key: dict[str, list[int]] = {}
    for index in indices:
        key = _sample(requests[index], attempt).key(engine.store.identity)
        by_key.setdefault(key, []).append(index)
    for key, reply in engine.store.read(by_key):
        for index in by_key[key]:
            yield index, reply.text


def _sample(request: Request, index: int) -> Request:
    if index == 0:
        return request
    sampling = replace(request.sampling, seed=request.sampling.seed + index)
    return replace(request, sampling=sampling, sample_index=index)
