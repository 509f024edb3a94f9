"""Running a trainer: it stops when it is told to, and never outlives its runner."""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

from evpv_prm.training.command import Invocation

logger = logging.getLogger(__name__)

STDERR = 2
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Lock a file and give its descriptor; wait while another run, or its trainer, holds it."""
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another run in %s to end", path.parent)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream.fileno()


class StoppedError(Exception):
    """A signal stopped the program."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def run_program(invocation: Invocation, *, grace_s: float, inherited: Sequence[int] = ()) -> int:
    """Run a program to its end and return its exit status; negative: a signal ended it.

    SIGTERM and SIGINT to this process become SIGTERM to the program alone, not to its group, where
    they would end helpers that it still needs to save. What is left of the group after `grace_s`
    seconds, or after the program's end, is killed. If this process dies, the program gets SIGTERM
    too (Linux).

    Args:
        invocation: what to run; its output goes to standard error.
        grace_s: seconds between SIGTERM and SIGKILL.
        inherited: file descriptors that the program keeps open.

    Raises:
        StoppedError: SIGTERM or SIGINT came; the program has ended.
    """
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if not stopped:
            stopped.append(number)
            logger.info("%s: waiting for a checkpoint", signal.Signals(number).name)
            signal.setitimer(signal.ITIMER_REAL, grace_s)
            if program is not None:
                program.terminate()

    def kill(_number: int, _frame: FrameType | None) -> None:
        logger.info("no end within %g s: killed", grace_s)
        if program is not None:
            _kill(program)

    program: subprocess.Popen[bytes] | None = None
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGALRM: kill}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        program = subprocess.Popen(
            invocation.argv,
            env={**os.environ, **invocation.environment},
            stdin=subprocess.DEVNULL,
            stdout=STDERR,
            start_new_session=True,
            pass_fds=inherited,
            preexec_fn=_die_with_parent,
        )
        if stopped:  # between the handlers and the program's start
            program.terminate()
        status = program.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if program is not None:
            _kill(program)
        for number, handler in previous.items():
            signal.signal(number, handler)
    if stopped:
        raise StoppedError(stopped[0])
    return status


def _kill(program: subprocess.Popen[bytes]) -> None:
    """Kill a program, its group, and its descendants, which may have groups of their own."""
    with suppress(psutil.NoSuchProcess):
        for descendant in psutil.Process(program.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                descendant.kill()
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
