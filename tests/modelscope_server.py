"""A real HTTP server on loopback that speaks what the modelscope client asks for.

It lists a repository (`repo/files` of a model, `repo/tree` of a data set), whose files came one a
commit (1, 2, … in hexadecimal), and serves its files (`repo?Revision=…&FilePath=…`), whole or from
a byte on.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.hub_server import Fetch, HubServer, begin_file, send_json


class ModelScopeServer(HubServer):
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
        super().__init__()
        self.repositories = repositories
        self._cut = dict(cut or {})
        self._hang = hang
        self._stopped = threading.Event()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        match = re.fullmatch(
            r"/api/v1/(models|datasets)/([^/]+/[^/]+)/repo(/files|/tree)?", url.path
        )
        key = (match[1], match[2], query.get("Revision", "")) if match else None
        files = self.repositories.get(key) if key else None
        if match is None or files is None:
            send_json(handler, 404, {"Code": 404, "Message": "not found", "Success": False})
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
            send_json(handler, 200, data)
        else:
            self._send_file(handler, query["FilePath"], files[query["FilePath"]])

    def _send_file(self, handler: BaseHTTPRequestHandler, path: str, content: bytes) -> None:
        start = begin_file(handler, len(content))
        self.fetches.append(Fetch(path, start))
        end = self._cut.pop(path, None)
        handler.wfile.write(content[start:end])
        if end is not None:
            handler.wfile.flush()
            if self._hang:
                self._stopped.wait()
            handler.close_connection = True

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        super().__exit__()
