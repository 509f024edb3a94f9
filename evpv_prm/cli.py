"""What all commands share: their help, and how an error ends them."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from evpv_prm.errors import UserError
from evpv_prm.interpreter import leave


def run(main: Callable[[], int]) -> int:
    """Run a command; print a user's error as one line and return its exit status.

    0: the output is whole; 1: too many failures; 2: bad input; 130: interrupted, be it by the
    terminal or by a scheduler that ends the job.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    handler = log_to_stderr()
    try:
        return main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; replies so far are stored, run again to go on", file=sys.stderr)
        return 130
    finally:
        logging.getLogger("evpv_prm").removeHandler(handler)


def run_and_exit(main: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its exit status; see `run`."""
    status = run(main)
    if "torch" in sys.modules:
        leave(status)
    sys.exit(status)


def log_to_stderr() -> logging.Handler:
    """Write what this package logs to standard error, each line with its time."""
    # A handler of our own: the model libraries rearrange the root logger when they are imported.
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    package = logging.getLogger("evpv_prm")
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    package.propagate = False
    return handler


def parser(doc: str | None, command: str | None = None) -> argparse.ArgumentParser:
    """Return a parser whose help begins with the module's text.

    It is for `python -m evpv_prm.COMMAND`; for the script that runs, when no command is named.
    """
    return argparse.ArgumentParser(
        prog=f"python -m evpv_prm.{command}" if command else None,
        usage="%(prog)s [options]",  # the list of all flags would fill the screen
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def at_least(minimum: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `minimum`."""

    def number(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"expected at least {minimum}, found {value}")
        return value

    return number


def add_bootstrap(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a bootstrap: `bootstrap_samples` and `seed`."""
    parser.add_argument(
        "--bootstrap-samples", type=at_least(1), default=2000, metavar="N",
        help="resamples of the intervals (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=at_least(0), default=0, metavar="N",
        help="seed of the bootstrap (default: %(default)s)",
    )  # fmt: skip
