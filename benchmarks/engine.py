"""What a judge's request costs the process in front of vLLM's core, which asks with one thread.

The same judgements go three ways to one vLLM with its core in a process of its own, as on a GPU:
as this pipeline sends them; as it once did, each prompt rendered by vLLM, and each verdict
constrained by a grammar; and through `LLM.chat`. The model is narrow, with the published vocabulary
of Qwen2.5-VL and pictures of about 1,000 tokens; once the judge sees them, once it does not.

Prints the processor time of the asking thread a request, the wall time, and the ratios; how far the
probabilities of the verdicts lie apart, and how many verdicts differ.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as Pillow
from tabulate import tabulate

from evpv_prm.config import JudgeDecoding, Model, VllmOptions
from evpv_prm.engine.base import Image, Reply, Request
from evpv_prm.engine.vllm import VllmEngine, load_tokenizer
from evpv_prm.engine.vllm_prompts import PromptRenderer, chat
from evpv_prm.verdicts import verdict_probability
from evpv_prm.verifier import View, judge_requests
from tests.real.shapes import qwen

SIZE = (1000, 800)  # 29 × 36 merged patches of 28 × 28 pixels: about 1,000 tokens
WORDS = ("side", "angle", "triangle", "equal", "length", "half", "area", "base", "circle", "we add")
SEED = 1


class Run(NamedTuple):
    """What one way of asking took, in seconds, and what it was answered."""

    front: float
    wall: float
    replies: list[Any]


class AsBefore(VllmEngine):
    """Has vLLM render each prompt, and a grammar constrain each verdict."""

    def _send(self, request: Request) -> str:
        llm = self._llm
        (name,) = llm.enqueue_chat(
            [chat(request)], [self._sampling_params(request)], use_tqdm=False
        )
        return str(name).partition("-")[0]

    def _first_tokens_of(self, request: Request) -> None:  # noqa: ARG002
        return None


def make_requests(
    folder: Path, questions: int, candidates: int, steps: int, *, with_images: bool
) -> list[Request]:
    """Draw a picture and a description a question, and random candidates."""
    draw = random.Random(SEED)

    def words(count: int) -> str:
        return " ".join(draw.choices(WORDS, k=count)) + f" {draw.randint(1, 99)}."

    view = View(JudgeDecoding(), history=12, shows_images=with_images)
    requests = []
    for number in range(questions):
        file = folder / f"{number}.png"
        noise = np.random.default_rng(number).integers(0, 255, (20, 25, 3), dtype=np.uint8)
        Pillow.fromarray(noise).resize(SIZE, Pillow.Resampling.NEAREST).save(file)
        question, description = words(60), words(220)
        for _ in range(candidates):
            solution = [words(40) for _ in range(steps)]
            images = [Image(file)]
            requests += judge_requests(question, description, solution, images, view, SEED)
    return requests


def measure(engine: VllmEngine, tokenizer: Any, ask: Callable[[], Iterable[Any]]) -> Run:
    """Time one way of asking, with nothing in vLLM's caches."""
    engine._llm.reset_prefix_cache()
    engine._llm.llm_engine.reset_mm_cache()
    engine._prompts = PromptRenderer(engine._llm, tokenizer)
    wall, front = time.perf_counter(), time.thread_time()
    replies = list(ask())
    return Run(time.thread_time() - front, time.perf_counter() - wall, replies)


def ordered(results: Iterable[tuple[int, Any]]) -> list[Any]:
    return [result for _, result in sorted(results, key=lambda each: each[0])]


def compare(
    engine: VllmEngine, tokenizer: Any, requests: Sequence[Request], what: str
) -> list[list[Any]]:
    """Ask in all three ways; return a table's rows."""
    before_it = AsBefore.__new__(AsBefore)
    before_it.__dict__ = engine.__dict__
    list(engine.generate(requests[:8]))
    now = measure(engine, tokenizer, lambda: ordered(engine.generate(requests)))
    before = measure(engine, tokenizer, lambda: ordered(before_it.generate(requests)))
    conversations = [chat(request) for request in requests]
    params = [before_it._sampling_params(request) for request in requests]
    llm = engine._llm
    through_chat = measure(
        engine, tokenizer, lambda: llm.chat(conversations, params, use_tqdm=False)
    )
    failed = [reply for reply in [*now.replies, *before.replies] if not isinstance(reply, Reply)]
    if failed:
        raise SystemExit(f"error: {len(failed)} requests failed: {failed[0]}")
    gaps = [
        abs(verdict_probability(one.logprobs) - verdict_probability(other.logprobs))
        for one, other in zip(now.replies, before.replies, strict=True)
    ]
    differ = sum(a.text != b.text for a, b in zip(now.replies, before.replies, strict=True))
    print(
        f"{what}: {len(requests)} judgements, {now.replies[0].usage.prompt} prompt tokens; "
        f"probabilities differ by {max(gaps):.1e} at most, {differ} verdicts differ"
    )
    return [
        [what, way, 1000 * run.front / len(requests), run.wall, run.front / now.front]
        for way, run in (("now", now), ("before", before), ("LLM.chat", through_chat))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--questions", type=int, default=6, help="default: %(default)s")
    parser.add_argument("--candidates", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=6, help="of a candidate; default: %(default)s")
    arguments = parser.parse_args()
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        qwen.build(folder / "model")
        options = VllmOptions(
            dtype="float32", max_model_len=4096, max_num_batched_tokens=8192, enforce_eager=True,
            mm_processor_kwargs={"max_pixels": 1024 * 28 * 28}, cpu_kv_cache_gib=2,
        )  # fmt: skip
        settings = Model(model=str(folder / "model"), concurrency=256, vllm=options)
        engine = VllmEngine(settings)
        tokenizer = load_tokenizer(settings)
        size = (arguments.questions, arguments.candidates, arguments.steps)
        rows = []
        for what, with_images in (("with pictures", True), ("text alone", False)):
            requests = make_requests(folder, *size, with_images=with_images)
            rows += compare(engine, tokenizer, requests, what)
        engine.close()
    headers = ["judgements", "asked", "front, ms each", "wall, s", "front, of now's"]
    print(tabulate(rows, headers, floatfmt=".2f"))


if __name__ == "__main__":
    main()
