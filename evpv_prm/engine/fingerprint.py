"""Which model answered: an identity that changes when the weights do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evpv_prm.config import Model
from evpv_prm.errors import UserError

SAMPLES, SAMPLE_BYTES = 64, 65536
"""Blocks read of each weight file: fine-tuning changes weights everywhere, so that a sample shows
it, and a sample of a 76 GB model takes a second where the whole takes minutes."""

DOWNLOADED = "download.json"
"""Says where a checkpoint came from, which is nothing about its weights."""


def engine_identity(model: Model) -> dict[str, Any]:
    """Return what of a model and its engine decides a reply.

    Throughput options (concurrency, parallelism, memory, time-outs) and the API key are left out:
    they may change between a run and its continuation.

    Raises:
        UserError: the model is a folder that does not exist or holds no checkpoint.
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
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"model {model.model}: expected a checkpoint, found no config.json")
    elif not _may_be_hub_name(model.model):
        raise UserError(f"model {model.model}: no such folder")
    return {
        "backend": "vllm",
        "model": fingerprint(folder) if folder.is_dir() else model.model,
        "revision": model.revision,
        "dtype": model.vllm.dtype,
        "mm_processor_kwargs": model.vllm.mm_processor_kwargs,
    }


def _may_be_hub_name(name: str) -> bool:
    """Tell OWNER/NAME on the hub from the path of a folder."""
    path = Path(name)
    is_named_so = len(path.parts) <= 2 and not path.is_absolute() and name[:1] not in (".", "~")
    # What lies in a folder that is here is a path: "models/verifier" beside models/.
    return is_named_so and (len(path.parts) < 2 or not path.parent.is_dir())


def fingerprint(folder: Path) -> str:
    """Return a SHA-256 over a checkpoint's file names, sizes and sampled contents.

    Files of up to `SAMPLES` × `SAMPLE_BYTES` are read whole; of larger ones, evenly spaced blocks,
    first and last included.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != DOWNLOADED):
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
