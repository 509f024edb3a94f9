"""What the order of requests costs: the verifier's schedule against the reference's, on real vLLM.

Both schedules score the same candidates with the same tiny random verifier, each in a process of
its own. `shared`: this pipeline's (all descriptions, then all audits and judgements; prompts that
begin alike; prefix cache on). `sequential`: the reference implementation's (one question at a
time, batches of 8 with a barrier, prefix cache off, a step's history before the fixed text).

Prints, for each, the prompt tokens that vLLM computed (by the count of cached ones that it gives
with each reply) and the wall time without loading the model, and the ratios. Also, for `shared`,
the tokens computed over those of the prompts' trie, in which each common beginning occurs once, and
the bytes written per question over the size of the question's final record.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL import ImageDraw

from evpv_prm import prompts
from evpv_prm.config import JudgeDecoding, Model, Scoring, VllmOptions
from evpv_prm.data.images import load_images
from evpv_prm.engine.base import Failure, Reply, Request, Result, text
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.engine.vllm import VllmEngine
from evpv_prm.evpv_prm_inference import Item, candidate_requests, describe_request, score
from evpv_prm.jsonl import write_rows
from evpv_prm.records import Candidate, CandidateRecord
from evpv_prm.section import Decoding
from evpv_prm.verifier import request

# Wide enough for prompts to cost more than the bookkeeping of requests, with a narrow vision model,
# as in the 7B model, where an image costs less to encode than to read; with the published
# vocabulary, sampling from 152 thousand entries would outweigh so small a model.
VERIFIER = ["--max-image-tokens", "1024", "--heads", "12", "--layers", "4", "--compact-vocabulary"]
SIDE = 896  # 32 × 32 merged patches of 28 × 28 pixels: 1,024 vision tokens
BATCH = 8
SEED = 1
OPTIONS = Scoring(
    describe=Decoding(max_tokens=200),
    audit=Decoding(max_tokens=300),
    judge=JudgeDecoding(max_tokens=8),
    max_description_characters=150,
    max_audit_errors=1,
    max_audit_characters=60,
)
WORDS = ("side", "angle", "triangle", "equal", "length", "half", "area", "base", "circle", "we add")


def make_records(
    folder: Path, questions: int, candidates: int, steps: int
) -> list[CandidateRecord]:
    """Draw a picture a question and write random candidates, half of whose steps are visual."""
    draw = random.Random(SEED)

    def sentence(words: int) -> str:
        return " ".join(draw.choices(WORDS, k=words)) + f" {draw.randint(1, 99)}."

    records = []
    for number in range(questions):
        picture = Pillow.new("RGB", (SIDE, SIDE), "white")
        pen = ImageDraw.Draw(picture)
        for _ in range(12):
            corner = [draw.randrange(SIDE) for _ in range(4)]
            pen.line(corner, fill=draw.choice(["red", "green", "blue", "black"]), width=5)
        picture.save(folder / f"{number}.png")
        answers = [
            Candidate.model_validate(
                {
                    "reasoningprocess": [
                        {
                            "steptext": sentence(12),
                            "visualdependency": sentence(6) if index % 2 == 0 else None,
                        }
                        for index in range(steps)
                    ],
                    "finalanswer": str(draw.randint(1, 99)),
                }
            )
            for _ in range(candidates)
        ]
        records.append(
            CandidateRecord(
                pid=f"q{number}",
                question=sentence(15),
                answer="1",
                image=f"{number}.png",
                datasource="benchmark",
                candidates=answers,
            )
        )
    return records


class CountingEngine:
    """vLLM on the tiny verifier, and what it was asked."""

    def __init__(self, engine: VllmEngine) -> None:
        self.engine = engine
        self.identity = engine.identity
        self.requests: list[Request] = []
        self.prompt_tokens = 0
        self.cached = 0

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Result]]:
        self.requests += requests
        for index, result in self.engine.generate(requests):
            assert isinstance(result, Reply), result
            self.prompt_tokens += result.usage.prompt
            self.cached += result.usage.cached
            yield index, result

    def close(self) -> None:
        self.engine.close()

    def trie(self) -> int:
        """Return the tokens of all prompts, those of each common beginning counted once."""
        seen: set[int] = set()
        total = 0
        for asked in self.requests:
            prefix = hash(tuple(image.digest for image in asked.images))
            new = 0
            for token in self.engine._prompts.render(asked)["prompt_token_ids"]:
                prefix = hash((prefix, token))
                new += prefix not in seen
                seen.add(prefix)
            total += max(new, 1)  # the last token of a prompt is computed in any case
        return total


def load(model: Path, *, caching: bool) -> CountingEngine:
    """Start vLLM on the tiny verifier."""
    options = VllmOptions(
        dtype="float32", max_model_len=4096, enforce_eager=True, enable_prefix_caching=caching,
        max_num_batched_tokens=8192, cpu_kv_cache_gib=2,
    )  # fmt: skip
    settings = Model(model=str(model), concurrency=64, vllm=options)
    return CountingEngine(VllmEngine(settings))


def run_shared(model: Path, folder: Path, records: Sequence[CandidateRecord]) -> dict[str, Any]:
    """Score with this pipeline's schedule, store and output file included."""
    engine = load(model, caching=True)
    store = folder / "store"
    started = time.perf_counter()
    with StoredEngine(ResponseStore(store, engine.identity), lambda: engine) as stored:
        scored = score(records, folder, stored, OPTIONS, SEED)
        rows = [record.to_row() for record in scored]
        write_rows(folder / "scored.jsonl", rows)
        seconds = time.perf_counter() - started
        computed, trie = engine.prompt_tokens - engine.cached, engine.trie()
    final = (folder / "scored.jsonl").stat().st_size
    written = final + sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    return {
        "prompt_tokens": engine.prompt_tokens,
        "computed": computed,
        "seconds": seconds,
        "over_trie": computed / trie,
        "written_over_final": written / final,
    }


