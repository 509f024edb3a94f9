"""A real HTTP server on loopback that speaks what the huggingface_hub client asks for.

It says what a revision stands for (`api/models/…/revision/…`), lists a commit's files
(`…/tree/…`) and serves them (`…/resolve/…`), whole or from a byte on.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.modelscope_server import Fetch

COMMIT = "c0ffee" + "0" * 34
"""What every revision stands for."""


class HuggingFaceServer:
    """Serves `repositories`: {(OWNER/NAME, revision): {path: content}}.

    Files of a path in `damaged` come with another last byte than listed.
    """

    def __init__(
        self,
        repositories: Mapping[tuple[str, str], Mapping[str, bytes]],
        damaged: frozenset[str] = frozenset(),
    ) -> None:
        self.fetches: list[Fetch] = []
        self.requests = 0
        self.damaged = damaged
        self._repositories = repositories
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
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
        self.requests += 1
        path = unquote(urlsplit(handler.path).path)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            if (match[1], match[2]) in self._repositories:
                _send_json(handler, 200, {"id": match[1], "sha": COMMIT, "siblings": []})
                return
        elif match := re.fullmatch(rf"/api/models/([^/]+/[^/]+)/tree/{COMMIT}", path):
            files = self._files(match[1])
            _send_json(handler, 200, [_entry(name, content) for name, content in files.items()])
            return
        elif match := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/{COMMIT}/(.+)", path):
            self._send_file(handler, match[2], self._files(match[1])[match[2]])
            return
        _send_json(handler, 404, {"error": "Repository not found"}, "RepoNotFound")

    def _files(self, repository: str) -> Mapping[str, bytes]:
        return next(files for (name, _), files in self._repositories.items() if name == repository)

    def _send_file(self, handler: BaseHTTPRequestHandler, path: str, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-\d*", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        handler.send_response(206 if asked else 200)
        handler.send_header("X-Repo-Commit", COMMIT)
        handler.send_header("ETag", f'"{_blob_id(content)}"')
        if asked:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", span)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        if handler.command == "GET":
            self.fetches.append(Fetch(path, start))
            if path in self.damaged:
                content = content[:-1] + bytes([content[-1] ^ 1])
            handler.wfile.write(content[start:])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _blob_id(content: bytes) -> str:
    """Git's name of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": _blob_id(content),
    }
    if path.endswith(".safetensors"):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return entry


def _send_json(
    handler: BaseHTTPRequestHandler, status: int, value: Any, error: str | None = None
) -> None:
    body = json.dumps(value).encode()
    handler.send_response(status)
    if error:
        handler.send_header("X-Error-Code", error)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
