from __future__ import annotations

import base64
import gc
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from PIL import Image as PillowImage
from pydantic import ValidationError

from evpv_prm.engine.api import ApiEngine
from evpv_prm.engine.base import IMAGE, Failure, Image, Reply, Request, Result, Sampling, Usage
from evpv_prm.engine.base import text as text_part
from evpv_prm.engine.fingerprint import engine_identity
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.errors import UserError
from tests.models import api_model
from tests.servers import Action, Answer, Call, Drop, Hang, ScriptedServer, completion

KEY = "sk-very-secret-0123456789"
SAMPLING = Sampling(temperature=0.5, top_p=0.9, max_tokens=16, seed=7)
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVPV_TEST_KEY", KEY)


def request(prompt: str = "Right?", *images: Image, **fields: object) -> Request:
    content = [*(IMAGE for _ in images), text_part(prompt)]
    fields = {"sampling": SAMPLING, "stage": "judge"} | fields
    return Request(messages=[{"role": "user", "content": content}], images=images, **fields)


class Waits(list[float]):
    """Takes the place of sleeping and keeps what was asked for."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@contextmanager
def engine(base_url: str, waits: Waits | None = None, **options: object) -> Iterator[ApiEngine]:
    settings = {"model": "m", "api_key_env": "EVPV_TEST_KEY", "timeout_s": 5, "attempts": 3}
    made = ApiEngine(
        api_model(base_url=base_url, **settings | options),
        sleep=Waits() if waits is None else waits,
    )
    try:
        yield made
    finally:
        made.close()


def ask(
    script: Callable[[Call, int], Action] | Sequence[Action],
    *asked: Request,
    waits: Waits | None = None,
    **options: object,
) -> tuple[list[Result], list[Call]]:
    """Put requests (one by default) to a server; a list is a script for calls in turn."""
    asked = asked or (request(),)
    play = script if callable(script) else lambda _, number: script[min(number, len(script) - 1)]
    with ScriptedServer(play) as server, engine(server.base_url, waits, **options) as made:
        results = dict(made.generate(asked))
        return [results[index] for index in range(len(asked))], server.calls


def completion_reply() -> Reply:
    return Reply("fine", None, Usage(prompt=11, cached=8, completion=3))


# What is sent


def test_a_call_carries_sampling_model_stage_and_key() -> None:
    sampling = Sampling(0.3, 0.8, 99, seed=5, presence_penalty=0.1, frequency_penalty=0.2)
    asked = request("Why?", sampling=sampling, stage="describe")
    [reply], [call] = ask([completion()], asked, extra_body={"enable_thinking": False})
    assert reply == completion_reply()
    assert call.path == "/v1/chat/completions"
    assert call.headers["X-EVPV-Stage"] == "describe"
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.headers["Content-Type"] == "application/json"
    assert call.body == {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}],
        "temperature": 0.3,
        "top_p": 0.8,
        "max_tokens": 99,
        "seed": 5,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "enable_thinking": False,
    }


def test_images_keep_their_places_bytes_and_true_types(tmp_path: Path) -> None:
    formats = {"a.png": "PNG", "b.png": "JPEG", "c.jpg": "WEBP", "d": "GIF", "e.jpg": "MPO"}
    images = []
    for name, true_format in formats.items():
        picture, second = (PillowImage.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
        more = {"save_all": True, "append_images": [second]} if true_format == "MPO" else {}
        picture.save(tmp_path / name, format=true_format, **more)
        images.append(Image(tmp_path / name))
    content = [text_part("first"), IMAGE, IMAGE, text_part("then"), IMAGE, IMAGE, IMAGE]
    messages = [
        {"role": "system", "content": [text_part("s")]},
        {"role": "user", "content": content},
    ]
    _, [call] = ask([completion()], Request("judge", messages, images, SAMPLING))
    sent = call.body["messages"][1]["content"]
    assert [part["type"] for part in sent] == [
        "text",
        *["image_url"] * 2,
        "text",
        *["image_url"] * 3,
    ]
    urls = [part["image_url"]["url"] for part in sent if part["type"] == "image_url"]
    types = [url.removeprefix("data:").split(";base64,")[0] for url in urls]
    assert types == ["image/png", "image/jpeg", "image/webp", "image/gif", "image/jpeg"]
    assert [base64.b64decode(url.split(",")[1]) for url in urls] == [i.content for i in images]


def test_an_unreadable_image_fails_its_request_alone(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    PillowImage.new("RGB", (4, 4)).save(tmp_path / "fine.png")
    names = ["text.png", "fine.png", "missing.png"]
    asked = [request("?", Image(tmp_path / name)) for name in names]
    [bad, good, missing], calls = ask([completion()], *asked)
    assert isinstance(good, Reply)
    assert len(calls) == 1
    for result, name in ((bad, "text.png"), (missing, "missing.png: No such file or directory")):
        assert isinstance(result, Failure)
        assert result.kind == "unreadable_image"
        assert name in result.detail


@pytest.mark.parametrize("number", [0, 2])
def test_images_and_their_places_must_agree(tmp_path: Path, number: int) -> None:
    PillowImage.new("RGB", (4, 4)).save(tmp_path / "a.png")
    messages = [{"role": "user", "content": [IMAGE]}]
    asked = Request("judge", messages, [Image(tmp_path / "a.png")] * number, SAMPLING)
    with pytest.raises(ValueError, match="IMAGE parts"):
        ask([completion()], asked)


@pytest.mark.parametrize(
    ("option", "for_choices", "for_schema"),
    [
        ("vllm", {"choice": ["1", "-1"]}, {"json": SCHEMA}),
        (
            "openai",
            None,
            {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA},
            },
        ),
        ("none", None, None),
    ],
)
def test_constraints_are_asked_for_as_the_endpoint_understands_them(
    option: str, for_choices: object, for_schema: object
) -> None:
    asked = [request(choices=["1", "-1"]), request(json_schema=SCHEMA), request()]
    field = {"vllm": "structured_outputs", "openai": "response_format"}.get(option)
    _, calls = ask([completion()], *asked, structured_outputs=option, concurrency=1)
    found = [
        call.body.get("structured_outputs") or call.body.get("response_format") for call in calls
    ]
    assert found == [for_choices, for_schema, None]
    present = {"structured_outputs", "response_format"} & set(calls[1].body)
    assert present == ({field} if field else set())


def test_the_models_own_sampling_defaults_never_decide_on_vllm() -> None:
    """Regression: sampling options that were set were silently ignored."""
    penalised = Sampling(0.5, 0.9, 16, 7, repetition_penalty=1.1)
    asked = [request(), request(sampling=penalised)]
    _, on_vllm = ask([completion()], *asked, structured_outputs="vllm", concurrency=1)
    assert [c.body["repetition_penalty"] for c in on_vllm] == [1.0, 1.1]
    assert [(c.body["top_k"], c.body["min_p"]) for c in on_vllm] == [(0, 0.0)] * 2
    _, elsewhere = ask([completion()], *asked, concurrency=1)
    assert [c.body.get("repetition_penalty") for c in elsewhere] == [None, 1.1]
    assert not {"top_k", "min_p"} & set(elsewhere[0].body)


def test_log_probabilities_are_asked_for_and_read_where_declared() -> None:
    def token(text: str, logprob: float, *top: tuple[str, float]) -> dict[str, object]:
        tops = [{"token": t, "logprob": value, "bytes": None} for t, value in top]
        return {"token": text, "logprob": logprob, "top_logprobs": tops}

    content = [
        token("1", -0.1, ("1", -0.1), ("-", -2.5)),
        token("x", -9.0, ("�", -1.0), ("�", -3.0)),
    ]
    answer = completion("1x", logprobs={"content": content})
    asked = request(sampling=Sampling(0.5, 0.9, 16, 7, top_logprobs=2))
    [reply], [call] = ask([answer], asked, logprobs=True)
    assert (call.body["logprobs"], call.body["top_logprobs"]) == (True, 2)
    assert isinstance(reply, Reply)
    assert reply.logprobs == [{"1": -0.1, "-": -2.5}, {"x": -9.0, "�": -1.0}]
    taken = [next(iter(position)) for position in reply.logprobs or ()]
    assert taken == ["1", "x"]

    [reply], [call] = ask([answer], asked, logprobs=False)
    assert isinstance(reply, Reply)
    assert reply.logprobs is None
    assert "logprobs" not in call.body
    [reply], [call] = ask([completion()], request(), logprobs=True)
    assert isinstance(reply, Reply)
    assert "logprobs" not in call.body
    [failure], _ = ask([completion("1")], asked, logprobs=True)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.text) == ("missing_logprobs", "1")


# What comes back


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (completion("Because the", "length"), "truncated", "Because the"),
        (completion(None, "length"), "truncated", ""),
        (completion(None), "refused", ""),
        (completion("", "content_filter"), "refused", ""),
        (completion(message={"content": None, "refusal": "I cannot"}), "refused", ""),
        (Answer(b'{"choices": [{"message": {"cont'), "invalid_reply", ""),
        (Answer(b"<html>busy</html>"), "invalid_reply", ""),
        (Answer(b""), "invalid_reply", ""),
        (Answer(b"\xff\xfe"), "invalid_reply", ""),
        (Answer({"choices": []}), "invalid_reply", ""),
        (Answer({"choices": "none"}), "invalid_reply", ""),
        (Answer({"error": {"message": "later"}}), "invalid_reply", ""),
        (Answer(b"[]"), "invalid_reply", ""),
        (completion(message={"content": 5}), "invalid_reply", ""),
        (completion(logprobs={"content": [{"token": 1}]}), "invalid_reply", ""),
    ],
)
def test_unusable_replies_are_failures_and_not_sent_again(
    answer: Answer, kind: str, said: str
) -> None:
    [failure], calls = ask([answer])
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.text) == (kind, said)
    assert failure.detail
    assert "\n" not in failure.detail
    assert len(calls) == 1


def test_a_whole_choice_is_a_reply_though_no_token_is_left() -> None:
    [whole, part], _ = ask(
        lambda call, _: completion(call.prompt, "length"),
        *(request(prompt, choices=["1", "-1"]) for prompt in ("-1", "-")),
    )
    assert isinstance(whole, Reply)
    assert isinstance(part, Failure)


def test_usage_may_be_missing_and_bodies_long() -> None:
    long = "½\n" * 2_000_000
    answer = completion(long)
    assert isinstance(answer.body, dict)
    del answer.body["usage"]
    [reply], _ = ask([answer])
    assert reply == Reply(long)


# The envelope


def enveloped(message: object) -> Answer:
    return Answer({"success": True, "data": {"message": message}})


def test_the_envelope_dialect_has_its_own_body_header_and_address(tmp_path: Path) -> None:
    PillowImage.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    asked = request("Why?", Image(tmp_path / "a.jpg"), json_schema=SCHEMA)
    options = {"dialect": "envelope", "structured_outputs": "none", "extra_body": {"app": "x"}}
    [reply], calls = ask([Answer(b"", 503), enveloped("fine")], asked, **options)
    assert reply == Reply("fine")
    assert len(calls) == 2
    call = calls[1]
    assert call.path == "/v1"
    assert call.headers["token"] == KEY
    assert call.headers["X-EVPV-Stage"] == "judge"
    assert "Authorization" not in call.headers
    [message] = call.body.pop("prompt")
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert message["content"][0]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    params = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 16}
    assert call.body == {"model": "m", "params": params, "app": "x"}


@pytest.mark.parametrize(
    "answer", [enveloped(None), enveloped({"a": 1}), Answer({"data": None}), completion("fine")]
)
def test_an_envelope_without_a_text_is_a_failure(answer: Answer) -> None:
    [failure], _ = ask([answer], dialect="envelope", structured_outputs="none")
    assert isinstance(failure, Failure)
    assert failure.kind == "invalid_reply"
    assert "data" in failure.detail


# What is tried again


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_passing_troubles_are_tried_again(status: int) -> None:
    waits = Waits()
    [reply], calls = ask([Answer(b"busy", status), completion()], waits=waits)
    assert isinstance(reply, Reply)
    assert len(calls) == 2
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("action", "kind", "detail"),
    [
        (Answer(b"slow\n down", 429), "http_429", "slow down"),
        (Answer(b"oops", 500), "http_500", "oops"),
        (Hang(), "timeout", "timed out"),
        (Drop(), "connection", "closed connection"),
        (Answer(b'{"choices": [', claimed_length=500), "connection", "IncompleteRead"),
    ],
)
def test_lasting_troubles_fail_the_request_after_the_last_attempt(
    action: Action, kind: str, detail: str
) -> None:
    waits = Waits()
    [first, failure], calls = ask(
        lambda call, _: completion() if call.prompt == "fine" else action,
        *(request("fine"), request("bad")),
        waits=waits,
        timeout_s=1,
        concurrency=1,
    )
    assert isinstance(first, Reply)
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert detail in failure.detail
    # On a busy machine the one that is fine may time out, too, and be asked again.
    assert sum(call.prompt == "bad" for call in calls) == 3
    assert len(waits) == len(calls) - 2


def test_silence_within_a_body_is_a_timeout_too() -> None:
    finished = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
            finished.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with engine(url, timeout_s=0.2, attempts=1) as made:
            [(_, failure)] = made.generate([request()])
        finished.set()
        thread.join()
    assert isinstance(failure, Failure)
    assert failure.kind == "timeout"


def test_waits_double_with_jitter_up_to_a_minute() -> None:
    waits = Waits()
    ask([Answer(b"", 500)], waits=waits, attempts=9, backoff_s=2.0)
    assert len(waits) == 8
    for number, wait in enumerate(waits):
        assert min(2.0 * 2**number, 60) <= wait <= min(2.0 * 2**number + 2.0, 60)
    again = Waits()
    ask([Answer(b"", 500)], waits=again, attempts=9, backoff_s=2.0)
    assert waits != again


def retry_after(value: str) -> list[Action]:
    return [Answer(b"", 429, {"Retry-After": value}), completion()]


def test_retry_after_is_a_lower_bound_in_seconds_or_as_a_date() -> None:
    waits = Waits()
    ask(retry_after("300"), waits=waits, timeout_s=500)
    date = datetime.now(UTC) + timedelta(seconds=200)
    ask(retry_after(format_datetime(date, usegmt=True)), waits=waits, timeout_s=500)
    for ignored in ("0", "soon", "-5", format_datetime(datetime(2001, 1, 1, tzinfo=UTC))):
        ask(retry_after(ignored), waits=waits)
    assert waits[0] == 300
    assert 150 < waits[1] <= 200
    assert all(1.0 <= wait <= 2.0 for wait in waits[2:])
    assert len(waits) == 6


def test_a_retry_after_beyond_the_timeout_ends_the_request() -> None:
    waits = Waits()
    [failure], calls = ask(retry_after("3600"), waits=waits, timeout_s=5)
    assert isinstance(failure, Failure)
    assert failure.kind == "http_429"
    assert len(calls) == 1
    assert not waits


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_fails_alone_and_at_once(status: int) -> None:
    [bad, good], calls = ask(
        lambda call, _: Answer(b"too long", status) if call.prompt == "bad" else completion(),
        *(request("bad"), request("good")),
    )
    assert bad == Failure(f"http_{status}", "too long")
    assert isinstance(good, Reply)
    assert len(calls) == 2


# What ends the run


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 301, 307])
def test_what_concerns_every_request_is_one_line_without_the_key(status: int) -> None:
    body = {"error": f"key {KEY} of\nmodel m"}
    headers = {"Location": "http://127.0.0.1:1/elsewhere"}
    with pytest.raises(UserError, match=f"HTTP {status}") as raised:
        ask([Answer(body, status, headers)], *[request()] * 50, concurrency=2)
    assert "\n" not in str(raised.value)
    assert KEY not in str(raised.value)
    assert "http://127.0.0.1" in str(raised.value)


@pytest.mark.parametrize("missing", [None, "", "  "])
def test_a_missing_key_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, missing: str | None
) -> None:
    monkeypatch.delenv("EVPV_TEST_KEY")
    if missing is not None:
        monkeypatch.setenv("EVPV_TEST_KEY", missing)
    with pytest.raises(UserError, match="EVPV_TEST_KEY"), engine("http://127.0.0.1"):
        pass


def test_a_key_that_no_header_can_carry_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVPV_TEST_KEY", "sk-half\nsk-other")
    with pytest.raises(UserError, match="EVPV_TEST_KEY") as raised, engine("http://127.0.0.1"):
        pass
    assert "sk-" not in str(raised.value)


def test_without_a_key_none_is_sent_not_even_from_netrc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    _, [without] = ask([completion()], api_key_env=None)
    assert "Authorization" not in without.headers
    _, [with_key] = ask([completion()])
    assert with_key.headers["Authorization"] == f"Bearer {KEY}"


def test_an_address_where_nobody_answers_stops_the_run_at_the_first_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    waits = Waits()
    with (
        engine(f"http://127.0.0.1:{port}", waits, concurrency=1) as made,
        pytest.raises(UserError, match=rf"http://127.0.0.1:{port}: .*Connection refused") as raised,
    ):
        list(made.generate([request()] * 10_000))
    assert len(waits) <= 2 * 2, "at most the window's second request was begun"
    assert "0x" not in str(raised.value)


def test_an_unknown_host_is_named() -> None:
    with (
        engine("http://no-such-host.invalid/v1", attempts=1) as made,
        pytest.raises(UserError, match=r"http://no-such-host\.invalid/v1: nobody answers: "),
    ):
        list(made.generate([request()]))


def test_a_server_that_goes_away_stops_the_run_after_two_rounds() -> None:
    seen: list[Result] = []
    with (
        ScriptedServer(lambda _, number: completion() if number < 5 else Drop()) as server,
        engine(server.base_url, concurrency=2, attempts=1) as made,
    ):
        with pytest.raises(UserError, match="nobody answers"):
            seen.extend(result for _, result in made.generate([request()] * 1000))
        assert sum(isinstance(result, Reply) for result in seen) == 5
        assert len(server.calls) <= 5 + 4 + 2


def test_replies_in_flight_when_the_run_must_end_are_handed_over() -> None:
    refused = threading.Event()

    def script(call: Call, number: int) -> Action:
        if call.prompt == "refused":
            refused.set()
            return Answer(b"", 401)
        refused.wait(10)
        return completion()

    asked = [request("paid"), request("refused"), *[request("later")] * 50]
    seen: list[tuple[int, Result]] = []
    with ScriptedServer(script) as server, engine(server.base_url, concurrency=2) as made:
        with pytest.raises(UserError, match="401"):
            seen.extend(made.generate(asked))
        assert (0, completion_reply()) in seen
        assert len(seen) == len(server.calls) - 1


def test_replies_in_flight_are_handed_over_when_the_run_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_flight = threading.Barrier(3)

    def script(call: Call, number: int) -> Action:
        if number < 2:
            in_flight.wait(10)
        return completion()

    class Interrupted(SimpleQueue[Any]):
        def get(self, *_: object) -> Any:
            in_flight.wait(10)
            raise KeyboardInterrupt

    monkeypatch.setattr("evpv_prm.engine.api.SimpleQueue", Interrupted)
    seen: list[tuple[int, Result]] = []
    with ScriptedServer(script) as server, engine(server.base_url, concurrency=2) as made:
        with pytest.raises(KeyboardInterrupt):
            seen.extend(made.generate([request(str(number)) for number in range(50)]))
        assert {index for index, _ in seen} == set(range(len(server.calls)))
        assert len(seen) in (2, 3)  # the next one may have been on its way


# Many at once


def test_results_arrive_as_they_finish_and_never_more_are_in_flight_than_allowed() -> None:
    full = threading.Barrier(4)
    last_may_end = threading.Event()

    def script(call: Call, number: int) -> Action:
        if number < 4:
            full.wait(10)
        if call.prompt == "0":
            last_may_end.wait(10)
        return completion(call.prompt)

    asked = [request(str(number)) for number in range(40)]
    order = []
    with ScriptedServer(script) as server, engine(server.base_url, concurrency=4) as made:
        for index, result in made.generate(asked):
            order.append(index)
            assert isinstance(result, Reply)
            assert result.text == str(index)
            if len(order) == 39:
                last_may_end.set()
        assert server.peak_in_flight == 4
    assert sorted(order) == list(range(40))
    assert order[-1] == 0


def test_a_connection_goes_on_while_its_reply_waits_but_not_for_long() -> None:
    fifth = threading.Event()

    def script(call: Call, number: int) -> Action:
        if number == 4:
            fifth.set()
        return completion()

    with ScriptedServer(script) as server, engine(server.base_url, concurrency=4) as made:
        results = made.generate([request()] * 50)
        next(results)
        assert fifth.wait(10)
        results.close()
        assert len(server.calls) == 5


def test_images_are_loaded_only_as_their_request_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PillowImage.new("RGB", (4, 4)).save(tmp_path / "a.png")
    loaded = []
    data_url = Image.data_url

    def counted(image: Image, mime_type: str) -> str:
        loaded.append(image)
        return data_url(image, mime_type)

    monkeypatch.setattr(Image, "data_url", counted)
    asked = [request("?", Image(tmp_path / "a.png")) for _ in range(500)]
    with (
        ScriptedServer(lambda *_: completion()) as server,
        engine(server.base_url, concurrency=2) as made,
    ):
        results = made.generate(asked)
        for _ in range(3):
            next(results)
        results.close()
        assert len(loaded) <= 3 + 2 * 2


def test_abandoning_a_run_ends_waits_and_sends_no_more() -> None:
    """The real sleep: a back-off of many minutes must not hold up an interrupted run."""
    begun = threading.Event()

    def script(call: Call, number: int) -> Action:
        if call.prompt == "busy":
            begun.set()
            return Answer(b"", 500, {"Retry-After": "500"})
        return completion()

    with ScriptedServer(script) as server:
        options = api_model(base_url=server.base_url, model="m", api_key_env=None, concurrency=2)
        made = ApiEngine(options)
        results = made.generate([request("busy"), *[request("fine")] * 500])
        next(results)
        assert begun.wait(10)
        results.close()
        assert sum(call.prompt == "busy" for call in server.calls) == 1
        assert len(server.calls) < 100
        again = dict(made.generate([request("fine")]))
        assert isinstance(again[0], Reply)
        made.close()


def test_closing_the_engine_lets_a_forgotten_run_end() -> None:
    with (
        ScriptedServer(lambda *_: completion()) as server,
        engine(server.base_url, concurrency=2) as made,
    ):
        results = made.generate([request()] * 200)
        next(results)
        made.close()
        del results
        gc.collect()
        assert len(server.calls) <= 2 * 2


# Secrecy and identity


def test_the_key_appears_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def script(call: Call, number: int) -> Action:
        repeated = f"you sent {call.headers['Authorization']}".encode()
        return (
            completion() if call.prompt == "fine" else Answer(repeated, 400 if number % 2 else 500)
        )

    with caplog.at_level(logging.DEBUG), ScriptedServer(script) as server:
        options = api_model(base_url=server.base_url, model="m", api_key_env="EVPV_TEST_KEY")
        made = ApiEngine(options, sleep=Waits())
        store = ResponseStore(tmp_path, engine_identity(options))
        with StoredEngine(store, lambda: made) as stored:
            found = stored.generate([request("fine"), request("bad"), request("worse")])
        assert any("***" in r.detail for r in found if isinstance(r, Failure))
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        shown = [repr(made), repr(vars(made)), repr(options), repr(found), caplog.text]
    assert written
    assert KEY.encode() not in written
    assert not any(KEY in text for text in shown)


def test_only_what_decides_replies_is_part_of_the_identity() -> None:
    def identity(**options: object) -> object:
        return ApiEngine(api_model(**options)).identity

    for field, value in {
        "base_url": "http://other/v1",
        "model": "other",
        "structured_outputs": "vllm",
        "logprobs": True,
        "extra_body": {"top_k": 3},
    }.items():
        assert identity(**{field: value}) != identity()
    assert identity(base_url="http://h/v1/") == identity()
    plain = {"structured_outputs": "none"}
    assert identity(**plain, dialect="envelope") != identity(**plain)
    assert identity() == identity(
        concurrency=1, timeout_s=1, attempts=1, backoff_s=9, api_key_env="EVPV_TEST_KEY"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "localhost:8000/v1"},
        {"base_url": "ftp://host/v1"},
        {"base_url": "http://"},
        {"base_url": "http://user:password@host/v1"},
        {"base_url": "http://host/v1?key=secret"},
        {"model": ""},
        {"concurrency": 0},
        {"attempts": 0},
        {"timeout_s": 0},
        {"backoff_s": 0},
        {"structured_outputs": "guided"},
        {"extra_body": {"temperature": 1}},
        {"dialect": "envelope"},
        {"dialect": "envelope", "structured_outputs": "none", "logprobs": True},
        {"dialect": "envelope", "structured_outputs": "none", "extra_body": {"params": {}}},
        {"unknown": 1},
    ],
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        api_model(**options)
