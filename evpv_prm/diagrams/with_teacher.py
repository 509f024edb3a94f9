"""Run a command with the teacher of synthetic diagrams beside it; its status is the command's.

The teacher listens on a free port and is the command's HTTP proxy: it answers for every http://
address. So the command asks a fixed address, such as http://teacher.test/v1, whatever the port is;
a model's address is part of the identity under which its replies are stored.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import FrameType

from evpv_prm import cli
from evpv_prm.diagrams.teacher_server import add_teacher_options, open_server


def proxied(environ: Mapping[str, str], proxy: str) -> dict[str, str]:
    """Return an environment in which all http:// requests go to a proxy."""
    names = {"http_proxy", "no_proxy"}
    kept = {name: value for name, value in environ.items() if name.lower() not in names}
    return kept | {"http_proxy": proxy}


def run_command(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command to its end, pass SIGTERM on to it, and return its status."""
    process = subprocess.Popen(words, env=dict(environ))

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    # A terminal sends SIGINT to the command as well, and a second one would cut its end short.
    handlers = {signal.SIGTERM: pass_on, signal.SIGINT: lambda *_: None}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        status = process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "diagrams.with_teacher")
    parser.usage = "%(prog)s --truth FILE [options] -- COMMAND ..."
    add_teacher_options(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command to run")
    arguments = parser.parse_args(argv)
    words = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not words:
        parser.error("expected a command after --")
    server = open_server(arguments, port=0)
    with server.running():
        return run_command(words, proxied(os.environ, server.address))


if __name__ == "__main__":
    cli.run_and_exit(main)
