"""A real HTTP server on loopback that speaks what the huggingface_hub client asks for.

It says what a revision stands for (`api/models/…/revision/…`), lists a commit's files
(`…/tree/…`) and serves them (`…/resolve/…`), whole or from a byte on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.hub_server import Fetch, HubServer, begin_file, send_json

COMMIT = "c0ffee" + "0" * 34
"""What every revision stands for."""


class HuggingFaceServer(HubServer):
    """Serves `repositories`: {(OWNER/NAME, revision): {path: content}}.

    Files of a path in `damaged` come with another last byte than listed.
    """

    def __init__(
        self,
        repositories: Mapping[tuple[str, str], Mapping[str, bytes]],
        damaged: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.damaged = damaged
        self._repositories = repositories

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            if (match[1], match[2]) in self._repositories:
                send_json(handler, 200, {"id": match[1], "sha": COMMIT, "siblings": []})
                return
        elif match := re.fullmatch(rf"/api/models/([^/]+/[^/]+)/tree/{COMMIT}", path):
            files = self._files(match[1])
            send_json(handler, 200, [_entry(name, content) for name, content in files.items()])
            return
        elif match := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/{COMMIT}/(.+)", path):
            self._send_file(handler, match[2], self._files(match[1])[match[2]])
            return
        send_json(handler, 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})

    def _files(self, repository: str) -> Mapping[str, bytes]:
        return next(files for (name, _), files in self._repositories.items() if name == repository)

    def _send_file(self, handler: BaseHTTPRequestHandler, path: str, content: bytes) -> None:
        named = {"X-Repo-Commit": COMMIT, "ETag": f'"{_blob_id(content)}"'}
        start = begin_file(handler, len(content), named)
        if handler.command == "GET":
            self.fetches.append(Fetch(path, start))
            if path in self.damaged:
                content = content[:-1] + bytes([content[-1] ^ 1])
            handler.wfile.write(content[start:])


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
