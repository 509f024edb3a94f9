"""What spares a process with large libraries the time that Python spends on their objects.

torch, transformers and vLLM are millions of objects that stay until the process ends. A garbage
collection that goes through all of them takes half a second, loading a model causes dozens, and
taking them apart at the end takes longer than loading a tiny model.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def permanent_objects() -> Iterator[None]:
    """Let the garbage collector never look at what is made in this block, or was made before."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Let modules be missing in this block, unless they have been imported before.

    It is for what a library imports where it is there, does without where it is not, and takes
    seconds for.
    """
    hidden = [name for name in modules if name not in sys.modules]
    # As the import system has it for a module that is not to be found.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def leave(status: int) -> NoReturn:
    """End the process as `sys.exit` does, but leave its memory to the operating system."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
