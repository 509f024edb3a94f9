"""The wire format of `/chat/completions`: requests to bodies, bodies to replies or failures.

Written after OpenAI's API reference (Chat Completions) and vLLM's extensions of it, which are
`structured_outputs`, `repetition_penalty`, `top_k` and `min_p`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, Literal

from PIL import Image as PillowImage
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evpv_prm.engine.base import IMAGE, Failure, Image, Reply, Request, Result, Usage

StructuredOutputs = Literal["vllm", "openai", "none"]


class UnreadableImageError(Exception):
    """An image is missing or is none; the message says which and why."""


def request_body(
    request: Request,
    *,
    model: str,
    structured_outputs: StructuredOutputs,
    logprobs: bool,
    extra_body: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the JSON body that asks for one reply; see `ApiOptions` for the options.

    Raises:
        UnreadableImageError: one of the images cannot be sent.
    """
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": render_messages(request),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    if structured_outputs == "vllm":
        # unsaid, the model's generation_config.json decides these three in vLLM's server
        body |= {"repetition_penalty": sampling.repetition_penalty, "top_k": 0, "min_p": 0.0}
    elif sampling.repetition_penalty != 1:
        body["repetition_penalty"] = sampling.repetition_penalty
    if logprobs and sampling.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
    return body | _constraint(request, structured_outputs) | dict(extra_body)


def render_messages(request: Request) -> list[dict[str, Any]]:
    """Put each image where its IMAGE part stands.

    Raises:
        UnreadableImageError: one of the images cannot be sent.
        ValueError: there are more IMAGE parts than images, or fewer.
    """
    images = iter(request.images)
    messages = [
        {**message, "content": [_part(part, images) for part in message["content"]]}
        for message in request.messages
    ]
    if next(images, None) is not None:
        raise ValueError("a request has more images than IMAGE parts")
    return messages


def _part(part: Mapping[str, Any], images: Iterator[Image]) -> Mapping[str, Any]:
    if part != IMAGE:
        return part
    image = next(images, None)
    if image is None:
        raise ValueError("a request has more IMAGE parts than images")
    try:
        return {"type": "image_url", "image_url": {"url": image.data_url(_mime_type(image))}}
    except (OSError, PillowImage.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UnreadableImageError(f"{image.path}: {reason}") from error


def _mime_type(image: Image) -> str:
    """Tell the type by the content: benchmarks name JPEG files .png and the reverse."""
    with PillowImage.open(BytesIO(image.content)) as opened:
        if opened.format == "MPO":  # a camera's JPEG with a second picture behind it
            return "image/jpeg"
        if (mime_type := opened.get_format_mimetype()) is None:
            raise UnreadableImageError(f"{image.path}: no MIME type for {opened.format}")
        return mime_type


def _constraint(request: Request, structured_outputs: StructuredOutputs) -> dict[str, Any]:
    if structured_outputs == "vllm" and request.choices is not None:
        return {"structured_outputs": {"choice": list(request.choices)}}
    if structured_outputs == "vllm" and request.json_schema is not None:
        return {"structured_outputs": {"json": request.json_schema}}
    if structured_outputs == "openai" and request.json_schema is not None:
        schema = {"name": "reply", "strict": True, "schema": request.json_schema}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {}


class Part(BaseModel):
    """A part of a reply: unknown fields are passed over, no type is bent."""

    model_config = ConfigDict(strict=True)


class _TokenLogprob(Part):
    token: str
    logprob: float


class _Position(_TokenLogprob):
    top_logprobs: list[_TokenLogprob] = []

    def by_token(self) -> dict[str, float]:
        """Of several tokens with one text (parts of a character), the likeliest counts."""
        likeliest_last = reversed(self.top_logprobs)
        return {self.token: self.logprob} | {top.token: top.logprob for top in likeliest_last}


class _Logprobs(Part):
    content: list[_Position] | None = None


class _Message(Part):
    content: str | None = None
    refusal: str | None = None


class _Choice(Part):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(Part):
    cached_tokens: int | None = None


class _Usage(Part):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Completion(Part):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None

    def tokens(self) -> Usage:
        if self.usage is None:
            return Usage()
        details = self.usage.prompt_tokens_details or _PromptDetails()
        return Usage(
            prompt=self.usage.prompt_tokens or 0,
            cached=details.cached_tokens or 0,
            completion=self.usage.completion_tokens or 0,
        )


def invalid_reply(error: ValidationError) -> Failure:
    """Return the failure of a reply whose body is not what the protocol says."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return Failure("invalid_reply", f"{where}: {first['msg']}" if where else first["msg"])


def parse_completion(content: bytes, request: Request, *, logprobs: bool) -> Result:
    """Read the body of a reply with status 200.

    A reply that ends for lack of tokens is a failure, unless it already is one of the choices.
    """
    try:
        completion = _Completion.model_validate_json(content)
    except ValidationError as error:
        return invalid_reply(error)
    choice = completion.choices[0]
    text = choice.message.content
    if choice.finish_reason == "length" and text not in (request.choices or ()):
        return Failure("truncated", f"after {request.sampling.max_tokens} tokens", text or "")
    if text is None or choice.message.refusal or choice.finish_reason == "content_filter":
        reason = choice.message.refusal or f"finish_reason {choice.finish_reason}"
        return Failure("refused", reason, text or "")
    positions = choice.logprobs.content if choice.logprobs else None
    if not (logprobs and request.sampling.top_logprobs):
        return Reply(text, usage=completion.tokens())
    if positions is None:
        return Failure("missing_logprobs", "declare logprobs: false for this endpoint", text)
    return Reply(text, [position.by_token() for position in positions], completion.tokens())
