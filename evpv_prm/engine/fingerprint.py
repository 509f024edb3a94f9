"""Which model answered: an identity that changes when the weights do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evpv_prm.config import Model

SAMPLES, SAMPLE_BYTES = 64, 65536
"""Blocks read of each weight file: fine-tuning changes weights everywhere, so that a sample shows
it, and a sample of a 76 GB model takes a second where the whole takes minutes."""


def engine_identity(model: Model) -> dict[str, Any]:
    """Return what of a model and its engine decides a reply.

    Throughput options (concurrency, parallelism, memory, time-outs) and the API key are left out:
    they may change between a run and its continuation.
    """
    if model.backend == "api":
        return {
            "backend": "api",
            "base_url": model.base_url,
            "model": model.model,
            "dialect": model.api.dialect,
            "structured_outputs": model.api.structured_outputs,
            "logprobs": model.api.logprobs,
            "extra_body": model.api.extra_body,
        }
    folder = Path(model.model)
    return {
        "backend": "vllm",
        "model": fingerprint(folder) if folder.is_dir() else model.model,
        "revision": model.revision,
        "dtype": model.vllm.dtype,
        "mm_processor_kwargs": model.vllm.mm_processor_kwargs,
    }


def fingerprint(folder: Path) -> str:
    """Return a SHA-256 over a checkpoint's file names, sizes and sampled contents.

    Files of up to `SAMPLES` × `SAMPLE_BYTES` are read whole; of larger ones, evenly spaced blocks,
    first and last included.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        digest.update(_content_digest(path, size))
    return digest.hexdigest()


def _content_digest(path: Path, size: int) -> bytes:
    with path.open("rb") as stream:
        if size <= SAMPLES * SAMPLE_BYTES:
            return hashlib.file_digest(stream, "sha256").digest()
        digest = hashlib.sha256()
        for index in range(SAMPLES):
            stream.seek((size - SAMPLE_BYTES) * index // (SAMPLES - 1))
            digest.update(stream.read(SAMPLE_BYTES))
        return digest.digest()


def describe_model(model: Model) -> Mapping[str, Any]:
    """Return a model's name and identity for provenance."""
    return {"name": model.model, **engine_identity(model)}
