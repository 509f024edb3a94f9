"""Tiny models and pictures, made once for all tests with real models."""

from __future__ import annotations

from pathlib import Path

import pytest

from evpv_prm.diagrams import tiny_internvl, tiny_qwen25vl
from evpv_prm.diagrams.make_world import write_world
from evpv_prm.diagrams.world import TEST, make_world
from evpv_prm.jsonl import write_rows
from tests.real.trainings import SAMPLES, finish, sample, training


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both tiny models, built as a user builds them."""
    folder = tmp_path_factory.mktemp("tiny")
    assert tiny_qwen25vl.main(["--output", str(folder / "qwen25vl")]) == 0
    assert tiny_internvl.main(["--output", str(folder / "internvl")]) == 0
    return folder


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small diagram world: benchmarks.jsonl, mmmu.jsonl, images/."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, make_world(2, 0, TEST, difficulty=0.5), [], seed=0)
    return folder


@pytest.fixture(scope="session")
def images(world: Path) -> Path:
    """The folder of the world's pictures."""
    return world / "images"


@pytest.fixture(scope="session")
def data(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl and validation.jsonl."""
    folder = tmp_path_factory.mktemp("data")
    paths = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    rows = [sample(paths[number % len(paths)], number) for number in range(SAMPLES + 2)]
    write_rows(folder / "train.jsonl", rows[:SAMPLES])
    write_rows(folder / "validation.jsonl", rows[SAMPLES:])
    return folder


@pytest.fixture(scope="session")
def sft(models: Path, data: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of an undisturbed vision SFT."""
    output = tmp_path_factory.mktemp("sft") / "adapter"
    finish(training("sft_vision", models / "qwen25vl", data, images, output))
    return output
