"""Captions with a share of their items left out or falsified.

A caption's items are its text and each of its key facts, blank ones not counted. DROP leaves an
item out; FLIP changes one value in it so that it says something else. `uncertain` is kept, and
nothing in the corrupted caption tells that it is one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, TypeAlias

import orjson
from pydantic import Field

from evpv_prm.data.corruptions import falsify
from evpv_prm.records import Caption, Record

Mode: TypeAlias = Literal["drop", "flip"]
MODES: tuple[Mode, ...] = ("drop", "flip")

_TEXT = -1
"""The index of the caption's text among the items; key facts have their own, from 0."""


class _Extent(Record):
    """How much of a caption was corrupted.

    `ratio` is the share of the `items` that was to be; `changed` of them were, the share
    `realised`.
    """

    type: Mode
    ratio: float
    items: int
    changed: int
    realised: float


class DropMeta(_Extent):
    """What DROP left out."""

    type: Literal["drop"]
    caption_dropped: bool
    dropped_key_facts_idx: list[int]


class Flip(Record):
    """A falsified item, "caption" or the index of a key fact: the word and what replaced it."""

    item: Literal["caption"] | int
    kind: str
    original: str
    replacement: str


class FlipMeta(_Extent):
    """What FLIP falsified; `unchangeable` items were chosen too, but have nothing to change."""

    type: Literal["flip"]
    caption_flipped: bool
    flipped_key_facts_idx: list[int]
    unchangeable: int
    flips: list[Flip]


Meta: TypeAlias = Annotated[DropMeta | FlipMeta, Field(discriminator="type")]


def corrupt_caption(
    caption: Caption, mode: Mode, ratio: float, sample_id: str, seed: int
) -> tuple[Caption, DropMeta | FlipMeta]:
    """Corrupt a share of a caption's items, in [0, 1]; return the caption and what was done to it.

    What is chosen at one ratio is chosen at every higher one, and an item is falsified in the same
    way at each: all follows from the seed, the sample's id, the mode and the item's index. Of n
    items ratio · n are chosen, rounded up or down at random, so that the average over samples is
    the ratio whatever n is. (Always to the nearest would leave captions of fewer than five items
    whole at 0.1; a draw for each item would be right on average too, but spread far more.)
    """
    items = {_TEXT: caption.caption} | dict(enumerate(caption.key_facts))
    items = {index: item for index, item in items.items() if item.strip()}
    chosen = _choose(items, mode, ratio, sample_id, seed)
    if mode == "drop":
        is_dropped, facts = _TEXT in chosen, [index for index in chosen if index != _TEXT]
        dropped = DropMeta(
            type="drop",
            ratio=ratio,
            items=len(items),
            changed=len(chosen),
            realised=_share(chosen, items),
            caption_dropped=is_dropped,
            dropped_key_facts_idx=facts,
        )
        return _replace(caption, dict.fromkeys(chosen)), dropped
    context = "\n".join(items.values())
    found = {}
    for index in chosen:
        draw = random.Random(_digest(seed, sample_id, mode, index, "value"))
        if falsified := falsify(items[index], draw, context):
            found[index] = falsified
    flipped = FlipMeta(
        type="flip",
        ratio=ratio,
        items=len(items),
        changed=len(found),
        realised=_share(found, items),
        caption_flipped=_TEXT in found,
        flipped_key_facts_idx=[index for index in found if index != _TEXT],
        unchangeable=len(chosen) - len(found),
        flips=[
            Flip(item="caption" if index == _TEXT else index, **error.to_json())
            for index, falsified in found.items()
            for error in falsified.errors
        ],
    )
    return _replace(caption, {index: f.text for index, f in found.items()}), flipped


def _choose(
    items: Collection[int], mode: Mode, ratio: float, sample_id: str, seed: int
) -> list[int]:
    """Choose items by systematic sampling: the first ones of a drawn order, from a drawn start."""
    order = sorted(items, key=lambda index: _digest(seed, sample_id, mode, index))
    start = (_digest(seed, sample_id, mode, "start") & 0xFFFFFFFF) / 2**32  # exact in sums
    return sorted(index for rank, index in enumerate(order) if rank + start < ratio * len(order))


def _digest(*parts: str | int) -> int:
    return int.from_bytes(hashlib.sha256(orjson.dumps(parts)).digest())


def _share(part: Collection[int], whole: Collection[int]) -> float:
    return len(part) / len(whole) if whole else 0.0


def _replace(caption: Caption, texts: Mapping[int, str | None]) -> Caption:
    """Return the caption with other texts for some items, None for none."""
    facts = [texts.get(index, fact) for index, fact in enumerate(caption.key_facts)]
    return caption.model_copy(
        update={
            "caption": texts.get(_TEXT, caption.caption) or "",
            "key_facts": [fact for fact in facts if fact is not None],
        }
    )
