"""What every engine takes and gives: requests, replies and failures."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import orjson

Stage = Literal[
    "policy", "describe", "audit", "judge", "caption", "solve", "split", "noise",
    "teacher_describe", "teacher_steps",
]  # fmt: skip
"""The stages that call a model; sent as the header X-EVPV-Stage by the `api` engine."""

IMAGE: Mapping[str, str] = {"type": "image"}
"""The place of the next of `Request.images` in a message's content."""


def text(value: str) -> dict[str, str]:
    """Return a text part of a message's content."""
    return {"type": "text", "text": value}


@dataclass(frozen=True)
class Image:
    """An image file by its content: two paths with the same bytes are the same image."""

    path: Path

    @property
    def content(self) -> bytes:
        """The file's bytes, read each time: a run has more images than memory holds."""
        return self.path.read_bytes()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def data_url(self, mime_type: str) -> str:
        """Return the bytes as a base64 data URL."""
        return f"data:{mime_type};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Sampling:
    """How a reply is drawn. `top_logprobs` log-probabilities are kept for every output token.

    A request can say from where on; see `Request.logprobs_from`.
    """

    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0


SEEDS_PER_KEY = 64
"""Samples of one prompt that have seeds of their own."""


def first_seed(seed: int, key: str) -> int:
    """Return the first of the consecutive seeds that a prompt's samples draw with.

    `key` names the prompt within a run whose seed is `seed`. Prompts lie `SEEDS_PER_KEY` seeds
    apart by a hash, so that their draws are independent and follow from nothing but the arguments.
    """
    digest = int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:5])
    return digest * SEEDS_PER_KEY


@dataclass(frozen=True)
class Request:
    """One chat completion.

    `messages` are {"role", "content"} objects whose content is a list of `text(...)` and `IMAGE`
    parts; the n-th IMAGE stands for `images[n]`. At most one of `choices` (the reply is one of
    these strings) and `json_schema` (the reply is JSON of this schema) constrains the reply.
    `sample_index` tells apart the samples that are drawn from one prompt. Given `logprobs_from`,
    log-probabilities are kept from the last place on where the reply says this text.
    """

    stage: Stage
    messages: Sequence[Mapping[str, Any]]
    images: Sequence[Image]
    sampling: Sampling
    choices: Sequence[str] | None = None
    json_schema: Mapping[str, Any] | None = None
    sample_index: int = 0
    logprobs_from: str | None = None

    def key(self, identity: Mapping[str, Any]) -> str:
        """Return the SHA-256 of everything that decides the reply, the engine's identity included.

        The stage is left out: it labels the request and does not reach the model.
        """
        content = {
            "engine": identity,
            "messages": self.messages,
            "images": [image.digest for image in self.images],
            "sampling": self.sampling,
            "choices": self.choices,
            "json_schema": self.json_schema,
            "sample_index": self.sample_index,
        }
        if self.logprobs_from is not None:  # unsaid, so that older stores keep their keys
            content["logprobs_from"] = self.logprobs_from
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True)
class Usage:
    """Token counts of one reply; `cached` of the prompt tokens were served from a prefix cache."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0


@dataclass(frozen=True)
class Reply:
    """A model's text. `logprobs` holds one {token text: log-probability} an output token.

    Each begins with the token that was taken.
    """

    text: str
    logprobs: Sequence[Mapping[str, float]] | None = None
    usage: Usage = field(default_factory=Usage)

    def with_logprobs_from(self, text: str) -> Reply:
        """Return the reply with log-probabilities from where it says `text` for the last time.

        Alternatives that are next to impossible go, too: a long reply would fill the store with
        them. Nothing is left where the tokens do not say the text.
        """
        positions = self.logprobs or ()
        tokens = [next(iter(position), "") for position in positions]
        place = "".join(tokens).rfind(text)
        if place < 0:
            return replace(self, logprobs=None)
        ends = accumulate(map(len, tokens))
        kept = [
            {t: p for t, p in position.items() if t == token or p >= NEXT_TO_IMPOSSIBLE}
            for token, end, position in zip(tokens, ends, positions, strict=True)
            if end > place
        ]
        return replace(self, logprobs=kept)


NEXT_TO_IMPOSSIBLE = -20.0
"""A log-probability: one in five hundred million."""


@dataclass(frozen=True)
class Failure:
    """A request without a usable reply.

    `kind` is one lower-case word with underscores, the same for the same cause ("truncated",
    "timeout", "http_500", "invalid_json", …); `detail` is for people; `text` is what the model
    said, if anything.
    """

    kind: str
    detail: str = ""
    text: str = ""


Result: TypeAlias = Reply | Failure


class Engine(Protocol):
    """A model that answers requests."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What of the engine decides a reply: model, revision or address, and declared options."""
        ...

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Result]]:
        """Answer all requests; yield (index, result) as each finishes, in any order.

        A failed request is a `Failure`. An error that concerns every request (a wrong address, a
        missing model or key) raises `evpv_prm.errors.UserError`.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...
