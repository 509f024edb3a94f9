"""The check of a GPU, in the small form that a CPU runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from benchmarks.gpu_check import __main__ as gpu_check
from benchmarks.gpu_check.measuring import DECODE, PREFILL, Measurement
from benchmarks.gpu_check.rates import MODEL, serving_rates
from evpv_prm.plan.tables import SHIPPED_RATES, read_rates
from tests.real.trainings import ROOT, environment

pytestmark = pytest.mark.real

HEADING = "rows for profiles/rates.csv:\n"
TRAININGS = {"train_vision_sft", "train_dpo", "train_step_judge"}


@pytest.fixture
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def rules(printed: str, folder: Path) -> set[str]:
    """The rules of the rows that were printed, read as a plan reads them."""
    table = folder / "rates.csv"
    table.write_text(printed.partition(HEADING)[2])
    rates = read_rates(table)
    shipped = read_rates(SHIPPED_RATES)
    assert all(rate.unit == shipped[key].unit and rate.seconds > 0 for key, rate in rates.items())
    assert {rate.basis for rate in rates.values()} <= {"estimate"}
    return {rule for rule, _ in rates}


def test_a_cpu_runs_every_part(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_check", "--output", str(file)],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = orjson.loads(file.read_bytes())
    assert list(found["parts"]) == ["node", "training-sdpa", "serving", "verdicts"]
    assert found["gpu"] is None
    assert [part["failure"] for part in found["parts"].values()] == [None] * 4
    values = {
        measured["name"]: measured["value"]
        for part in found["parts"].values()
        for measured in part["measurements"]
    }
    # 28 layers with a call a window, of which a picture of 32 × 32 tokens has 64, and 4 with one.
    assert values["vision tower, a picture of 1024 tokens, attention calls"] == 28 * 64 + 4
    assert values["largest |Δp| that the adapter makes"] > 0.1
    assert values["merged against base + adapter, float32: largest |Δlogit|"] < 1e-3
    assert 0 < values["merged in bfloat16 against float32 on the CPU: largest |Δp|"] < 0.2
    answering = {rate.rule for rate in serving_rates(read_rates(SHIPPED_RATES).values(), 1, 1, "")}
    assert rules(done.stdout, tmp_path) == TRAININGS | answering
    assert "score_candidates" in answering


@pytest.mark.usefixtures("_threads")
def test_a_part_that_fails_says_so_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(part: str, *_: Any) -> Iterator[Measurement]:
        if part == "training-sdpa":
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB.")
        yield Measurement(PREFILL, 8000.0)
        yield Measurement(DECODE, 2000.0)

    monkeypatch.setattr(gpu_check, "measurements", found)
    file = tmp_path / "found.json"
    assert gpu_check.main(["--small", "--output", str(file)]) == 1
    printed = capsys.readouterr().out
    assert "\n  failed: OutOfMemoryError: CUDA out of memory.\n" in printed
    assert printed.endswith("\nfailed: training-sdpa\n")
    parts = orjson.loads(file.read_bytes())["parts"]
    assert [name for name, part in parts.items() if part["failure"]] == ["training-sdpa"]
    assert len(parts["verdicts"]["measurements"]) == 2
    printed = printed.removesuffix("failed: training-sdpa\n")
    assert not rules(printed, tmp_path) & TRAININGS


def test_the_shipped_guesses_of_a_gpus_speed_give_the_shipped_rates() -> None:
    shipped = read_rates(SHIPPED_RATES)
    guesses = "8000/2000 prompt/new tokens a second with 1 GPU(s)"
    guessed = [rate for rate in shipped.values() if rate.reasoning.startswith(guesses)]
    again = list(serving_rates(shipped.values(), 8000, 2000, "as guessed"))
    assert [rate.rule for rate in again] == [rate.rule for rate in guessed]
    for rate, expected in zip(again, guessed, strict=True):
        assert rate.model == MODEL
        assert rate.seconds == pytest.approx(expected.seconds, rel=0.02)  # its calls are rounded
        assert rate.reasoning == expected.reasoning.replace(guesses, f"{guesses} as guessed")
