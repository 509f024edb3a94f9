"""vLLM's processes: what they need to start, how they end, and why they could not be started.

On a GPU vLLM computes in processes of its own, in front of which this one stands.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import unwrap
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evpv_prm.config import Model
from evpv_prm.errors import UserError

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when the one that started it ends."""

REASON_FILE = "EVPV_CORE_ERROR"
"""Environment variable with the file in which vLLM's core says why it could not start."""


def prepare_environment(model: Model, on_gpu: bool) -> None:
    """Set what vLLM reads from the environment, unless the user has set it."""
    defaults = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": f"{model.vllm.cpu_kv_cache_gib:g}",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "TOKENIZERS_PARALLELISM": "false",
        # It is compiled at the start, by a CUDA toolkit that nodes need not have, and serves
        # requests without a seed alone (vllm-project/vllm#49497).
        "VLLM_USE_FLASHINFER_SAMPLER": "0",
    }
    if not on_gpu:
        # One process is enough, compiling for a CPU costs more than it saves, and ms-swift's plugin
        # takes as long to load as a tiny model.
        defaults |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "TORCHDYNAMO_DISABLE": "1",
            "VLLM_PLUGINS": "",
        }
    if Path(model.model).is_dir():  # nothing has to be fetched
        defaults |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def check_compiler(environ: Mapping[str, str], include: Path | None = None) -> None:
    """Check that Triton can compile: each kernel of a GPU is started through a piece of C.

    Args:
        environ: the environment; `CC` names a compiler.
        include: the folder of Python's headers; this Python's by default.

    Raises:
        UserError: there is no C compiler, or Python's headers are missing.
    """
    if not any(map(shutil.which, [environ["CC"]] if environ.get("CC") else ["gcc", "clang"])):
        raise UserError(
            "vLLM needs a C compiler on a GPU (on Debian: apt-get install gcc), or CC=PATH of one"
        )
    headers = include or Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").is_file():
        version = sysconfig.get_python_version()
        raise UserError(
            f"vLLM needs Python's headers on a GPU, and {headers}/Python.h is not there "
            f"(on Debian: apt-get install python{version}-dev)"
        )


@contextmanager
def core_tied_to_this_process() -> Iterator[Path]:
    """Have vLLM's core, where it is started in this block, end when this process does.

    vLLM leaves it behind when this process is killed, and it keeps the GPU's memory. Yields a file
    that holds, after a start that failed, the reason in one line.
    """
    from vllm.v1.engine.core import EngineCoreProc

    with tempfile.TemporaryDirectory(prefix="evpv-core-") as folder:
        reason = Path(folder) / "reason"
        os.environ[REASON_FILE] = str(reason)
        try:
            with _replaced(EngineCoreProc, "run_engine_core", run_core):
                yield reason
        finally:
            del os.environ[REASON_FILE]


def run_core(*arguments: Any, **options: Any) -> None:
    """Run vLLM's core, in a process of its own."""
    from vllm.v1.engine.core import EngineCoreProc
    from vllm.v1.executor.multiproc_executor import WorkerProc

    _end_with_parent()
    with _replaced(WorkerProc, "worker_main", run_worker):
        unwrap(EngineCoreProc.run_engine_core)(*arguments, **options)


def run_worker(*arguments: Any, **options: Any) -> None:
    """Run one of the core's workers, in a process of its own."""
    from vllm.v1.executor.multiproc_executor import WorkerProc

    _end_with_parent()
    unwrap(WorkerProc.worker_main)(*arguments, **options)


@contextmanager
def _replaced(owner: type, name: str, replacement: Callable[..., None]) -> Iterator[None]:
    """Let vLLM start its processes with our function, which runs vLLM's own.

    vLLM offers no other way. A forked process has the replacement in its place, and the original by
    `unwrap`; a spawned one, vLLM as it was.
    """
    original = getattr(owner, name)
    replacement.__wrapped__ = original  # type: ignore[attr-defined]
    setattr(owner, name, staticmethod(replacement))
    try:
        yield
    finally:
        setattr(owner, name, staticmethod(original))


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _keep_first_error(Path(os.environ[REASON_FILE]))


def _keep_first_error(file: Path) -> None:
    """Keep the first error that is logged while vLLM starts: those after it follow from it."""
    make = logging.getLogRecordFactory()

    def make_and_keep(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = make(*arguments, **options)
        error = record.exc_info[1] if record.exc_info else None
        # The folder is gone once vLLM has started.
        if error and file.parent.is_dir() and not file.exists():
            file.write_text(one_line(error))
        return record

    # A handler would not stay: vLLM sets its loggers up anew in each process.
    logging.setLogRecordFactory(make_and_keep)


def one_line(error: BaseException) -> str:
    """Return what went wrong in one line, with what it came from, as far as an error tells."""
    cause = error
    while cause.__cause__ or (cause.__context__ and not cause.__suppress_context__):
        cause = cause.__cause__ or cause.__context__ or cause
    said, origin = (" ".join(_told(each).split()) for each in (error, cause))
    return said if origin in said else f"{said} ({origin})"


def _told(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
    # Behind the first line vLLM and transformers give advice, or a whole configuration.
    return next(filter(None, str(error).strip().splitlines()), repr(error))
