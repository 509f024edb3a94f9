"""Identities of models: what changes them and what does not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.config import ApiOptions, Model, VllmOptions
from evpv_prm.engine import fingerprint as module
from evpv_prm.engine.fingerprint import describe_model, engine_identity, fingerprint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "code/modeling.py").write_text("x = 1")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 8)
    return folder


@given(position=st.integers(0, 256 * 40 - 1), bit=st.integers(0, 7))
def test_any_byte_of_a_small_file_counts(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("model")
    weights = bytearray(bytes(range(256)) * 40)
    (folder / "w").write_bytes(weights)
    before = fingerprint(folder)
    weights[position] ^= 1 << bit
    (folder / "w").write_bytes(weights)
    assert fingerprint(folder) != before


def test_blocks_of_a_large_file_are_sampled_from_end_to_end(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLES", 4)
    monkeypatch.setattr(module, "SAMPLE_BYTES", 16)
    path = checkpoint / "model.safetensors"
    weights = path.read_bytes()
    size = len(weights)
    before = fingerprint(checkpoint)
    seen = set()
    for position in range(0, size, 16):
        changed = bytearray(weights)
        changed[position] ^= 1
        path.write_bytes(changed)
        if fingerprint(checkpoint) != before:
            seen.add(position)
    assert {0, size - 16} <= seen
    assert 4 <= len(seen) <= 4 * 2
    assert any(size // 4 < position < size // 2 for position in seen)


def test_the_size_of_a_large_file_counts(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES", 2)
    monkeypatch.setattr(module, "SAMPLE_BYTES", 4)
    path = checkpoint / "model.safetensors"
    path.write_bytes(b"\0" * 100)
    before = fingerprint(checkpoint)
    path.write_bytes(b"\0" * 101)
    assert fingerprint(checkpoint) != before


def test_names_count_and_times_do_not(checkpoint: Path) -> None:
    before = fingerprint(checkpoint)
    os.utime(checkpoint / "model.safetensors", (1, 1))
    (checkpoint / "config.json").chmod(0o600)
    assert fingerprint(checkpoint) == before
    (checkpoint / "code/modeling.py").rename(checkpoint / "code/model.py")
    renamed = fingerprint(checkpoint)
    assert renamed != before
    (checkpoint / "generation_config.json").touch()
    assert fingerprint(checkpoint) not in (before, renamed)


def test_bytes_belong_to_their_file(tmp_path: Path) -> None:
    folders = []
    for name, contents in {"one": ("ab", "c"), "two": ("a", "bc"), "three": ("c", "ab")}.items():
        folder = tmp_path / name
        folder.mkdir()
        for file, content in zip(("x", "y"), contents, strict=True):
            (folder / file).write_text(content)
        folders.append(fingerprint(folder))
    assert len(set(folders)) == 3


def test_a_copy_and_a_link_are_the_same_model(checkpoint: Path, tmp_path: Path) -> None:
    """Hubs keep a checkpoint's files as links to blobs."""
    linked = tmp_path / "snapshot"
    (linked / "code").mkdir(parents=True)
    for path in checkpoint.rglob("*"):
        if path.is_file():
            (linked / path.relative_to(checkpoint)).symlink_to(path)
    assert fingerprint(linked) == fingerprint(checkpoint)


def test_where_a_checkpoint_lies_does_not_matter(checkpoint: Path, tmp_path: Path) -> None:
    before = engine_identity(Model(model=str(checkpoint)))
    moved = checkpoint.rename(tmp_path / "elsewhere")
    assert engine_identity(Model(model=str(moved))) == before


VLLM = Model(model="org/name")
API = Model(backend="api", model="name", base_url="http://h/v1")


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (VLLM, {"model": "org/other"}),
        (VLLM, {"revision": "abc"}),
        (VLLM, {"vllm": VllmOptions(dtype="float32")}),
        (VLLM, {"vllm": VllmOptions(mm_processor_kwargs={"max_pixels": 1})}),
        (API, {"model": "other"}),
        (API, {"base_url": "http://other/v1"}),
        (API, {"api": ApiOptions(structured_outputs="none")}),
        (API, {"api": ApiOptions(logprobs=True)}),
        (API, {"api": ApiOptions(extra_body={"top_k": 1})}),
    ],
)
def test_what_decides_a_reply_is_part_of_the_identity(
    model: Model, changes: dict[str, Any]
) -> None:
    assert engine_identity(model.model_copy(update=changes)) != engine_identity(model)


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (VLLM, {"concurrency": 2}),
        (VLLM, {"vllm": VllmOptions(max_model_len=99, tensor_parallel_size=2, max_images=2)}),
        (VLLM, {"vllm": VllmOptions(gpu_memory_utilization=0.1, cpu_kv_cache_gib=9)}),
        (VLLM, {"vllm": VllmOptions(enforce_eager=True, enable_prefix_caching=False)}),
        (VLLM, {"vllm": VllmOptions(max_num_batched_tokens=64)}),
        (VLLM, {"api": ApiOptions(logprobs=False)}),
        (API, {"concurrency": 2}),
        (API, {"api_key_env": "KEY"}),
        (API, {"api": ApiOptions(timeout_s=1, attempts=1, backoff_s=9)}),
        (API, {"vllm": VllmOptions(dtype="float32")}),
    ],
)
def test_how_fast_it_answers_and_for_whom_is_not(model: Model, changes: dict[str, Any]) -> None:
    assert engine_identity(model.model_copy(update=changes)) == engine_identity(model)


def test_an_identity_is_plain_json_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_NAME", "secret-value")
    model = API.model_copy(update={"api_key_env": "SECRET_KEY_NAME"})
    shown = str(describe_model(model))
    assert "SECRET_KEY_NAME" not in shown
    assert "secret-value" not in shown
    assert describe_model(model)["name"] == "name"
