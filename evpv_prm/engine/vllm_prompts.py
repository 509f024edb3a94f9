"""From requests to vLLM's inputs, as fast as a GPU takes them.

vLLM renders the chat template, divides the whole prompt into tokens and goes through the image
processor for every request, which costs a core more than a GPU needs for a verdict. Here only the
first prompt about some images goes that way. The prompts after it differ in their text: it is
divided line by line, each line once, and stands between what the first prompt had before and
behind its own.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, product
from typing import Any

import PIL.Image

from evpv_prm.engine.base import Image, Request

LINES = 16384
"""Lines whose tokens are remembered: those of the requests of some hundred questions."""

FRAMES = 1024
"""Prompts' beginnings that are remembered, with the tokens of their images."""

_LINE_START = re.compile(r"(?<=\n)(?=[A-Za-z])")
_PROBES = ("a", "Z", "9", ".", ")", " ", "\n", "\t", "é", "数", ">")


class LineTokenizer:
    """Divides a text into the tokens that the tokenizer divides it into, remembering its lines.

    A line ends before a letter that follows a line feed. Tokenizers that divide texts into words
    first never have a token there; one that has is given the whole text.
    """

    def __init__(self, tokenizer: Any) -> None:
        if tokenizer.is_fast:  # transformers' own `encode` takes longer than what it calls
            backend = tokenizer.backend_tokenizer

            def encode(line: str) -> list[int]:
                ids: list[int] = backend.encode(line, add_special_tokens=False).ids
                return ids

        else:
            encode = partial(tokenizer.encode, add_special_tokens=False)
        self._tokens = lru_cache(LINES)(encode)
        self._by_line = all(
            encode(f"x{before}\n{after}y") == encode(f"x{before}\n") + encode(f"{after}y")
            for before, after in product(_PROBES, "aSZ")
        )

    def __call__(self, text: str) -> list[int]:
        """Return the text's tokens, without any that mark its beginning or end."""
        lines = _LINE_START.split(text) if self._by_line else [text]
        return [token for line in lines for token in self._tokens(line)]


@dataclass(frozen=True)
class Frame:
    """What the prompts have in common that show the same images in the same way."""

    before: str
    """The rendered prompt up to the request's own text."""
    behind: str
    """The rendered prompt from the end of that text on."""
    written: list[int]
    """The tokens up to the end of the last image, each image as it is written in the prompt."""
    shown: list[int]
    """The same with the tokens in whose place the images' embeddings come."""
    image_tokens: frozenset[int]
    """The tokens in whose place embeddings come."""
    input: Mapping[str, Any]
    """vLLM's input of the first prompt, without the images' pixels."""


class PromptRenderer:
    """Makes vLLM's inputs for requests.

    Args:
        llm: vLLM's `LLM`, version 0.32.
        tokenizer: the model's tokenizer, which nobody else uses.
    """

    def __init__(self, llm: Any, tokenizer: Any) -> None:
        self._llm = llm
        self._tokens = LineTokenizer(tokenizer)
        self._sent = llm.llm_engine.renderer.mm_processor_cache
        self._frames: dict[Hashable, Frame] = {}

    def render(self, request: Request) -> Any:
        """Return vLLM's input for a request.

        Raises:
            ValueError: vLLM refuses it, for instance for more images than it was told to expect.
        """
        parts = [part for message in request.messages for part in message["content"]]
        text = parts[-1].get("text", "")
        shape = (
            tuple((message["role"], len(message["content"])) for message in request.messages),
            tuple(part.get("text") for part in parts[:-1]),
            tuple(image.digest for image in request.images),
        )
        frame = self._frames.get(shape)
        if frame and (made := self._from_frame(frame, text)):
            return made
        rendered: dict[str, Any] = self._llm._preprocess_chat_one(chat(request))
        if frame := self._frame_of(rendered, text):
            if len(self._frames) == FRAMES:  # requests come question by question: the oldest goes
                del self._frames[next(iter(self._frames))]
            self._frames[shape] = frame
        return rendered

    def forget(self, request: Request) -> None:
        """Have the pixels of a request's images sent again: vLLM's core may not have got them."""
        for image in request.images:
            self._sent.invalidate(image.digest)

    def _frame_of(self, rendered: Mapping[str, Any], text: str) -> Frame | None:
        """Return what other prompts share with this one; None where that cannot be told."""
        prompt, tokens = rendered["prompt"], rendered["prompt_token_ids"]
        if prompt.count(text) != 1:
            return None
        before, _, behind = prompt.partition(text)
        places = [place for kind in rendered.get("mm_placeholders", {}).values() for place in kind]
        end = max((place.offset + place.length for place in places), default=0)
        written = self._tokens(prompt)
        split = len(written) - len(tokens[end:])
        if split < 0 or written[split:] != tokens[end:]:
            return None
        kept = {name: value for name, value in rendered.items() if name != "mm_kwargs"}
        replaced = (tokens[place.offset : place.offset + place.length] for place in places)
        return Frame(
            before, behind, written[:split], tokens[:end], frozenset(chain(*replaced)), kept
        )

    def _from_frame(self, frame: Frame, text: str) -> dict[str, Any] | None:
        """Return the input of a prompt with another text; None where only vLLM can say."""
        digests = frame.input.get("mm_hashes", {})
        if not all(all(self._sent.is_cached(hashes)) for hashes in digests.values()):
            return None
        prompt = frame.before + text + frame.behind
        written = self._tokens(prompt)
        split = len(frame.written)
        if written[:split] != frame.written or not frame.image_tokens.isdisjoint(written[split:]):
            return None
        made = dict(frame.input, prompt=prompt, prompt_token_ids=frame.shown + written[split:])
        made["arrival_time"] = time.time()
        if digests:
            made["mm_kwargs"] = {
                kind: [self._sent.get_and_update_item(None, digest)[0] for digest in hashes]
                for kind, hashes in digests.items()
            }
        return made


def chat(request: Request) -> list[Any]:
    """Return vLLM's form of the messages, images in place."""
    images = iter(request.images)
    return [
        {
            "role": message["role"],
            "content": [
                _image_part(next(images)) if part["type"] == "image" else part
                for part in message["content"]
            ],
        }
        for message in request.messages
    ]


def _image_part(image: Image) -> dict[str, Any]:
    # The digest as identifier spares vLLM the hashing of the pixels for each of an image's prompts.
    return {"type": "image_pil", "image_pil": _decode(image), "uuid": image.digest}


@lru_cache(maxsize=64)
def _decode(image: Image) -> PIL.Image.Image:
    picture: PIL.Image.Image = PIL.Image.open(io.BytesIO(image.content))
    if picture.has_transparency_data:
        # Black lines on a transparent ground would vanish on the black that RGB falls back to.
        picture = picture.convert("RGBA")
        ground = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(ground, picture)
    return picture.convert("RGB")
