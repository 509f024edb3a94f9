"""What a job was given to train on."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import takewhile

DEVICE = re.compile(r"\d+|(GPU|MIG)-\S+")
AMPERE = 8.0
"""The oldest compute capability that flash-attn has kernels for."""


@dataclass(frozen=True)
class Hardware:
    """The devices of a job; none means the CPU."""

    devices: tuple[str, ...]
    """GPUs as CUDA_VISIBLE_DEVICES names them: numbers or UUIDs."""

    flash_attention: bool
    """flash-attn is installed, and there are GPUs that it runs on."""


def allocated(environ: Mapping[str, str]) -> Hardware:
    """Return the GPUs of the allocation.

    They are those of CUDA_VISIBLE_DEVICES; where it is unset, those of the SLURM job, and outside
    of one all of the machine.
    """
    allowed = environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None and "SLURM_JOB_ID" in environ:
        allowed = environ.get("SLURM_STEP_GPUS", environ.get("SLURM_JOB_GPUS", ""))
    devices = visible_devices(",".join(_gpus("index")) if allowed is None else allowed)
    flash_attention = (
        bool(devices)
        and find_spec("flash_attn") is not None
        and all(float(capability) >= AMPERE for capability in _gpus("compute_cap"))
    )
    return Hardware(devices, flash_attention)


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


def _gpus(field: str) -> list[str]:
    """Return one value for each GPU of the machine; none without a driver."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return re.findall(r"^[\d.]+$", done.stdout, re.MULTILINE)


def free_port() -> int:
    """Return a TCP port that nobody listens on, for the processes of one training to meet."""
    with socket.socket() as server:
        server.bind(("", 0))
        port: int = server.getsockname()[1]
    return port
