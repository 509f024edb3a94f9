"""What a job was given to train on."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Hardware:
    """The devices of a job; none means the CPU."""

    devices: tuple[str, ...]
    """GPUs as CUDA_VISIBLE_DEVICES names them: numbers or UUIDs."""

    flash_attention: bool
    """flash-attn is installed, and there is a GPU for it."""


def allocated(environ: Mapping[str, str]) -> Hardware:
    """Return the GPUs that CUDA_VISIBLE_DEVICES allows, or all of the machine when it is unset."""
    allowed = environ.get("CUDA_VISIBLE_DEVICES")
    words = _gpus() if allowed is None else allowed.split(",")
    devices = tuple(word.strip() for word in words if word.strip())
    return Hardware(devices, bool(devices) and find_spec("flash_attn") is not None)


def _gpus() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.split()


def free_port() -> int:
    """Return a TCP port that nobody listens on, for the processes of one training to meet."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
    return port
