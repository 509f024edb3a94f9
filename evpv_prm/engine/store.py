"""The response store: each reply is kept as it arrives, and what is kept is never asked for again.

On disk, `DIRECTORY/<16 hex of the engine's identity>/` holds `engine.json`, the identity in full,
and append-only segments `<UTC time>-<host>-<pid>-<random>.jsonl`. A segment has one writer, so that
any number of jobs share a directory, also on a network file system; each line is one result.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import orjson

from evpv_prm.engine.base import Engine, Failure, Reply, Request, Result
from evpv_prm.engine.segments import Place, SegmentWriter, decode, encode, whole_lines
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import write_json
from evpv_prm.progress import Progress

logger = logging.getLogger(__name__)

ALIKE = 50
"""Requests that fail alike at the beginning before an engine is asked no more: all would."""


class ResponseStore:
    """Results of one engine on disk, by `Request.key`; safe for many processes at once.

    A reply is found as soon as any writer has stored it (see `refresh`) and wins over failures;
    failures are counted and never served. A line cut off by a kill is ignored, and so, with a
    warning, is a damaged one: its request is sent again.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        """Open the part of `directory` that belongs to the engine's identity, a JSON object.

        Raises:
            UserError: the directory cannot be made or read.
        """
        self.identity = identity
        canonical = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
        self.directory = directory / hashlib.sha256(canonical).hexdigest()[:16]
        self.damaged = 0
        """Lines that could not be read."""
        self._places: dict[str, Place] = {}
        self._failures: dict[str, str] = {}
        self._read_to: dict[Path, tuple[int, int]] = {}  # offset and number of lines before it
        self._writer: SegmentWriter | None = None
        if not (self.directory / "engine.json").is_file():
            write_json(self.directory / "engine.json", identity)
        self.refresh()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    @property
    def failures(self) -> Counter[str]:
        """The number of requests that have only failed so far, by the last failure's kind."""
        return Counter(self._failures.values())

    def failure(self, key: str) -> str | None:
        """Return the kind of the last failure of a request that has only failed so far, or None."""
        return self._failures.get(key)

    def refresh(self) -> None:
        """Take in what has been stored since the last look, by whichever process.

        Raises:
            InputError: a segment cannot be read.
        """
        for segment in sorted(self.directory.glob("*.jsonl")):
            if self._writer is None or segment != self._writer.path:
                self._index(segment)

    def _index(self, segment: Path) -> None:
        offset, number = self._read_to.get(segment, (0, 0))
        damaged: list[int] = []
        for line in whole_lines(segment, offset):
            number += 1
            try:
                row = decode(line)
            except ValueError:
                damaged.append(number)
            else:
                self._add(row.k, row.failure, Place(str(segment), offset, len(line)))
            offset += len(line)
        self._read_to[segment] = offset, number
        if damaged:
            self.damaged += len(damaged)
            logger.warning(
                "%s:%d: damaged line ignored, %d in this file", segment, damaged[0], len(damaged)
            )

    def _add(self, key: str, failure: str | None, place: Place) -> None:
        if failure is None:
            self._places[key] = place
            self._failures.pop(key, None)
        elif key not in self._places:
            self._failures[key] = failure

    def read(self, keys: Iterable[str]) -> Iterator[tuple[str, Reply]]:
        """Yield (key, reply) for those of the keys that have a reply, in the order of the files.

        Raises:
            InputError: a segment was removed or changed since it was indexed.
        """
        wanted = sorted((self._places[key], key) for key in set(keys) if key in self._places)
        for segment, group in groupby(wanted, key=lambda item: item[0].segment):
            try:
                with Path(segment).open("rb") as stream:
                    for place, key in group:
                        stream.seek(place.offset)
                        result = decode(stream.read(place.length)).result()
                        if isinstance(result, Failure):
                            raise InputError(segment, expected="was changed while in use")
                        yield key, result
            except OSError as error:
                raise InputError(segment, expected=f"cannot be read: {error.strerror}") from error
            except ValueError as error:
                raise InputError(segment, expected="was changed while in use") from error

    def put(self, key: str, result: Result) -> Result:
        """Store one result and return it as every later run will be served it.

        Log-probabilities are rounded to 6 decimals. When this returns, the line is with the
        operating system and outlives the process.

        Raises:
            UserError: the disk is full or refuses the line; what was stored before stays readable.
        """
        if self._writer is None:
            self._writer = SegmentWriter(self.directory)
        line = encode(key, result)
        row = decode(line)
        try:
            place = self._writer.append(line)
        except UserError:
            self.close()
            raise
        self._add(key, row.failure, place)
        return row.result()

    def close(self) -> None:
        """Bring everything to the disk; the next `put` begins a new segment.

        Raises:
            UserError: the disk refuses it.
        """
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._read_to[writer.path] = writer.size, writer.lines
            writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Statistics:
    """What became of the requests so far; tokens are those of replies from the engine.

    distinct = served + paid + failed once `StoredEngine.generate` has returned.
    """

    requested: int = 0
    distinct: int = 0
    served: int = 0
    """Distinct requests answered from the store."""
    paid: int = 0
    """Replies from the engine."""
    failed: int = 0
    """Distinct requests without a reply."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def add(self, result: Result) -> None:
        """Count one result that did not come from the store."""
        if isinstance(result, Failure):
            self.failed += 1
            return
        self.paid += 1
        self.prompt_tokens += result.usage.prompt
        self.cached_tokens += result.usage.cached
        self.completion_tokens += result.usage.completion

    def __str__(self) -> str:
        return (
            f"{self.requested} requests, {self.distinct} distinct: {self.served} from the store, "
            f"{self.paid} paid, {self.failed} failed; {self.prompt_tokens} prompt tokens "
            f"({self.cached_tokens} cached), {self.completion_tokens} completion tokens"
        )

    @classmethod
    def last_in(cls, text: str) -> Self | None:
        """Return the last statistics that a log holds, as `str` writes them; None: it has none."""
        found = _STATISTICS.findall(text)
        return cls(*map(int, found[-1])) if found else None


_STATISTICS = re.compile(
    r"(\d+) requests, (\d+) distinct: (\d+) from the store, (\d+) paid, (\d+) failed; "
    r"(\d+) prompt tokens \((\d+) cached\), (\d+) completion tokens"
)


class StoredEngine:
    """An engine behind a store: it is opened only for, and paid only for, what is not stored."""

    def __init__(
        self,
        store: ResponseStore,
        open_engine: Callable[[], Engine] | None,
        making: str = "",
        *,
        may_all_fail: bool = False,
    ) -> None:
        """Take over `store`, and whatever `open_engine` makes; `close` closes both.

        `open_engine` is called at most once, when a request misses the store. Without one, such a
        request is a failure of the stored kind, or "not_asked", and nothing is paid for.

        `making` names in the log what the replies are for, such as the output of a command. With
        `may_all_fail` the engine is asked on when the first `ALIKE` requests have failed alike.
        """
        self.store = store
        self.statistics = Statistics()
        self.details: dict[str, str] = {}
        """What the first failure of each kind says, by kind."""
        self._open_engine = open_engine
        self._making = making
        self._may_all_fail = may_all_fail
        self._engine: Engine | None = None

    def generate(self, requests: Sequence[Request], label: str = "") -> list[Result]:
        """Return the results in the order of the requests.

        Requests with the same key are sent once. Each result of the engine is stored as it
        arrives; progress is reported under `label`.

        Raises:
            UserError: the engine or the disk cannot go on, or the engine's first `ALIKE` requests
                have all failed alike; what had arrived is stored.
            ValueError: the opened engine is not the one that the store belongs to.
        """
        indices: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            indices.setdefault(request.key(self.store.identity), []).append(index)
        self.statistics.requested += len(requests)
        self.statistics.distinct += len(indices)
        results: dict[int, Result] = {}

        self.store.refresh()
        for key, reply in self.store.read(indices):
            self.statistics.served += 1
            results.update(dict.fromkeys(indices[key], reply))
        missing = [key for key in indices if key not in self.store]
        engine = self._opened(self._open_engine) if missing and self._open_engine else None
        name = ": ".join(filter(None, (self._making, label)))
        progress = Progress(name, len(requests), "replies", done=len(results))

        def hand_over(key: str, result: Result) -> None:
            self.statistics.add(result)
            if isinstance(result, Failure):
                self.details.setdefault(result.kind, result.detail)
            results.update(dict.fromkeys(indices[key], result))
            copies = len(indices[key])
            progress.update(copies, failed=copies if isinstance(result, Failure) else 0)

        if engine is None:
            for key in missing:
                hand_over(key, Failure(self.store.failure(key) or "not_asked"))
        else:
            firsts = [requests[indices[key][0]] for key in missing]
            for position, result in engine.generate(firsts):
                key = missing[position]
                kept_from = firsts[position].logprobs_from
                if isinstance(result, Reply) and kept_from is not None:
                    result = result.with_logprobs_from(kept_from)
                hand_over(key, self.store.put(key, result))
                self._check_beginning()
        return [results[index] for index in range(len(requests))]

    def _check_beginning(self) -> None:
        """Stop when nothing but one kind of failure has come from the engine so far."""
        so_far = self.statistics
        has_begun_badly = so_far.failed == ALIKE and not so_far.paid and len(self.details) == 1
        if has_begun_badly and not self._may_all_fail:
            kind, detail = next(iter(self.details.items()))
            said = " ".join(f"{kind}: {detail}".split()).removesuffix(":")
            raise UserError(f"the first {ALIKE} requests have all failed alike: {said}")

    def _opened(self, open_engine: Callable[[], Engine]) -> Engine:
        if self._engine is None:
            self._engine = open_engine()
            if self._engine.identity != self.store.identity:
                raise ValueError(
                    f"the store belongs to {self.store.identity}, not to {self._engine.identity}"
                )
        return self._engine

    def close(self) -> None:
        """Free the engine, if it was opened, and bring the store to the disk; log what was paid."""
        if self.statistics.requested:
            logger.info("%s", self.statistics)
        try:
            if self._engine is not None:
                self._engine.close()
        finally:
            self._engine = None
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
