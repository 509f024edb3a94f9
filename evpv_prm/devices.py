"""The GPUs of a job: those that a scheduler gave it, or that it claims on a shared machine."""

from __future__ import annotations

import getpass
import logging
import math
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, MutableMapping
from itertools import takewhile
from pathlib import Path

from filelock import FileLock, Timeout

from evpv_prm.config import Model
from evpv_prm.errors import UserError

logger = logging.getLogger(__name__)

SHARING = "EVPV_SHARE_GPUS"
"""Environment variable that is set where no scheduler gives out the GPUs."""

DEVICE = re.compile(r"\d+|(GPU|MIG)-\S+")
WAIT_S = 120.0
"""How long a job waits for the GPUs of one that has just ended."""

WEIGHTS_SHARE = 0.9
"""Share of the memory that vLLM may take which weights may fill; the rest is for the cache."""

_claims: list[FileLock] = []
"""The claims of this process. The system ends a lock when its process ends, however it ends."""


def allocated_devices(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the GPUs of the allocation, as CUDA_VISIBLE_DEVICES names them; none: the CPU.

    They are those of CUDA_VISIBLE_DEVICES; where it is unset, those of the SLURM job, and outside
    of one all of the machine.
    """
    allowed = environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None and "SLURM_JOB_ID" in environ:
        allowed = environ.get("SLURM_STEP_GPUS", environ.get("SLURM_JOB_GPUS", ""))
    return visible_devices(",".join(query("index")) if allowed is None else allowed)


def visible_devices(value: str) -> tuple[str, ...]:
    """Return the devices that a program sees under a value of CUDA_VISIBLE_DEVICES.

    CUDA ignores what follows the first word that is no device, such as -1, and all of the value if
    a device stands in it twice; of parts of GPUs (MIG) it gives a program the first alone
    (CUDA programming guide, "CUDA Environment Variables"; NVIDIA MIG user guide).
    """
    words = (word.strip() for word in value.split(","))
    devices = tuple(takewhile(DEVICE.fullmatch, words))
    if len(set(devices)) < len(devices):
        return ()
    return devices[:1] if devices and devices[0].startswith("MIG-") else devices


def take(count: int, environ: MutableMapping[str, str]) -> tuple[str, ...]:
    """Give this process `count` GPUs of its allocation, by CUDA_VISIBLE_DEVICES.

    Where jobs share a machine, they are GPUs that no other job has claimed; the claim ends with
    this process. To be called before CUDA starts. Without any GPU the CPU is taken.

    Args:
        count: GPUs that the job needs.
        environ: the environment of this process, which is changed.

    Raises:
        UserError: the allocation has fewer, or others keep theirs for longer than `WAIT_S`.
    """
    devices = allocated_devices(environ) if count else ()
    if devices:
        if len(devices) < count:
            raise UserError(f"needs {count} GPU(s), and this job has {len(devices)}")
        devices = _claim(devices, count) if SHARING in environ else devices[:count]
        logger.info("on GPU %s", ", ".join(devices))
        environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    return devices


def _claim(devices: tuple[str, ...], count: int) -> tuple[str, ...]:
    folder = Path(tempfile.gettempdir()) / f"evpv-gpus-{getpass.getuser()}"
    folder.mkdir(exist_ok=True)
    end = time.monotonic() + WAIT_S
    while True:
        claimed: dict[str, FileLock] = {}
        for device in devices:
            lock = FileLock(folder / f"{device.replace('/', '-')}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            claimed[device] = lock
            if len(claimed) == count:
                _claims.extend(claimed.values())
                return tuple(claimed)
        for lock in claimed.values():
            lock.release()
        if time.monotonic() > end:
            raise UserError(
                f"needs {count} GPU(s), and other jobs of this machine keep all but "
                f"{len(claimed)} of {len(devices)}"
            )
        time.sleep(1)


def check_fits(model: Model, gpus: int | None, gpu_memory_gb: float | None) -> None:
    """Check that there are GPUs for a model, and that they hold its weights.

    Args:
        model: the model; without `parameters_b` its memory is not checked.
        gpus: how many GPUs there are; None: unknown.
        gpu_memory_gb: memory of each, in GB; None: unknown.

    Raises:
        UserError: they are too few or too small.
    """
    if gpus is not None and gpus < model.gpus:
        raise UserError(
            f"model {model.model}: tensor_parallel_size = {model.gpus}, "
            f"but there are {gpus} GPU(s) for it"
        )
    if gpu_memory_gb is None or model.weights_gb is None:
        return
    usable_gb = gpu_memory_gb * model.vllm.gpu_memory_utilization * WEIGHTS_SHARE
    if model.gpus and model.weights_gb > usable_gb * model.gpus:
        raise UserError(
            f"model {model.model}: weights of {model.weights_gb:.0f} GB do not fit {model.gpus} "
            f"GPU(s) of {gpu_memory_gb:.0f} GB; tensor_parallel_size must be at least "
            f"{math.ceil(model.weights_gb / usable_gb)}"
        )


def query(field: str) -> list[str]:
    """Return one number for each GPU of the machine, such as its index; none without a driver."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return re.findall(r"^[\d.]+$", done.stdout, re.MULTILINE)
