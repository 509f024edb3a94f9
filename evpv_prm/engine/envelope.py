"""The wire format of the reference implementation's own gateway: requests to bodies and back.

A body is `{model, prompt, params}`, with the chat messages as `prompt`; the reply's text stands at
`data.message`. Nothing constrains a reply, tells its tokens or says why it ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from evpv_prm.engine.base import Reply, Request, Result
from evpv_prm.engine.chat_completions import Part, invalid_reply, render_messages


def envelope_body(request: Request, *, model: str, extra_body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body that asks for one reply; `extra_body` adds fields to it.

    Raises:
        UnreadableImageError: one of the images cannot be sent.
    """
    sampling = request.sampling
    params = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    return {"model": model, "prompt": render_messages(request), "params": params, **extra_body}


class _Data(Part):
    message: str


class _Envelope(Part):
    data: _Data


def parse_envelope(content: bytes) -> Result:
    """Read the body of a reply with status 200."""
    try:
        return Reply(_Envelope.model_validate_json(content).data.message)
    except ValidationError as error:
        return invalid_reply(error)
