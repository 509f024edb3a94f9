"""What a job was given to train on."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from importlib.util import find_spec

from evpv_prm.devices import query, take

AMPERE = 8.0
"""The oldest compute capability that flash-attn has kernels for."""


@dataclass(frozen=True)
class Hardware:
    """The devices of a job; none means the CPU."""

    devices: tuple[str, ...]
    """GPUs as CUDA_VISIBLE_DEVICES names them: numbers or UUIDs."""

    flash_attention: bool
    """flash-attn is installed, and there are GPUs that it runs on."""


def take_hardware(gpus: int, environ: MutableMapping[str, str]) -> Hardware:
    """Take as many GPUs for this process; see `devices.take`."""
    devices = take(gpus, environ)
    flash_attention = (
        bool(devices)
        and find_spec("flash_attn") is not None
        and all(float(capability) >= AMPERE for capability in query("compute_cap"))
    )
    return Hardware(devices, flash_attention)


def free_port() -> int:
    """Return a TCP port that nobody listens on, for the processes of one training to meet."""
    with socket.socket() as server:
        server.bind(("", 0))
        port: int = server.getsockname()[1]
    return port
