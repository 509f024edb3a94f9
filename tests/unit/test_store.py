from __future__ import annotations

import json
import math
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evpv_prm.engine.base import Failure, Image, Reply, Request, Result, Sampling, Usage, text
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.errors import UserError
from tests.scripted import ScriptedEngine

IDENTITY = {"engine": "scripted"}
SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=8, seed=1)

counts = st.integers(0, 2**40)
replies = st.builds(
    Reply,
    st.text(),
    st.none() | st.lists(st.dictionaries(st.text(), st.floats(-200, 0), max_size=3), max_size=3),
    st.builds(Usage, counts, counts, counts),
)
failures = st.builds(Failure, st.sampled_from(["timeout", "http_500"]), st.text(), st.text())
results = replies | failures
keys = st.sampled_from("abcdef")


def request(prompt: str, **fields: object) -> Request:
    messages = [{"role": "user", "content": [text(prompt)]}]
    return Request("judge", messages, (), SAMPLING, **fields)


def served(store: ResponseStore, wanted: Sequence[str] = "abcdef") -> dict[str, Reply]:
    return dict(store.read(wanted))


def segments(store: ResponseStore) -> list[Path]:
    return sorted(store.directory.glob("*.jsonl"))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# The store


@given(results)
def test_what_is_handed_back_is_what_later_runs_are_served(result: Result) -> None:
    with temporary_folder() as folder:
        with ResponseStore(folder, IDENTITY) as store:
            kept = store.put("a", result)
            again = served(store)
        reopened = ResponseStore(folder, IDENTITY)
    usage = result.usage if isinstance(result, Reply) else Usage()
    # So vLLM's requests were stored that it had given up.
    was_given_up = not result.text and usage.prompt > 0 and usage.completion == 0
    expected = {"a": kept} if isinstance(result, Reply) and not was_given_up else {}
    assert again == expected
    assert len(reopened) == len(expected)
    assert kept.text == result.text
    if isinstance(result, Failure):
        assert kept == result
    elif isinstance(kept, Reply) and result.logprobs is not None:
        assert kept.usage == result.usage
        for position, original in zip(kept.logprobs or (), result.logprobs, strict=True):
            assert position == {t: round(value, 6) for t, value in original.items()}
            assert list(position) == list(original), "the token that was taken stands first"


def test_minus_infinity_is_stored_as_the_lowest_log_probability(tmp_path: Path) -> None:
    with ResponseStore(tmp_path, IDENTITY) as store:
        kept = store.put("a", Reply("1", [{"1": 0.0, "2": -math.inf, "3": math.nan}]))
        assert kept == Reply("1", [{"1": 0.0, "2": -9999.0, "3": -9999.0}])
        assert served(store) == {"a": kept}


@given(st.lists(st.tuples(st.integers(0, 2), keys, results, st.booleans()), max_size=30))
def test_any_interleaving_of_writers_keeps_the_last_reply_of_each(
    writes: list[tuple[int, str, Result, bool]],
) -> None:
    with temporary_folder() as folder:
        writers = [ResponseStore(folder, IDENTITY) for _ in range(3)]
        possible: dict[str, list[Result]] = {}
        last: dict[tuple[str, int], Result] = {}
        for number, key, result, new_segment in writes:
            kept = writers[number].put(key, result)
            possible.setdefault(key, []).append(kept)
            if isinstance(kept, Reply):
                last[key, number] = kept
                assert served(writers[number])[key] == kept
            if new_segment:
                writers[number].close()
        found = ResponseStore(folder, IDENTITY)
        replies_found = served(found)
        for key, stored in possible.items():
            by_writer = [reply for (of, _), reply in last.items() if of == key]
            assert (key in replies_found) == bool(by_writer)
            assert not by_writer or replies_found[key] in by_writer
            assert (key in found) == bool(by_writer)
            assert by_writer or all(isinstance(result, Failure) for result in stored)
        assert sum(found.failures.values()) == len(possible) - len(replies_found)
        assert found.damaged == 0
        for writer in writers:
            writer.refresh()
            assert set(served(writer)) == set(replies_found)
            assert writer.failures.total() == found.failures.total()
            writer.close()


