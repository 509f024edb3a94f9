"""Requests to the verifier, and what its verdicts on a solution's steps say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import orjson

from evpv_prm import prompts
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.engine.base import (
    Failure,
    Image,
    Request,
    Result,
    Sampling,
    Stage,
    first_seed,
)
from evpv_prm.prompts import JudgeRules, Prompt
from evpv_prm.records import Verdict
from evpv_prm.section import Decoding
from evpv_prm.verdicts import VERDICT_KEY, parse_judgement, verdict_probability

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
    """Whether the reply has the form that is asked for; else it is free text, which may have not.
    """
    reply: JudgeReply = VERDICT_ALONE


def judge_requests(
    question: str,
    description: str | None,
    steps: Sequence[str],
    images: Sequence[Image],
    view: View,
    seed: int,
) -> list[Request]:
    """Return a request for the judgement of every step, in order."""
    longest = view.decoding.max_tokens + view.reply.evidence_tokens
    decoding = view.decoding.model_copy(update={"max_tokens": longest})
    kept_from = VERDICT_KEY if view.reply.has_evidence else None
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
            reply=view.reply,
        )
        if not view.is_constrained:
            prompt = Prompt(prompt.messages, prompt.image_order)
        asked = request("judge", prompt, images, decoding, seed)
        requests.append(replace(asked, logprobs_from=kept_from))
    return requests


@dataclass(frozen=True)
class Judgements:
    """Verdicts on successive steps with their p of "1" and their evidence.

    All three are None where the judge failed, the evidence also where the judge gave none.
    """

    verdicts: list[Verdict | None]
    probabilities: list[float | None]
    evidence: list[str | None]
    failures: list[str]
    """Each failed step as "judge[INDEX]:KIND", or why nothing was judged."""

    @classmethod
    def none(cls, steps: int, *failures: str) -> Self:
        """Return what is known of so many steps that were not judged."""
        unknown = [None] * steps
        return cls([*unknown], [*unknown], [*unknown], [*failures])


def read_judgements(results: Iterable[Result], reply: JudgeReply) -> Judgements:
    """Read the results of `judge_requests`, whose view had this form of `reply`."""
    judged = Judgements.none(0)
    for index, result in enumerate(results):
        said = parsed(result, lambda text: parse_judgement(text, reply))
        if isinstance(said, Failure):
            judged.failures.append(f"judge[{index}]:{said.kind}")
        if isinstance(result, Failure) or isinstance(said, Failure):
            verdict, evidence, probability = None, None, None
        else:
            verdict, evidence = said
            probability = verdict_probability(result.logprobs)
        judged.verdicts.append(verdict)
        judged.evidence.append(evidence)
        judged.probabilities.append(probability)
    return judged


def parsed(result: Result, parse: Callable[[str], ParsedT | Failure]) -> ParsedT | Failure:
    """Return what a reply says, or the failure."""
    return result if isinstance(result, Failure) else parse(result.text)
