"""A real HTTP server on loopback that speaks what the modelscope client asks for.

It lists a repository (`repo/files` of a model, `repo/tree` of a data set), whose files came one a
commit (1, 2, … in hexadecimal), and serves its files (`repo?Revision=…&FilePath=…`), whole or from
a byte on.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Fetch:
    """One request for a file: its path, and the byte that it begins at."""

    path: str
    start: int


class ModelScopeServer:
    """Serves `repositories`: {("models" or "datasets", OWNER/NAME, revision): {path: content}}.

    Of a file in `cut`, the first answer ends after so many bytes: the connection is closed, or,
    if `hang`, stays open and silent until the server stops.
    """

    def __init__(
        self,
        repositories: Mapping[tuple[str, str, str], Mapping[str, bytes]],
        cut: Mapping[str, int] | None = None,
        *,
        hang: bool = False,
    ) -> None:
        self.repositories = repositories
        self.fetches: list[Fetch] = []
        self.requests = 0
        self._cut = dict(cut or {})
        self._hang = hang
        self._stopped = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        url = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        match = re.fullmatch(
            r"/api/v1/(models|datasets)/([^/]+/[^/]+)/repo(/files|/tree)?", url.path
        )
        key = (match[1], match[2], query.get("Revision", "")) if match else None
        files = self.repositories.get(key) if key else None
        if match is None or files is None:
            self._send_json(handler, 404, {"Code": 404, "Message": "not found", "Success": False})
        elif match[3]:
            entries = [
                {
                    "Path": path,
                    "Type": "blob",
                    "Size": len(content),
                    "Sha256": hashlib.sha256(content).hexdigest(),
                    "Revision": f"{number:040x}",
                    "CommittedDate": 1_700_000_000 + number,
                }
                for number, (path, content) in enumerate(files.items(), 1)
            ]
            data = {"Code": 200, "Data": {"Files": entries}, "Success": True}
            self._send_json(handler, 200, data)
        else:
            self._send_file(handler, query["FilePath"], files[query["FilePath"]])

    def _send_file(self, handler: BaseHTTPRequestHandler, path: str, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        self.fetches.append(Fetch(path, start))
        handler.send_response(206 if asked else 200)
        if asked:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", span)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        end = self._cut.pop(path, None)
        handler.wfile.write(content[start:end])
        if end is not None:
            handler.wfile.flush()
            if self._hang:
                self._stopped.wait()
            handler.close_connection = True

    @staticmethod
    def _send_json(handler: BaseHTTPRequestHandler, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
