"""What a job was given to train on."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from importlib import metadata

from evpv_prm.devices import query, take


@dataclass(frozen=True)
class FlashKernel:
    """A package of attention kernels."""

    package: str
    """As distributed: both are imported from the same folder, `flash_attn`."""

    capability: float
    """The oldest compute capability that it has kernels for."""


FLASH_KERNELS = {
    "flash_attn": FlashKernel("flash-attn", 8.0),  # Ampere
    "flash_attention_4": FlashKernel("flash-attn-4", 9.0),  # Hopper
}
"""By their name as an attention kernel."""


@dataclass(frozen=True)
class Hardware:
    """The devices of a job; none means the CPU."""

    devices: tuple[str, ...]
    """GPUs as CUDA_VISIBLE_DEVICES names them: numbers or UUIDs."""

    flash_kernels: frozenset[str] = frozenset()
    """Names among `FLASH_KERNELS` of those that are installed and run on all of the devices."""


def take_hardware(gpus: int, environ: MutableMapping[str, str]) -> Hardware:
    """Take as many GPUs for this process; see `devices.take`."""
    devices = take(gpus, environ)
    if not devices:
        return Hardware(devices)
    oldest = min(float(capability) for capability in query("compute_cap"))
    return Hardware(
        devices,
        frozenset(
            name
            for name, kernel in FLASH_KERNELS.items()
            if oldest >= kernel.capability and installed_version(kernel.package) is not None
        ),
    )


def installed_version(package: str) -> str | None:
    """Return the version of a package, by the name under which it is distributed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def free_port() -> int:
    """Return a TCP port that nobody listens on, for the processes of one training to meet."""
    with socket.socket() as server:
        server.bind(("", 0))
        port: int = server.getsockname()[1]
    return port