def run_sequential(model: Path, folder: Path, records: Sequence[CandidateRecord]) -> dict[str, Any]:
    """Score with the reference implementation's schedule."""
    engine = load(model, caching=False)
    started = time.perf_counter()

    def ask(requests: Sequence[Request]) -> Iterator[str]:
        for start in range(0, len(requests), BATCH):
            batch = requests[start : start + BATCH]
            for _, result in sorted(engine.generate(batch), key=lambda pair: pair[0]):
                yield result.text

    for record in records:
        images = load_images(folder, record.images)
        assert not isinstance(images, Failure)
        item = Item(record, images, Failure("not_asked"))
        (description,) = ask([describe_request(item, OPTIONS, SEED)])
        requests = [
            asked
            for candidate in item.candidates
            for asked in candidate_requests(item, candidate, description, OPTIONS, SEED)
        ]
        list(ask([asked for asked in requests if asked.stage == "audit"]))
        list(
            ask(
                [
                    history_first(item, description, steps)
                    for candidate in item.candidates
                    for steps in _histories(candidate)
                ]
            )
        )
    seconds = time.perf_counter() - started
    return {
        "prompt_tokens": engine.prompt_tokens,
        "computed": engine.prompt_tokens - engine.cached,
        "seconds": seconds,
    }


def _histories(candidate: Candidate) -> Iterator[list[str]]:
    steps = [step.steptext for step in candidate.reasoningprocess]
    for index in range(len(steps)):
        yield steps[max(0, index - OPTIONS.history_steps) : index + 1]


def history_first(item: Item, description: str, steps: Sequence[str]) -> Request:
    """A judge's request whose changing history stands before the fixed text."""
    prompt = prompts.judge(item.record.question, description, steps, len(item.images), first=1)
    (message,) = prompt.messages
    *images, body = message["content"]
    fixed, _, history = body["text"].partition("\n\nSteps:\n")
    reordered = {**message, "content": [*images, text(f"Steps:\n{history}\n\n{fixed}")]}
    return request(
        "judge",
        prompts.Prompt([reordered], prompt.image_order, choices=prompt.choices),
        item.images,
        OPTIONS.judge,
        SEED,
    )


SCHEDULES = {"shared": run_shared, "sequential": run_sequential}


def measure(arguments: argparse.Namespace, schedule: str, model: Path) -> dict[str, Any]:
    """Run one schedule in a fresh process."""
    command = [
        sys.executable, "-m", "benchmarks.scoring", "--schedule", schedule, "--model", str(model),
        "--questions", str(arguments.questions), "--candidates", str(arguments.candidates),
        "--steps", str(arguments.steps),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=24, help="default: %(default)s")
    parser.add_argument("--candidates", type=int, default=8, help="a question (default: 8)")
    parser.add_argument("--steps", type=int, default=6, help="a candidate (default: 6)")
    parser.add_argument("--schedule", choices=SCHEDULES, help="run only this one, in this process")
    parser.add_argument("--model", type=Path, help="checkpoint; default: a tiny one is built")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.schedule:
            records = make_records(
                folder, arguments.questions, arguments.candidates, arguments.steps
            )
            figures = SCHEDULES[arguments.schedule](arguments.model, folder, records)
            print(json.dumps(figures))
            return
        model = arguments.model or folder / "verifier"
        if not model.is_dir():
            build = ["-m", "evpv_prm.diagrams.tiny_qwen25vl", "--output", str(model)]
            subprocess.run([sys.executable, *build, *VERIFIER], check=True, stdout=sys.stderr)
        figures = {schedule: measure(arguments, schedule, model) for schedule in SCHEDULES}
    shared, sequential = figures["shared"], figures["sequential"]
    print(f"{'schedule':<12}{'prompt tokens':>15}{'computed':>12}{'seconds':>10}")
    for schedule, row in figures.items():
        counts = f"{row['prompt_tokens']:>15,}{row['computed']:>12,}"
        print(f"{schedule:<12}{counts}{row['seconds']:>10.1f}")
    print(f"prompt tokens computed: {sequential['computed'] / shared['computed']:.1f} times fewer")
    print(f"wall time: {sequential['seconds'] / shared['seconds']:.1f} times less")
    print(f"prompt tokens computed over their trie: {shared['over_trie']:.2f}")
    print(f"bytes written over final records: {shared['written_over_final']:.2f}")


if __name__ == "__main__":
    main()
