"""Which tokens tell apart the values that a reply can have, in whatever vocabulary."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def first_tokens(tokenizer: Any, choices: Sequence[str]) -> Mapping[int, str] | None:
    """Return the tokens that a reply which is one of the choices can begin with, and which it is.

    A choice begins with a token of one or more of its characters: "-1" with "-", and with "-1"
    where that is a token. None where some token does not tell, as "1" does not for "1" and "10".

    Args:
        tokenizer: a tokenizer of transformers, fast or slow.
        choices: texts without white space, none of which begins with another.
    """
    found: dict[int, str] = {}
    for choice in choices:
        for token in _beginnings(tokenizer, choice):
            if found.setdefault(token, choice) != choice:
                return None
    return found if set(found.values()) == set(choices) else None


def deciding_tokens(tokenizer: Any, name: str, values: Sequence[Any]) -> list[int]:
    """Return the tokens that tell apart the values of a field of a JSON object.

    Those are the tokens of one value's JSON that are none of another's at the same place, and
    those that a value alone can begin with.
    """
    texts = [json.dumps({name: value}, separators=(",", ":")) for value in values]
    sequences = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    ids = {
        token
        for tokens in itertools.zip_longest(*sequences)
        for token in tokens
        if len(set(tokens)) > 1 and token is not None
    }
    for value in values:
        ids.update(_beginnings(tokenizer, json.dumps(value)))
    return sorted(ids)


def _beginnings(tokenizer: Any, text: str) -> Iterable[int]:
    """Yield the tokens of the text's first characters.

    They are looked up and not encoded: some tokenizers put a space before whatever they encode.
    Characters of ASCII stand for themselves in the vocabularies of byte-level BPE and of
    sentencepiece.
    """
    for length in range(1, len(text) + 1):
        token = tokenizer.convert_tokens_to_ids(text[:length])
        if token is not None and token != tokenizer.unk_token_id:
            yield token
