"""How far long work has come: a bar on a terminal; in a log a plain line now and then.

14:02:11 results/scored/a.jsonl: judge: 1,240 of 5,000 replies, 31.2/s, 2 min left, 3 failed
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)

INTERVAL_S = 30.0
"""Seconds between the lines of a log."""

LINES_IN_RATE = 10
"""The rate is that of the time since so many lines ago: it follows the work, but calmly."""

PROGRESS_LINE = re.compile(r"\d\d:\d\d:\d\d (?:.+: )?[\d,]+ of [\d,]+ [a-z]+\b")
"""The beginning of a line of progress, as a command's log has it."""

ItemT = TypeVar("ItemT")


class Progress:
    """Counts what is done of a known total, and says so at intervals and at the end."""

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        *,
        done: int = 0,
        say: Callable[[str], None] = logger.info,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            label: what is made and how, such as "results/scored/a.jsonl: judge".
            total: units in all.
            unit: their name, in the plural.
            done: units that were done before; they do not count for the rate.
            say: takes a line for the log.
            clock: gives seconds.
        """
        self._label, self._total, self._unit = label, total, unit
        self._done, self._failed = done, 0
        self._say, self._clock = say, clock
        self._lines = deque([(clock(), done)], LINES_IN_RATE)
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=done, desc=label, unit=f" {unit}")
        elif total and done == total:
            self._log(clock())

    def update(self, done: int = 1, failed: int = 0) -> None:
        """Count units that are done, and how many of them have failed."""
        self._done += done
        self._failed += failed
        if self._bar is not None:
            self._bar.update(done)
            if self._done >= self._total:
                self._bar.close()
            return
        now = self._clock()
        if self._done >= self._total or now - self._lines[-1][0] >= INTERVAL_S:
            self._log(now)

    def _log(self, now: float) -> None:
        since, before = self._lines[0]
        rate = (self._done - before) / (now - since) if now > since else None
        self._lines.append((now, self._done))
        counts = describe(self._done, self._total, self._unit, rate, self._failed)
        self._say(f"{self._label}: {counts}" if self._label else counts)


def track(items: Iterable[ItemT], label: str, unit: str, total: int) -> Iterator[ItemT]:
    """Yield the items and report how many of `total` are done; see `Progress`."""
    progress = Progress(label, total, unit)
    for item in items:
        yield item
        progress.update()


def describe(done: int, total: int, unit: str, rate: float | None, failed: int = 0) -> str:
    """Return counts, rate and what is left of the time; `rate` is in units a second."""
    parts = [f"{done:,} of {total:,} {unit}"]
    if rate:
        parts.append(_speed(rate))
        if done < total:
            parts.append(f"{duration((total - done) / rate)} left")
    if failed:
        parts.append(f"{failed:,} failed")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a time for a human, such as "45 s", "2 min", "3.5 h" or "2.0 days"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 59.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def _speed(rate: float) -> str:
    for per, name in ((1, "s"), (60, "min")):
        if rate * per >= 1:
            return f"{_short(rate * per)}/{name}"
    return f"{_short(rate * 3600)}/h"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"
