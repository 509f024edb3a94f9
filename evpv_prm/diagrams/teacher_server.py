"""Serve a teacher that knows the truth about synthetic diagrams, on loopback.

Speaks OpenAI's chat completions as far as the pipeline uses them; the header X-EVPV-Stage and the
request's text and picture say what is asked. A query about anything else is refused (status 400).

The server answers every address that it is asked for, so that it can also stand in as the proxy of
a program: `python -m evpv_prm.diagrams.with_teacher` runs a command that way.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from evpv_prm import cli
from evpv_prm.diagrams.teacher import Teacher, UnknownQueryError, load_teacher, read_query


class TeacherServer(ThreadingHTTPServer):
    """Serves one teacher; every answer takes `latency_s` seconds."""

    daemon_threads = True
    request_queue_size = 128  # with the usual 5, connections of a burst wait for a second

    def __init__(self, port: int, teacher: Teacher, latency_s: float) -> None:
        """Listen on a port of loopback; 0: on any that is free."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.teacher = teacher
        self.latency_s = latency_s

    @property
    def address(self) -> str:
        """The address of the server, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that went away; report everything else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve in a thread until the block ends."""
        thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: TeacherServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms for its headers' receipt

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(self.server.latency_s)
        try:
            body = json.loads(content)
            query = read_query(self.headers.get("X-EVPV-Stage", ""), body)
            text = self.server.teacher.answer(query, body.get("seed"))
        except (json.JSONDecodeError, UnknownQueryError) as error:
            self._send(400, {"error": {"message": str(error), "type": "invalid_request_error"}})
        else:
            self._send(200, _completion(body, text))

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: a line a request would drown the caller's log."""


def _completion(body: Mapping[str, Any], text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "object": "chat.completion",
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }


def add_teacher_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what the teacher knows and how it behaves."""
    parser.add_argument(
        "--truth",
        type=Path,
        required=True,
        metavar="FILE",
        help="truth.jsonl of make_visualprm, or facts.jsonl of make_world",
    )
    parser.add_argument(
        "--error-rate", type=float, default=0.0, metavar="FRACTION",
        help="fraction of the replies that are wrong or broken (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--latency-ms", type=float, default=0.0, metavar="N",
        help="time that every answer takes, in milliseconds (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the errors (default: 0)"
    )


def open_server(arguments: argparse.Namespace, port: int) -> TeacherServer:
    """Return the server that the flags of `add_teacher_options` describe.

    Raises:
        UserError: the file cannot be read, or the rate is no fraction.
    """
    teacher = load_teacher(arguments.truth, arguments.error_rate, arguments.seed)
    return TeacherServer(port, teacher, arguments.latency_ms / 1000)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "diagrams.teacher_server")
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="port (default: %(default)s)"
    )
    add_teacher_options(parser)
    arguments = parser.parse_args(argv)
    server = open_server(arguments, arguments.port)
    print(f"{server.address}/v1", flush=True)
    with server.running():
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