def test_a_later_reply_replaces_a_failure_and_no_failure_replaces_a_reply(tmp_path: Path) -> None:
    for result in (Failure("timeout"), Failure("http_500", "detail", "said"), Reply("yes")):
        with ResponseStore(tmp_path, IDENTITY) as store:
            store.put("a", result)
            store.put("b", Failure("timeout"))
    with ResponseStore(tmp_path, IDENTITY) as store:
        store.put("a", Failure("refused"))
    store = ResponseStore(tmp_path, IDENTITY)
    assert served(store) == {"a": Reply("yes")}
    assert store.failures == {"timeout": 1}


def test_a_tail_cut_at_any_byte_costs_only_its_own_line(tmp_path: Path) -> None:
    with ResponseStore(tmp_path / "whole", IDENTITY) as store:
        kept = {key: store.put(key, Reply(f"{key} ½ \n", [{"½": -0.5}])) for key in "abc"}
    (segment,) = segments(store)
    content = segment.read_bytes()
    start_of_last = content[:-1].rindex(b"\n") + 1
    for cut in range(start_of_last, len(content)):
        folder = tmp_path / str(cut)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / segment.relative_to(tmp_path / "whole")).write_bytes(content[:cut])
        torn = ResponseStore(folder, IDENTITY)
        assert served(torn) == {key: kept[key] for key in "ab"}
        assert torn.damaged == 0
        torn.put("c", Reply("again"))
        torn.close()
        assert served(ResponseStore(folder, IDENTITY))["c"] == Reply("again")


def test_a_line_that_is_still_being_written_is_found_once_it_ends(tmp_path: Path) -> None:
    with ResponseStore(tmp_path, IDENTITY) as store:
        store.put("a", Reply("yes"))
    (segment,) = segments(store)
    content = segment.read_bytes()
    segment.write_bytes(content + content.replace(b'"a"', b'"b"')[:10])
    reader = ResponseStore(tmp_path, IDENTITY)
    assert set(served(reader)) == {"a"}
    segment.write_bytes(content + content.replace(b'"a"', b'"b"'))
    reader.refresh()
    assert set(served(reader)) == {"a", "b"}


@pytest.mark.parametrize(
    "damage", [b"\n", b"\0\0\n", b"[]\n", b'{"k":1,"t":"no"}\n', b'{"k":"b","t":"cut\n', b"\xff\n"]
)
def test_a_damaged_line_is_skipped_counted_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    with ResponseStore(tmp_path, IDENTITY) as store:
        store.put("a", Reply("first"))
        store.put("b", Reply("second"))
    (segment,) = segments(store)
    first, second = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(first + damage + second)
    store = ResponseStore(tmp_path, IDENTITY)
    store.refresh()
    assert served(store) == {"a": Reply("first"), "b": Reply("second")}
    assert store.damaged == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{segment}:2: damaged line ignored, 1 in this file"
    ]


