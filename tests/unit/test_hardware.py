"""What a job takes of its allocation or of a shared machine: devices, flash kernels, a port."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest

from evpv_prm.config import Model
from evpv_prm.devices import SHARING, allocated_devices, check_fits, take, visible_devices
from evpv_prm.errors import UserError
from evpv_prm.training.hardware import free_port, take_hardware


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


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that installs a package of flash kernels, as its wheel would."""
    folder = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(folder)

    def put(name: str) -> None:
        (folder / "flash_attn/cute").mkdir(parents=True, exist_ok=True)
        metadata = folder / f"{name.replace('-', '_')}-4.0.dist-info/METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 4.0\n")
        importlib.invalidate_caches()

    return put


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
    assert allocated_devices({"CUDA_VISIBLE_DEVICES": value}) == devices


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
    assert allocated_devices(variables) == tuple(devices)


def test_without_a_driver_or_devices_there_is_the_cpu(
    machine: Path, monkeypatch: pytest.MonkeyPatch, install: Callable[[str], None]
) -> None:
    install("flash-attn")
    machine.write_text("#!/bin/sh\necho No devices were found\n")
    assert allocated_devices({}) == ()
    machine.write_text("#!/bin/sh\necho 0\nexit 9\n")
    assert allocated_devices({}) == ()
    monkeypatch.setenv("PATH", "")
    assert allocated_devices({}) == ()
    assert not take_hardware(1, {}).flash_kernels


def test_a_flash_kernel_needs_its_package_and_gpus_that_it_runs_on(
    machine: Path, install: Callable[[str], None]
) -> None:
    def kernels(gpus: int = 1, **environ: str) -> set[str]:
        return set(take_hardware(gpus, environ).flash_kernels)

    assert kernels() == set()
    # Regression: both are in the folder flash_attn, and version 4 alone was taken for version 2.
    install("flash-attn-4")
    assert kernels() == {"flash_attention_4"}
    install("flash-attn")
    assert kernels() == {"flash_attn", "flash_attention_4"}
    assert kernels(CUDA_VISIBLE_DEVICES="") == set()
    assert kernels(0) == set()
    for capabilities, found in (
        (["8.0", "7.0"], set()),
        (["8.0", "8.6"], {"flash_attn"}),
        (["9.0", "8.6"], {"flash_attn"}),
        (["10.0", "9.0"], {"flash_attn", "flash_attention_4"}),
    ):
        tell(machine, capabilities)
        assert kernels() == found


def test_a_job_gets_the_first_of_its_devices(machine: Path) -> None:
    environ = {"CUDA_VISIBLE_DEVICES": "4,2,7"}
    assert take(2, environ) == ("4", "2")
    assert environ == {"CUDA_VISIBLE_DEVICES": "4,2"}
    untouched: dict[str, str] = {}
    assert take(0, untouched) == ()
    assert not untouched


def test_too_few_devices_are_one_line(machine: Path) -> None:
    with pytest.raises(UserError, match=r"needs 9 GPU\(s\), and this job has 8"):
        take(9, {})


CLAIMER = """
import os, sys
from evpv_prm.devices import take
print(*take(int(sys.argv[1]), os.environ), flush=True)
sys.stdin.read()
"""


class Claimers:
    """Processes that claim GPUs of a machine with four."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **os.environ, SHARING: "1", "CUDA_VISIBLE_DEVICES": "0,1,2,3", "TMPDIR": str(folder),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }  # fmt: skip
        self.started: list[subprocess.Popen[str]] = []

    def start(self, count: int) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", CLAIMER, str(count)]
        pipe = subprocess.PIPE
        claimer = subprocess.Popen(
            words, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        self.started.append(claimer)
        return claimer


@pytest.fixture
def claimers(tmp_path: Path) -> Iterator[Claimers]:
    found = Claimers(tmp_path)
    yield found
    for claimer in found.started:
        claimer.kill()
        claimer.communicate()


def devices_of(claimer: subprocess.Popen[str]) -> set[str]:
    assert claimer.stdout is not None
    return set(claimer.stdout.readline().split())


def test_jobs_of_one_machine_claim_devices_of_their_own(claimers: Claimers) -> None:
    jobs = [claimers.start(count) for count in (1, 2, 1)]
    taken = [devices_of(job) for job in jobs]
    assert sorted(map(len, taken)) == [1, 1, 2]
    assert set.union(*taken) == set("0123")


def test_a_killed_job_gives_its_devices_back(claimers: Claimers) -> None:
    first, second = claimers.start(2), claimers.start(2)
    taken, others = devices_of(first), devices_of(second)
    third = claimers.start(2)
    first.kill()
    assert devices_of(third) == taken != others


@pytest.mark.parametrize(
    ("size", "gpus", "there", "memory_gb", "problem"),
    [
        (8.1, 1, 1, 80, None),
        (38.4, 4, 4, 80, None),
        (38.4, 1, 1, 80, "weights of 77 GB do not fit 1 GPU.* at least 2"),
        (38.4, 2, 2, 40, "weights of 77 GB do not fit 2 GPU.* at least 3"),
        (38.4, 4, 2, None, "tensor_parallel_size = 4, but there are 2"),
        (38.4, 4, None, None, None),
        (None, 1, 1, 8, None),
    ],
)
def test_a_model_has_to_fit_its_devices(
    size: float | None, gpus: int, there: int | None, memory_gb: float | None, problem: str | None
) -> None:
    model = Model.model_validate(
        {"model": "org/m", "parameters_b": size, "vllm": {"tensor_parallel_size": gpus}}
    )
    with pytest.raises(UserError, match=problem) if problem else nullcontext():
        check_fits(model, there, memory_gb)


def test_port_is_one_that_nobody_has() -> None:
    with ExitStack() as taken:
        for host in ("127.0.0.1", "", ""):
            taken.enter_context(socket.create_server((host, free_port())))
