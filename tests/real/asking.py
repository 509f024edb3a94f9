"""What the tests of the vLLM engine ask, and how it computes."""

from __future__ import annotations

import pytest

from evpv_prm.engine.base import Image, Request, Sampling
from evpv_prm.prompts import Prompt
from evpv_prm.verdicts import VERDICT_KEY


def put_core_in_own_process(patch: pytest.MonkeyPatch) -> None:
    """Have vLLM's core started as on a GPU."""
    patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    # What CUDA in this process forces.
    patch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "spawn")


def request(prompt: Prompt, picture: Image, **sampling: object) -> Request:
    drawn = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 400, "seed": 3} | sampling
    return Request(
        "judge",
        prompt.messages,
        [picture],
        Sampling(**drawn),
        choices=prompt.choices,
        json_schema=prompt.json_schema,
        logprobs_from=VERDICT_KEY if prompt.json_schema and "top_logprobs" in drawn else None,
    )
