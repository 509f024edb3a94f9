"""Merge a LoRA adapter into the base model that it was trained on.

The output is a checkpoint folder like the base's, with `merge.json`: what was merged, and the
SHA-256 of every file.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from evpv_prm import cli
from evpv_prm.directories import atomic_directory, check_replaceable
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import write_json
from evpv_prm.training.command import BaseModel, merge_command
from evpv_prm.training.data import file_digest
from evpv_prm.training.main import add_base_options
from evpv_prm.training.process import StoppedError, run_program
from evpv_prm.training.run import MANIFEST as TRAIN_MANIFEST
from evpv_prm.training.run import base_identity, versions

logger = logging.getLogger(__name__)

MANIFEST = "merge.json"


def merge(base: BaseModel, adapter: Path, output: Path) -> None:
    """Write the merged model to `output`.

    Raises:
        UserError: `adapter` is no adapter of this pipeline, or not one of this base; ms-swift
            failed.
        StoppedError: SIGTERM or SIGINT came; nothing was written.
    """
    check_replaceable(output, MANIFEST)
    trained = _training_manifest(adapter)
    identity = base_identity(base)
    trained_on = {name: trained["base"].get(name) for name in identity}
    if trained_on != identity:
        raise UserError(
            f"--model {base.name}: {adapter} was trained on another model, "
            f"{trained['base']['model']}"
        )
    with atomic_directory(output, MANIFEST) as folder:
        folder.rmdir()
        invocation = merge_command(base, adapter, folder)
        logger.info("%s", shlex.join(invocation.argv))
        status = run_program(invocation, grace_s=1)
        if status != 0 or not (folder / "config.json").is_file():
            raise UserError(f"merging ended with status {status}; its reason stands above")
        (folder / "args.json").unlink(missing_ok=True)  # paths of this machine
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digests = {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
        write_json(
            folder / MANIFEST,
            {
                "base": {"model": base.name, **identity},
                "adapter": {"folder": str(adapter), **trained["adapter"]},
                "stage": trained["stage"],
                "packages": versions(),
                "files": digests,
            },
        )
    logger.info("%s: merged", output)


def _training_manifest(adapter: Path) -> dict[str, Any]:
    path = adapter / TRAIN_MANIFEST
    try:
        manifest: dict[str, Any] = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(path, expected=f"not valid JSON ({error.msg})") from error
    if file_digest(adapter / "adapter_model.safetensors") != manifest["adapter"]["sha256"]:
        raise InputError(
            path, field="adapter.sha256", expected="the digest of adapter_model.safetensors"
        )
    return manifest


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__)
    add_base_options(parser)
    parser.add_argument(
        "--adapter", type=Path, required=True, metavar="DIR", help="adapter of a training"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder of the merged model"
    )
    arguments = parser.parse_args(argv)
    base = BaseModel(arguments.model, arguments.model_revision)
    try:
        merge(base, arguments.adapter, arguments.output)
    except StoppedError as signal:
        logger.error("stopped by %s", signal)
        return 128 + signal.number
    return 0
