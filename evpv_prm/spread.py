"""A part of many things that comes from all of them, and is the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")


def spread(items: Sequence[ItemT], limit: int | None) -> list[ItemT]:
    """Return `limit` of the items at even distances, in order; None stands for all."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[index * len(items) // limit] for index in range(limit)]
