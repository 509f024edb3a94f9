"""What a training takes from its allocation: devices, flash-attn, a port."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from evpv_prm.training.hardware import allocated, free_port, visible_devices


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight new GPUs, as its nvidia-smi tells; tests write what another one says."""
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    tell(program, capabilities=["9.0"] * 8)
    return program


def tell(program: Path, capabilities: Sequence[str]) -> None:
    indices = map(str, range(len(capabilities)))
    program.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = --query-gpu=index ] && printf "%s\\n" {" ".join(indices)}\n'
        f'[ "$1" = --query-gpu=compute_cap ] && printf "%s\\n" {" ".join(capabilities)}\n'
        "exit 0\n"
    )
    program.chmod(0o755)


def installed(monkeypatch: pytest.MonkeyPatch, *, flash_attn: bool) -> None:
    """Make flash-attn one that is installed, or one that is not, whatever is here."""
    module = ModuleType("flash_attn")
    module.__spec__ = ModuleSpec("flash_attn", loader=None)
    monkeypatch.setitem(sys.modules, "flash_attn", module if flash_attn else None)


@pytest.mark.parametrize(
    ("value", "devices"),
    [
        ("", ()),
        ("3", ("3",)),
        ("0,1,2,3", ("0", "1", "2", "3")),
        (" 5, 2 ", ("5", "2")),
        (",".join("01234567"), tuple("01234567")),
        ("GPU-8f1c, GPU-02ab", ("GPU-8f1c", "GPU-02ab")),
        ("MIG-5c1e", ("MIG-5c1e",)),
        ("MIG-GPU-8f1c/1/0", ("MIG-GPU-8f1c/1/0",)),
        ("MIG-5c1e,MIG-77aa", ("MIG-5c1e",)),
        ("-1", ()),
        ("0,-1,1", ("0",)),
        ("NoDevFiles", ()),
        ("1,1", ()),
    ],
)
def test_devices_are_those_that_cuda_sees(value: str, devices: tuple[str, ...]) -> None:
    assert visible_devices(value) == devices
    assert allocated({"CUDA_VISIBLE_DEVICES": value}).devices == devices


@pytest.mark.parametrize(
    ("variables", "devices"),
    [
        ({}, "01234567"),
        ({"SLURM_JOB_ID": "7"}, ""),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "2,3"}, "23"),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "2,3", "SLURM_STEP_GPUS": "3"}, "3"),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "2,3", "CUDA_VISIBLE_DEVICES": "0,1"}, "01"),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "2,3", "CUDA_VISIBLE_DEVICES": ""}, ""),
    ],
)
def test_a_job_takes_no_more_than_its_allocation(
    machine: Path, variables: dict[str, str], devices: str
) -> None:
    assert allocated(variables).devices == tuple(devices)


def test_without_a_driver_or_devices_there_is_the_cpu(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, flash_attn=True)
    machine.write_text("#!/bin/sh\necho No devices were found\n")
    assert allocated({}).devices == ()
    machine.write_text("#!/bin/sh\necho 0\nexit 9\n")
    assert allocated({}).devices == ()
    monkeypatch.setenv("PATH", "")
    assert allocated({}).devices == ()
    assert not allocated({}).flash_attention


def test_flash_attention_needs_its_package_and_gpus_that_it_runs_on(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, flash_attn=True)
    assert allocated({}).flash_attention
    assert not allocated({"CUDA_VISIBLE_DEVICES": ""}).flash_attention
    tell(machine, ["8.0", "7.0"])
    assert not allocated({}).flash_attention
    tell(machine, ["8.0", "8.6"])
    assert allocated({}).flash_attention
    installed(monkeypatch, flash_attn=False)
    assert not allocated({}).flash_attention


def test_port_is_one_that_nobody_has() -> None:
    with ExitStack() as taken:
        for host in ("127.0.0.1", "", ""):
            taken.enter_context(socket.create_server((host, free_port())))
