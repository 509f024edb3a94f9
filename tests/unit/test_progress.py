"""Progress of long work: what a log says, and when."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import cli
from evpv_prm.progress import (
    INTERVAL_S,
    PROGRESS_LINE,
    Progress,
    describe,
    duration,
    track,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_at_intervals_and_one_at_the_end() -> None:
    clock, lines = Clock(), list[str]()
    progress = Progress("a.jsonl: judge", 5000, "replies", say=lines.append, clock=clock)
    for _ in range(4999):
        clock.now += 0.1
        progress.update()
    progress.update(failed=1)
    assert len(lines) == int(499.9 // INTERVAL_S) + 1
    assert lines[0] == "a.jsonl: judge: 300 of 5,000 replies, 10/s, 8 min left"
    assert lines[-1] == "a.jsonl: judge: 5,000 of 5,000 replies, 10/s, 1 failed"


def test_what_was_done_before_does_not_count_for_the_rate() -> None:
    clock, lines = Clock(), list[str]()
    progress = Progress("x", 1000, "replies", done=900, say=lines.append, clock=clock)
    assert lines == []
    clock.now += 40
    progress.update(20)
    assert lines == ["x: 920 of 1,000 replies, 30/min, 3 min left"]


def test_what_is_done_at_once_is_said_without_a_rate() -> None:
    lines: list[str] = []
    Progress("x", 3, "replies", done=3, say=lines.append, clock=Clock())
    assert lines == ["x: 3 of 3 replies"]
    Progress("x", 0, "replies", say=lines.append, clock=Clock())
    assert len(lines) == 1


def test_the_rate_follows_the_work() -> None:
    """A slow beginning, such as the loading of a model, is forgotten."""
    clock, lines = Clock(), list[str]()
    progress = Progress("x", 10_000, "replies", say=lines.append, clock=clock)
    clock.now += 3600
    progress.update()
    for _ in range(20):
        clock.now += 30
        progress.update(300)
    assert "10/s" in lines[-1]


@given(
    st.integers(0, 10**9), st.integers(1, 10**9), st.none() | st.floats(1e-6, 1e6), st.integers(0)
)
def test_every_line_is_known_again(done: int, total: int, rate: float | None, failed: int) -> None:
    counts = describe(done, total, "replies", rate, failed)
    assert "\n" not in counts
    for label in ("", "results/a b/1-of-8.jsonl: judge: "):
        found = PROGRESS_LINE.match(f"14:02:11 {label}{counts}")
        assert found is not None
        assert found[0].endswith("replies")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3569, "59 min"), (3571, "1.0 h"),
     (90_000, "25.0 h"), (200_000, "2.3 days")],
)  # fmt: skip
def test_a_time_is_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_items_come_through_and_the_command_logs_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main() -> int:
        assert list(track(iter("abc"), "a.json: reading", "images", 3)) == ["a", "b", "c"]
        return 0

    assert cli.run(main) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert PROGRESS_LINE.match(line)
    assert "a.json: reading: 3 of 3 images" in line


def test_a_terminal_gets_a_bar_and_no_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    caplog.set_level(logging.INFO, "evpv_prm")
    assert list(track([1, 2], "reading", "images", 2)) == [1, 2]
    assert "2/2" in terminal.getvalue()
    assert caplog.records == []
