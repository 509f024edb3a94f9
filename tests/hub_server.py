"""What the stand-ins of the model hubs share: a real HTTP server on loopback that serves files."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Fetch:
    """One request for a file: its path, and the byte that it begins at."""

    path: str
    start: int


class HubServer:
    """Answers GET and HEAD with `_answer`; keeps what was fetched, and how often it was asked."""

    def __init__(self) -> None:
        self.fetches: list[Fetch] = []
        self.requests = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.requests += 1
                owner._answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def send_json(
    handler: BaseHTTPRequestHandler,
    status: int,
    value: Any,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a whole answer."""
    body = json.dumps(value).encode()
    handler.send_response(status)
    for name, text in {**(headers or {}), "Content-Type": "application/json"}.items():
        handler.send_header(name, text)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def begin_file(
    handler: BaseHTTPRequestHandler, size: int, headers: Mapping[str, str] | None = None
) -> int:
    """Send an answer up to a file of `size` bytes; return the byte that is asked for first."""
    asked = re.fullmatch(r"bytes=(\d+)-\d*", handler.headers.get("Range", ""))
    start = int(asked[1]) if asked else 0
    handler.send_response(206 if asked else 200)
    for name, text in (headers or {}).items():
        handler.send_header(name, text)
    if asked:
        handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
    handler.send_header("Content-Length", str(size - start))
    handler.end_headers()
    return start
