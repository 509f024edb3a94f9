"""Scoring with real vLLM, killed again and again: nothing stored is paid twice, nobody is left."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.real

CONCURRENCY = 4
KILLS = 2


# As on a GPU: what is killed is the process in front of vLLM's core.
OWN_CORE = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1", "VLLM_WORKER_MULTIPROC_METHOD": "spawn"}


def start(module: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"evpv_prm.{module}", *options]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | OWN_CORE)


def model_flags(model: Path) -> list[str]:
    return [
        *("--model", str(model), "--concurrency", str(CONCURRENCY), "--max-failures", "1"),
        *("--vllm-dtype", "float32", "--vllm-max-model-len", "4096", "--vllm-enforce-eager"),
        "--vllm-trust-remote-code",
    ]


def scoring(candidates: Path, images: Path, models: Path, folder: Path) -> subprocess.Popen[bytes]:
    return start(
        "evpv_prm_inference",
        *("--candidates", str(candidates), "--images", str(images)),
        *("--output", str(folder / "scored.jsonl"), "--store", str(folder / "store")),
        *("--describe-max-tokens", "200", "--max-description-characters", "60"),
        *("--audit-max-tokens", "300", "--max-audit-errors", "1", "--max-audit-characters", "40"),
        *model_flags(models / "qwen25vl"),
    )


def stored_keys(folder: Path) -> Counter[str]:
    """The keys of all whole lines that a run has stored so far."""
    lines = b"".join(path.read_bytes() for path in folder.glob("store/*/*.jsonl")).split(b"\n")
    return Counter(json.loads(line)["k"] for line in lines[:-1] if line.endswith(b"}"))


@pytest.fixture(scope="module")
def candidates(models: Path, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("candidates")
    output = folder / "candidates.jsonl"
    process = start(
        "policy_inference",
        *("--questions", str(world / "benchmarks.jsonl"), "--images", str(world / "images")),
        *("--output", str(output), "--store", str(folder / "store")),
        *("--num-candidates", "2", "--max-tokens", "600"),
        *("--max-steps", "3", "--max-step-characters", "30"),
        *model_flags(models / "internvl"),
    )
    assert process.wait() == 0
    return output


def test_killed_scoring_goes_on_where_it_stopped(
    candidates: Path, models: Path, images: Path, tmp_path: Path
) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert scoring(candidates, images, models, undisturbed).wait() == 0
    requests = stored_keys(undisturbed)
    assert set(requests.values()) == {1}

    moments = sorted(random.Random(0).sample(range(1, len(requests)), KILLS))
    for moment in moments:
        process = scoring(candidates, images, models, killed)
        while len(stored_keys(killed)) < moment and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None, "the run ended before it could be killed"
        others = psutil.Process(process.pid).children(recursive=True)
        assert "VLLM::EngineCore" in {other.name() for other in others}
        process.kill()
        process.wait()
        _, left = psutil.wait_procs(others, timeout=60)
        assert left == [], "vLLM's core outlives the process that it worked for"
        assert not (killed / "scored.jsonl").exists()
    assert scoring(candidates, images, models, killed).wait() == 0

    assert stored_keys(killed) == requests, "a stored reply was paid for again"
    written = {folder: (folder / "scored.jsonl").read_bytes() for folder in (undisturbed, killed)}
    assert written[killed] == written[undisturbed]
