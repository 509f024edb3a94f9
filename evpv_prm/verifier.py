"""Requests to the verifier, and what its verdicts on a solution's steps say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson

from evpv_prm import parsing, prompts
from evpv_prm.engine.base import (
    Failure,
    Image,
    Reply,
    Request,
    Result,
    Sampling,
    Stage,
    first_seed,
)
from evpv_prm.prompts import JudgeRules, Prompt
from evpv_prm.records import Verdict
from evpv_prm.section import Decoding

ParsedT = TypeVar("ParsedT")

TOP_LOGPROBS = 20
"""Log-probabilities asked for at the verdict: the most that OpenAI-compatible servers give."""


def request(
    stage: Stage, prompt: Prompt, images: Sequence[Image], decoding: Decoding, seed: int
) -> Request:
    """Return the request for a verifier's prompt about these images.

    It draws with a seed that follows from `seed` and what it asks: one seed for all would make
    them draw alike, so that a verdict's luck is every verdict's.
    """
    shown = [images[i] for i in prompt.image_order]
    asked = orjson.dumps([prompt.messages, [image.digest for image in shown]]).decode()
    return Request(
        stage=stage,
        messages=prompt.messages,
        images=shown,
        sampling=Sampling(
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=decoding.max_tokens,
            seed=first_seed(seed, asked),
            top_logprobs=TOP_LOGPROBS if stage == "judge" else 0,
        ),
        choices=prompt.choices,
        json_schema=prompt.json_schema,
    )


@dataclass(frozen=True)
class View:
    """What the judge of a step is shown beside the question, and how it answers.

    It sees the `history` steps before the one that it judges (None: all), counted from the first
    step of its block: `block` successive steps share the beginning of their history, so that the
    prompt of each begins with its predecessor's and a prefix cache serves it. No step is judged
    with later ones in sight: a single reply on a whole block would be.
    """

    decoding: Decoding
    history: int | None = None
    block: int = 1
    rules: JudgeRules = "strict"
    shows_images: bool = True
    is_constrained: bool = True
    """Whether the reply is one of the verdicts; else it is free text, which may be none."""


def judge_requests(
    question: str,
    description: str | None,
    steps: Sequence[str],
    images: Sequence[Image],
    view: View,
    seed: int,
) -> list[Request]:
    """Return a request for the judgement of every step, in order."""
    requests = []
    for index in range(len(steps)):
        start = index - index % view.block
        first = 0 if view.history is None else max(0, start - view.history)
        prompt = prompts.judge(
            question,
            description,
            steps[first : index + 1],
            len(images),
            first=first + 1,
            rules=view.rules,
            show_images=view.shows_images,
        )
        if not view.is_constrained:
            prompt = Prompt(prompt.messages, prompt.image_order)
        requests.append(request("judge", prompt, images, view.decoding, seed))
    return requests


@dataclass(frozen=True)
class Judgements:
    """Verdicts on successive steps with their p of "1", both None where the judge failed."""

    verdicts: list[Verdict | None]
    probabilities: list[float | None]
    failures: list[str]
    """Each failed step as "judge[INDEX]:KIND"."""


def read_judgements(results: Iterable[Result]) -> Judgements:
    """Read the results of `judge_requests`."""
    verdicts: list[Verdict | None] = []
    probabilities: list[float | None] = []
    failures = []
    for index, result in enumerate(results):
        verdict: Verdict | Failure = parsed(result, parsing.parse_verdict)
        if isinstance(verdict, Failure):
            failures.append(f"judge[{index}]:{verdict.kind}")
            verdicts.append(None)
            probabilities.append(None)
        else:
            verdicts.append(verdict)
            logprobs = result.logprobs if isinstance(result, Reply) else None
            probabilities.append(parsing.verdict_probability(logprobs))
    return Judgements(verdicts, probabilities, failures)


def parsed(result: Result, parse: Callable[[str], ParsedT | Failure]) -> ParsedT | Failure:
    """Return what a reply says, or the failure."""
    return result if isinstance(result, Failure) else parse(result.text)
