"""The commands of the trainings."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.config_training import StepJudgeSft, Training, VisionDpo, VisionSft
from evpv_prm.options import add_options, read_options
from evpv_prm.training.command import BaseModel
from evpv_prm.training.hardware import take_hardware
from evpv_prm.training.process import StoppedError
from evpv_prm.training.run import Job, train

logger = logging.getLogger(__name__)


def sft_vision(argv: Sequence[str] | None = None) -> int:
    """Fine-tune a model to describe images."""
    return _main(VisionSft, sft_vision, argv)


def dpo_vision(argv: Sequence[str] | None = None) -> int:
    """Fine-tune a model to prefer right descriptions to wrong ones, by DPO."""
    return _main(VisionDpo, dpo_vision, argv)


def sft_step_judge(argv: Sequence[str] | None = None) -> int:
    """Fine-tune a model to judge steps."""
    return _main(StepJudgeSft, sft_step_judge, argv)


def add_base_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name the base model."""
    parser.add_argument(
        "--model", required=True, help="base model: a checkpoint folder or a hub name"
    )
    parser.add_argument(
        "--model-revision", metavar="TEXT", help="revision of a hub model (default: its newest)"
    )


def _main(
    section: type[Training],
    command: Callable[[Sequence[str] | None], int],
    argv: Sequence[str] | None,
) -> int:
    parser = cli.parser(
        f"{command.__doc__} Writes a LoRA adapter with ms-swift;\na killed run goes on from its "
        "last checkpoint, in work/ beside the output."
    )
    add_base_options(parser)
    parser.add_argument(
        "--train", type=Path, required=True, metavar="FILE", help="JSONL file in ms-swift's format"
    )
    parser.add_argument(
        "--validation", type=Path, metavar="FILE", help="the same for validation (default: none)"
    )
    parser.add_argument(
        "--images-root", type=Path, required=True, metavar="DIR",
        help="folder that the rows' image paths are relative to",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR",
        help="folder to write: the adapter, train.json and logging.jsonl",
    )  # fmt: skip
    parser.add_argument(
        "--gpus", type=cli.at_least(0), default=1, metavar="N",
        help="GPUs to train on; where there is none, the CPU trains (default: %(default)s)",
    )  # fmt: skip
    add_options(parser, section)
    arguments = parser.parse_args(argv)
    job = Job(
        settings=read_options(arguments, section),
        base=BaseModel(arguments.model, arguments.model_revision),
        train=arguments.train,
        validation=arguments.validation,
        images_root=arguments.images_root,
        output=arguments.output,
    )
    try:
        train(job, take_hardware(arguments.gpus, os.environ))
    except StoppedError as signal:
        logger.error("stopped by %s; run again to go on", signal)
        return 128 + signal.number
    return 0
