"""The page itself: hand-written files that show whatever collections are beside them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from evpv_prm.cases.collection import MARKER, script
from evpv_prm.cases.shapes import Collection
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import atomic_write

PAGE = "index.html"


def read_collection(folder: Path) -> Collection:
    """Read what a collection says of itself.

    Raises:
        InputError: there is none.
    """
    path = folder / MARKER
    try:
        found: Collection = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(path, expected=f"not valid JSON ({error.msg})") from error
    return found


def write_page(
    folder: Path, collections: Sequence[Collection], *, aggregation: str, note: str | None
) -> None:
    """Write the page into a folder that holds the collections; `index.html` last.

    Args:
        folder: to write to.
        collections: in the order in which the page offers them.
        aggregation: the one that the page shows first.
        note: a sentence that must stand on the page.

    Raises:
        UserError: `aggregation` is in none of the collections of candidates.
    """
    known = [name for each in collections for name in each.get("aggregations", [])]
    if known and aggregation not in known:
        raise UserError(f"--aggregation {aggregation}: expected one of {', '.join(known)}")
    about: dict[str, Any] = {"collections": collections, "aggregation": aggregation, "note": note}
    _write(folder / "collections.js", script("collections", about))
    for name in asset_names():
        _write(folder / "assets" / name, _asset(name))
    _write(folder / PAGE, _asset(PAGE))


def asset_names() -> list[str]:
    """Return the names of the files that the page needs beside it."""
    entries = files(__package__).joinpath("assets").iterdir()
    return sorted(entry.name for entry in entries if entry.name != PAGE)


def _asset(name: str) -> bytes:
    return files(__package__).joinpath("assets", name).read_bytes()


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as stream:
        stream.write(content)
