"""One training from its data to its adapter; a killed one goes on where it was."""

from __future__ import annotations

import hashlib
import logging
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from evpv_prm.config_training import Training, VisionDpo
from evpv_prm.directories import atomic_directory, check_replaceable
from evpv_prm.engine.fingerprint import fingerprint
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_json
from evpv_prm.training.checkpoints import (
    LOG,
    best_checkpoint,
    clean_up,
    is_finished,
    whole_checkpoints,
)
from evpv_prm.training.command import BaseModel, Plan, plan, training_command
from evpv_prm.training.data import DpoRow, SftRow, file_digest, prepare
from evpv_prm.training.hardware import FLASH_KERNELS, Hardware, free_port, installed_version
from evpv_prm.training.process import exclusive, run_program

logger = logging.getLogger(__name__)

MANIFEST = "train.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "additional_config.json")
PACKAGES = (
    *("ms-swift", "torch", "transformers", "peft", "trl", "accelerate"),
    *(kernel.package for kernel in FLASH_KERNELS.values()),
)
"""Packages whose versions can change an adapter."""

NOT_IDENTITY = {"adapter", "stop_grace_s"}
"""Settings that do not change what is trained."""


@dataclass(frozen=True)
class Job:
    """What to train, on what, and where the adapter goes."""

    settings: Training
    base: BaseModel
    train: Path
    validation: Path | None
    images_root: Path
    output: Path

    def data_digests(self) -> dict[str, str]:
        """Return the SHA-256 of each data file by its role."""
        files = {"train": self.train, "validation": self.validation}
        return {role: file_digest(path) for role, path in files.items() if path}


def train(job: Job, hardware: Hardware) -> None:
    """Train an adapter and write it, with `train.json` and `logging.jsonl`, to `job.output`.

    Checkpoints stand in `work/` beside the output, in a folder named by a digest of all that
    decides the training: a run goes on from the last one, but never from another training's.

    Raises:
        UserError: the data or the settings cannot be trained on, or the trainer failed.
        StoppedError: SIGTERM or SIGINT came; the next run goes on.
    """
    check_replaceable(job.output, MANIFEST)
    if job.settings.adapter == "best" and job.validation is None:
        raise UserError("--adapter best needs --validation")
    planned = plan(job.settings, hardware)
    for substitution in planned.substitutions:
        logger.warning("%s", substitution)
    manifest = describe(job, planned)
    work = job.output.parent / "work" / f"{job.output.name}-{_digest(job, manifest)[:16]}"
    checkpoints = work / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    with exclusive(work / "lock") as lock:
        clean_up(checkpoints)
        if not _is_finished(checkpoints):
            _run_trainer(job, planned, checkpoints, lock)
        _publish(job, manifest, checkpoints)


def base_identity(base: BaseModel) -> dict[str, str | None]:
    """Return what tells a base model from others: its content, or its hub name and revision."""
    if base.is_local:
        return {"fingerprint": fingerprint(Path(base.name))}
    return {"name": base.name, "revision": base.revision}


def versions() -> dict[str, str]:
    """Return the versions of the installed ones among `PACKAGES`."""
    found = {package: installed_version(package) for package in PACKAGES}
    return {package: version for package, version in found.items() if version is not None}


def describe(job: Job, planned: Plan) -> dict[str, Any]:
    """Return what decides a training, as `train.json` begins."""
    return {
        "stage": type(job.settings).__name__,
        "base": {"model": job.base.name, **base_identity(job.base)},
        "data": job.data_digests(),
        "settings": job.settings.model_dump(),
        "substitutions": list(planned.substitutions),
        "devices": max(1, len(planned.hardware.devices)),
        "device_type": "gpu" if planned.hardware.devices else "cpu",
        "packages": versions(),
    }


def _digest(job: Job, manifest: dict[str, Any]) -> str:
    identity = manifest | {
        "base": base_identity(job.base),
        "settings": job.settings.model_dump(exclude=NOT_IDENTITY),
    }
    return hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _is_finished(checkpoints: Path) -> bool:
    whole = whole_checkpoints(checkpoints)
    return bool(whole) and is_finished(whole[-1][1])


def _run_trainer(job: Job, planned: Plan, checkpoints: Path, lock: int) -> None:
    row_model = DpoRow if isinstance(job.settings, VisionDpo) else SftRow
    train = checkpoints.parent / "train.jsonl"
    prepare(job.train, job.images_root, row_model, train)
    validation = None
    if job.validation is not None:
        validation = checkpoints.parent / "validation.jsonl"
        at_most = job.settings.validation_rows
        prepare(job.validation, job.images_root, row_model, validation, at_most)
    whole = whole_checkpoints(checkpoints)
    resume_from = whole[-1][0] if whole else None
    if resume_from is not None:
        logger.info("going on from %s", resume_from)
    invocation = training_command(
        planned, job.base, train, validation, checkpoints, resume_from, free_port()
    )
    logger.info("%s", shlex.join(invocation.argv))
    status = run_program(invocation, grace_s=job.settings.stop_grace_s, inherited=[lock])
    whole = whole_checkpoints(checkpoints)
    if status == 0 and whole and is_finished(whole[-1][1]):
        return
    done = (
        f"step {whole[-1][1]['global_step']} of {whole[-1][1]['max_steps']}" if whole else "start"
    )
    raise UserError(f"the trainer ended with status {status} at {done}; its reason stands above")


def _publish(job: Job, manifest: dict[str, Any], checkpoints: Path) -> None:
    checkpoint, state = whole_checkpoints(checkpoints)[-1]
    if job.settings.adapter == "best":
        checkpoint = best_checkpoint(state, checkpoints)
    with atomic_directory(job.output, MANIFEST) as folder:
        for name in ADAPTER_FILES:
            shutil.copyfile(checkpoint / name, folder / name)
        shutil.copyfile(checkpoints / LOG, folder / LOG)
        write_json(
            folder / MANIFEST,
            manifest
            | {
                "adapter": {
                    "checkpoint": checkpoint.name,
                    "sha256": file_digest(folder / "adapter_model.safetensors"),
                },
                "steps": state["global_step"],
                "epochs": state["epoch"],
                "metrics": _final_metrics(state),
            },
        )
    logger.info("%s: %s of %d steps", job.output, checkpoint.name, state["global_step"])


def _final_metrics(state: dict[str, Any]) -> dict[str, Any]:
    """Return the last logged values of training and of validation, and the best loss."""
    history = state["log_history"]
    return {
        "train": next((row for row in reversed(history) if "loss" in row), None),
        "validation": next((row for row in reversed(history) if "eval_loss" in row), None),
        "best_loss": state["best_metric"],
    }
