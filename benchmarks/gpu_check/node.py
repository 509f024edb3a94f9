"""What the machine has: the GPU and its driver, compilers, Python's headers; one Triton kernel."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.gpu_check.measuring import GIB, Measurement

PACKAGES = ("torch", "transformers", "triton", "flash-attn", "flash-attn-4", "vllm", "ms-swift")
NONE = "none"


def measure(device: torch.device) -> Iterator[Measurement]:
    """Yield what is there and what is not, last whether a Triton kernel compiles and runs."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        yield Measurement("GPU", properties.name)
        yield Measurement("memory of the GPU", properties.total_memory / GIB, "GiB")
        yield Measurement("compute capability", f"{properties.major}.{properties.minor}")
        driver = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        yield Measurement("driver", _first_line(*driver))
    else:
        yield Measurement("GPU", NONE)
    yield Measurement("CUDA of torch", torch.version.cuda or NONE)
    for package in PACKAGES:
        yield Measurement(package, _version(package))
    yield Measurement("Python", platform.python_version())
    for compiler in ("cc", "gcc", "clang", "nvcc"):
        yield Measurement(compiler, _first_line(compiler, "--version"))
    header = Path(sysconfig.get_path("include"), "Python.h")
    yield Measurement("Python.h", str(header) if header.is_file() else NONE)
    yield Measurement("Triton kernel", _run_kernel(device))


def _run_kernel(device: torch.device) -> str:
    if device.type != "cuda" or find_spec("triton") is None:
        return "not run: it takes a GPU and the package triton"
    from benchmarks.gpu_check.triton_kernel import add

    left, right = (torch.randn(1000, device=device) for _ in range(2))
    torch.testing.assert_close(add(left, right), left + right)
    return "compiled and right"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return NONE


def _first_line(*command: str) -> str:
    """Return the last line of a version's text that names a release, else the first line."""
    if shutil.which(command[0]) is None:
        return NONE
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.splitlines() or [f"status {done.returncode}"]
    return next((line for line in lines if "release" in line), lines[0])
