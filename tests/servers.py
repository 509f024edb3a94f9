"""A real HTTP server on loopback that answers chat completions by script."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Call:
    """One request as the server received it."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """The text parts of the last message."""
        return "".join(p.get("text", "") for p in self.body["messages"][-1]["content"])


@dataclass
class Answer:
    """One answer. A `claimed_length` above the body's own makes the body arrive cut off."""

    body: bytes | dict[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    claimed_length: int | None = None


class Hang:
    """The connection stays open and silent until the server stops."""


class Drop:
    """The connection is closed without a word."""


Action = Answer | Hang | Drop


def completion(text: str | None = "fine", finish_reason: str = "stop", **fields: Any) -> Answer:
    """Return a successful chat completion; `fields` go to its only choice."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish_reason,
        **fields,
    }
    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    return Answer({"object": "chat.completion", "choices": [choice], "usage": usage})


class _QuietServer(ThreadingHTTPServer):
    """A client that is killed in the middle of a request is no error of the server."""

    daemon_threads = True
    request_queue_size = 128  # with the usual 5, connections of a burst wait for a second

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ScriptedServer:
    """Answers each POST with what `script(call, number of calls before it)` returns."""

    def __init__(self, script: Callable[[Call, int], Action]) -> None:
        self.calls: list[Call] = []
        self.peak_in_flight = 0
        self.script = script
        self._in_flight = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else a body waits 40 ms for its headers' receipt

            def do_POST(self) -> None:
                owner._handle(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        call = Call(handler.path, dict(handler.headers), body)
        with self._lock:
            number = len(self.calls)
            self.calls.append(call)
            self._in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        try:
            action = self.script(call, number)
        finally:
            with self._lock:
                self._in_flight -= 1
        if isinstance(action, Answer):
            self._send(handler, action)
        else:
            handler.close_connection = True
            if isinstance(action, Hang):
                self._stopped.wait()

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(answer.claimed_length or len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = answer.claimed_length is not None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
