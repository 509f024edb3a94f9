"""A plugin of ms-swift: stop whole on SIGTERM, look at the first sample, report progress.

ms-swift loads it by its path (`--external_plugins`, `--callbacks evpv`) and puts its folder on
Python's search path, so it has a folder of its own.

transformers' own checkpoint on SIGTERM (`--enable_jit_checkpoint`) is saved in the middle of a
step, when the step's random numbers are drawn already: a run that goes on from it ends with other
weights. This one is saved between two steps.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from swift.callbacks import TrainerCallback, callbacks_map

from evpv_prm import cli
from evpv_prm.progress import Progress
from evpv_prm.training.image_tokens import image_token_problem


class EvpvCallback(TrainerCallback):  # type: ignore[misc]  # ms-swift has no types
    """Check the first sample; say how far it is; after SIGTERM, end the step, save and stop."""

    def __init__(self, args: Any, trainer: Any) -> None:
        super().__init__(args, trainer)
        self._stop = False
        self._progress: Progress | None = None
        signal.signal(signal.SIGTERM, self._request_stop)
        # A scheduler, and torchrun, signal the processes that load samples too: they would die,
        # and the step with them.
        os.register_at_fork(after_in_child=_block_sigterm)
        atexit.register(_end_helpers)

    def _request_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop = True

    def on_train_begin(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Refuse to train on a sample whose images the model would not see."""
        sample = self.trainer.train_dataset[0]
        if not isinstance(sample, Mapping):  # packed: the samples of one sequence
            sample = sample[0]
        config = self.trainer.template.config
        problem = image_token_problem(
            sample, config.image_token_id, config.vision_config.spatial_merge_size
        )
        if problem:
            raise SystemExit(f"error: {problem}")
        gc.freeze()  # the libraries, which stay: transformers collects garbage by hand
        if state.is_world_process_zero:
            work = str(Path(args.output_dir).parent)
            self._progress = Progress(work, state.max_steps, "steps", done=state.global_step)

    def on_step_end(self, args: Any, _state: Any, control: Any, **_: Any) -> None:
        """Stop if any process was asked to: all of them end at the same step."""
        if self._progress is not None:
            self._progress.update()
        stop = self._stop
        if dist.is_initialized():
            flag = torch.tensor([int(stop)], device=args.device)
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            stop = bool(flag.item())
        if stop:
            control.should_save = True
            control.should_training_stop = True


def _block_sigterm() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _end_helpers() -> None:
    """End the processes that load samples, for which multiprocessing would wait in vain.

    It would send them SIGTERM. Registered last, this function runs before that.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler takes their end for a failure
    for helper in multiprocessing.active_children():
        helper.kill()


cli.log_to_stderr()
callbacks_map["evpv"] = EvpvCallback