KILLED = """
import sys
from pathlib import Path
from evpv_prm.engine.base import Reply
from evpv_prm.engine.store import ResponseStore
store = ResponseStore(Path(sys.argv[1]), {"engine": "scripted"})
for number in range(10**9):
    store.put(str(number), Reply(str(number) * 50))
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_handed_over(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(200):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        handed_over = 200 + len(process.stdout.readlines())
    store = ResponseStore(tmp_path, IDENTITY)
    assert all(str(number) in store for number in range(handed_over - 1))
    assert len(store) <= handed_over + 1
    assert store.damaged == 0


def test_a_full_disk_is_one_clear_error_and_leaves_the_store_readable(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path, IDENTITY)
    store.put("a", Reply("yes"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        with pytest.raises(UserError, match="cannot store a reply: File too large") as raised:
            store.put("b", Reply("no room" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(raised.value)
    assert segments(store)[0].stat().st_size == 400, "a part of the line reached the disk"
    assert served(store) == served(ResponseStore(tmp_path, IDENTITY)) == {"a": Reply("yes")}
    store.put("b", Reply("room again"))
    store.close()
    assert served(ResponseStore(tmp_path, IDENTITY))["b"] == Reply("room again")


def test_engines_have_folders_of_their_own_that_name_them(tmp_path: Path) -> None:
    identities = [{"engine": "x", "model": name} for name in ("m1", "m2")]
    for identity in identities:
        with ResponseStore(tmp_path, identity) as store:
            assert not served(store)
            store.put("a", Reply(identity["model"]))
    named = [json.loads(path.read_bytes()) for path in tmp_path.glob("*/engine.json")]
    assert sorted(named, key=str) == identities
    assert served(ResponseStore(tmp_path, identities[0])) == {"a": Reply("m1")}


def test_a_store_that_cannot_be_made_or_read_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file"):
        ResponseStore(tmp_path / "file", IDENTITY)
    with ResponseStore(tmp_path, IDENTITY) as store:
        store.put("a", Reply("yes"))
    segments(store)[0].unlink()
    with pytest.raises(UserError, match="cannot be read"):
        served(store)


# The engine behind the store


def echo(request: Request) -> Result:
    prompt = request.messages[0]["content"][0]["text"]
    return Reply(prompt.upper(), usage=Usage(3, 2, 1))


def test_a_request_has_the_key_of_older_stores() -> None:
    messages = [{"role": "user", "content": [text("p")]}]
    sampling = Sampling(0.0, 1.0, 8, 1, top_logprobs=20)
    asked = Request("judge", messages, (), sampling, choices=("1", "-1"))
    known = "137f1abe75b4f1f53959e31c88cb4d3cb25ab555dcd0cc6b5f9b3233eb8f786e"
    assert asked.key({"engine": "e"}) == known
    assert replace(asked, logprobs_from="end").key({"engine": "e"}) != known


def test_log_probabilities_are_kept_from_where_the_request_says(tmp_path: Path) -> None:
    said = [{"a": -1.0, "b": -25.0}, {" end": -1.0, "c": -2.0}, {"!": -21.0, "?": -0.5}]
    engine = ScriptedEngine(lambda _: Reply("a end!", said), IDENTITY)
    whole, rest = request("p"), request("p", logprobs_from="end")
    with StoredEngine(ResponseStore(tmp_path, IDENTITY), lambda: engine) as stored:
        replies = stored.generate([whole, rest])
        again = stored.generate([whole, rest])
    kept = [{" end": -1.0, "c": -2.0}, {"!": -21.0, "?": -0.5}]
    assert replies == again == [Reply("a end!", said), Reply("a end!", kept)]


def never() -> ScriptedEngine:
    raise AssertionError("the engine was opened")


@given(st.lists(keys, max_size=20), st.integers(0, 5))
def test_results_come_in_order_and_equal_requests_are_sent_once(
    prompts: list[str], seed: int
) -> None:
    engine = ScriptedEngine(echo, order_seed=seed)
    with (
        temporary_folder() as folder,
        StoredEngine(ResponseStore(folder, IDENTITY), lambda: engine) as stored,
    ):
        found = stored.generate([request(p) for p in prompts])
    assert [result.text for result in found] == [prompt.upper() for prompt in prompts]
    assert len(engine.answered) == len(set(prompts))
    statistics = stored.statistics
    distinct = len(set(prompts))
    assert (statistics.requested, statistics.distinct) == (len(prompts), distinct)
    assert (statistics.served, statistics.paid, statistics.failed) == (0, distinct, 0)
    assert statistics.prompt_tokens == 3 * distinct
    assert statistics.cached_tokens == 2 * distinct
    assert statistics.completion_tokens == distinct


@settings(deadline=None)
@given(
    first=st.lists(keys, max_size=8),
    second=st.lists(keys, max_size=8),
    failing=st.sets(keys),
    dies_after=st.none() | st.integers(0, 6),
    seed=st.none() | st.integers(0, 3),
)
def test_a_rerun_pays_exactly_for_what_is_missing(
    first: list[str], second: list[str], failing: set[str], dies_after: int | None, seed: int | None
) -> None:
    def flaky(request: Request) -> Result:
        fine = echo(request)
        return Failure("timeout") if fine.text.lower() in failing else fine

    with temporary_folder() as folder:
        earlier = ScriptedEngine(flaky, order_seed=seed, dies_after=dies_after)
        with StoredEngine(ResponseStore(folder, IDENTITY), lambda: earlier) as stored:
            if dies_after is not None and dies_after < len(set(first)):
                with pytest.raises(UserError, match="the script ends here"):
                    stored.generate([request(prompt) for prompt in first])
            else:
                found = stored.generate([request(prompt) for prompt in first])
                assert [isinstance(r, Failure) for r in found] == [p in failing for p in first]
                assert stored.statistics.failed == len(failing & set(first))
        paid = {echo(asked).text.lower() for asked in earlier.answered} - failing

        later = ScriptedEngine(echo, order_seed=seed)
        with StoredEngine(ResponseStore(folder, IDENTITY), lambda: later) as stored:
            found = stored.generate([request(prompt) for prompt in second])
        assert [result.text for result in found] == [prompt.upper() for prompt in second]
        sent = sorted(echo(asked).text.lower() for asked in later.answered)
        assert sent == sorted(set(second) - paid)
        assert stored.statistics.served == len(set(second) & paid)

        with StoredEngine(ResponseStore(folder, IDENTITY), never) as stored:
            assert stored.generate([request(prompt) for prompt in second]) == found


def test_the_engine_is_opened_once_for_misses_only_and_closed(tmp_path: Path) -> None:
    opened: list[ScriptedEngine] = []

    def open_engine() -> ScriptedEngine:
        opened.append(ScriptedEngine(echo))
        return opened[-1]

    with StoredEngine(ResponseStore(tmp_path, IDENTITY), open_engine) as stored:
        assert stored.generate([]) == []
        assert not opened
        stored.generate([request("a")])
        stored.generate([request("b")])
        stored.generate([request("a")])
    (engine,) = opened
    assert engine.closed
    store = ResponseStore(tmp_path, IDENTITY)
    before = segments(store)
    with StoredEngine(store, never) as stored:
        stored.generate([request("a"), request("b")])
    assert segments(store) == before, "a run without misses writes nothing"


def test_without_an_engine_only_what_is_stored_is_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def flaky(request: Request) -> Result:
        fine = echo(request)
        return Failure("timeout", "after 9 s") if fine.text == "B" else fine

    engine = ScriptedEngine(flaky)
    with StoredEngine(ResponseStore(tmp_path, IDENTITY), lambda: engine) as stored:
        stored.generate([request("a"), request("b")])
    store = ResponseStore(tmp_path, IDENTITY)
    before = segments(store)
    caplog.set_level("INFO", "evpv_prm.progress")
    with StoredEngine(store, None, "a.jsonl") as stored:
        found = stored.generate([request(prompt) for prompt in "abca"], "judge")
    assert found == [echo(request("a")), Failure("timeout"), Failure("not_asked"), found[0]]
    (line,) = [line for line in caplog.messages if line.startswith("a.jsonl: judge: ")]
    assert "4 of 4 replies, " in line
    assert line.endswith(", 2 failed")
    assert (stored.statistics.served, stored.statistics.paid) == (1, 0)
    assert stored.statistics.failed == 2
    assert segments(store) == before, "such a run writes nothing"
    assert len(engine.answered) == 2


def test_replies_that_another_process_stored_meanwhile_are_served(tmp_path: Path) -> None:
    with StoredEngine(ResponseStore(tmp_path, IDENTITY), never) as waiting:
        with StoredEngine(ResponseStore(tmp_path, IDENTITY), lambda: ScriptedEngine(echo)) as other:
            other.generate([request("a")])
        assert waiting.generate([request("a")]) == [echo(request("a"))]


def test_everything_that_decides_a_reply_is_paid_anew_and_the_stage_is_not(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"one")
    base = request("a")
    with_image = Request("judge", base.messages, (Image(path),), SAMPLING)
    different = [
        request("a", sample_index=1),
        request("a", choices=["1"]),
        request("a", json_schema={"type": "object"}),
        Request("judge", base.messages, (), Sampling(0.0, 1.0, 8, seed=2)),
        with_image,
    ]
    same = Request("describe", base.messages, (), SAMPLING)
    engine = ScriptedEngine(echo)
    with StoredEngine(ResponseStore(tmp_path, IDENTITY), lambda: engine) as stored:
        stored.generate([base, same, *different])
        assert len(engine.answered) == 1 + len(different)
        path.write_bytes(b"two")
        stored.generate([Request("judge", base.messages, (Image(path),), SAMPLING)])
        assert len(engine.answered) == 2 + len(different)


def test_an_engine_with_another_identity_is_refused(tmp_path: Path) -> None:
    engine = ScriptedEngine(echo, identity={"engine": "another"})
    stored = StoredEngine(ResponseStore(tmp_path, IDENTITY), lambda: engine)
    with pytest.raises(ValueError, match="another"):
        stored.generate([request("a")])
    stored.close()
    assert engine.closed
    assert not engine.answered


def test_an_older_stores_empty_replies_are_asked_again(tmp_path: Path) -> None:
    asked = [request("a"), request("b")]
    with ResponseStore(tmp_path, IDENTITY) as store:
        store.put(asked[0].key(IDENTITY), Reply("", None, Usage(prompt=1189)))
        store.put(asked[1].key(IDENTITY), Reply("", None, Usage(prompt=1189, completion=1)))
    engine = ScriptedEngine(lambda _: Reply("1"))
    with StoredEngine(ResponseStore(tmp_path, IDENTITY), lambda: engine) as stored:
        texts = [result.text for result in stored.generate(asked)]
    assert texts == ["1", ""]
    assert engine.answered == asked[:1]


def refusing(tmp_path: Path, kinds: Sequence[str], **options: bool) -> tuple[int, str]:
    """Return how many requests an engine is sent that fails so, and the error that ends it."""
    failures = iter(kinds)
    engine = ScriptedEngine(lambda _: Failure(next(failures), "the tokenizer\nis slow"))
    store = ResponseStore(tmp_path, IDENTITY)
    error = ""
    with StoredEngine(store, lambda: engine, **options) as stored:
        try:
            for wave in range(2):
                stored.generate([request(f"{wave} {n}") for n in range(len(kinds) // 2)])
        except UserError as raised:
            error = str(raised)
    return len(engine.answered), error


def test_an_engine_that_fails_alike_from_the_first_is_asked_no_more(tmp_path: Path) -> None:
    alike = "the first 50 requests have all failed alike: prompt_refused: the tokenizer is slow"
    assert refusing(tmp_path / "a", ["prompt_refused"] * 80) == (50, alike)
    # Nor is it told by those that are stored.
    assert refusing(tmp_path / "a", ["prompt_refused"] * 80) == (50, alike)
    assert refusing(tmp_path / "b", ["prompt_refused"] * 80, may_all_fail=True) == (80, "")
    assert refusing(tmp_path / "c", ["timeout", *["prompt_refused"] * 79]) == (80, "")
