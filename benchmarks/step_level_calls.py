"""How often the step-level experiments call an engine, against the reference implementation.

    python -m benchmarks.step_level_calls

Synthetic solutions in the number and with the steps of VisualProcessBench (2,866 solutions, 26,950
steps) pass through each experiment in the configured number of shards, with an engine that replies
at once. The reference implementation hands every request to its engine in a call of its own, one
after the other; here a shard submits waves, and pays for distinct requests alone.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from evpv_prm.ablation_requests import cases, judge_cases
from evpv_prm.ablations import SUITE
from evpv_prm.config import Config
from evpv_prm.config_step_level import ConstraintCorruption, StepJudging
from evpv_prm.constraint_corruption_ablation import judge_corruptions
from evpv_prm.data.step_records import StepRecord
from evpv_prm.engine.base import Reply, Request, Result
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.step_judging import Solution, load_solutions

SOLUTIONS, STEPS = 2866, 26950
SEED = 1


@dataclass
class CountingEngine:
    """Captions every image with a few facts, holds every step for right, and counts its calls."""

    calls: int = 0
    identity: Mapping[str, Any] = field(default_factory=lambda: {"engine": "counting"})

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Result]]:
        self.calls += 1
        for index, request in enumerate(requests):
            yield index, Reply(caption(index) if request.stage == "caption" else "1")

    def close(self) -> None: ...


def caption(number: int) -> str:
    draw = random.Random(number)
    facts = [f"side {name} is {draw.randint(1, 99)} cm" for name in "abcdefgh"]
    kept = facts[: draw.randint(3, 8)]
    return json.dumps({"caption": "Two figures.", "key_facts": kept, "uncertain": []})


def make_solutions(folder: Path, count: int, steps: int) -> list[Solution]:
    """Make labelled solutions of different questions, whose steps are spread evenly."""
    Pillow.new("RGB", (28, 28), "white").save(folder / "picture.png")
    records = []
    for number in range(count):
        own = range(steps * number // count, steps * (number + 1) // count)
        texts = [f"Step {n} of {number}." for n in own]
        records.append(
            StepRecord.model_validate(
                {
                    "pid": f"s{number}",
                    "image": ["picture.png"],
                    "question": f"Question {number}?",
                    "response": {"steps": texts, "process_correctness": [1] * len(texts)},
                    "policy_model": "policy",
                    "data_source": "source",
                }
            )
        )
    return load_solutions(records, folder)


def corrupt(solutions: Sequence[Solution], engine: StoredEngine) -> None:
    judge_corruptions(solutions, engine, StepJudging(), ConstraintCorruption().ratios, SEED)


def ablate(solutions: Sequence[Solution], engine: StoredEngine) -> None:
    judge_cases(cases(solutions, SUITE, [SEED]), engine, StepJudging())


@dataclass(frozen=True)
class Experiment:
    """What the reference implementation calls for so many solutions and steps, and ours."""

    reference: Callable[[int, int], int]
    passes: str
    run: Callable[[Sequence[Solution], StoredEngine], None]


EXPERIMENTS = {
    "constraint corruption": Experiment(
        lambda solutions, steps: solutions + 13 * steps, "13, here also without image", corrupt
    ),
    # Of the reference's 30 configurations, 27 make captions.
    "ablations": Experiment(
        lambda solutions, steps: 27 * solutions + 30 * steps,
        f"30, here {len(SUITE)} that differ, a control among them",
        ablate,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--solutions", type=int, default=SOLUTIONS, help="default: %(default)s")
    parser.add_argument("--shards", type=int, default=Config().shards, help="default: %(default)s")
    arguments = parser.parse_args()
    count, shards = arguments.solutions, arguments.shards
    steps = STEPS * count // SOLUTIONS
    print(f"{count:,} solutions, {steps:,} steps, {shards} shards")
    for name, experiment in EXPERIMENTS.items():
        starts = calls = requests = distinct = paid = 0
        with tempfile.TemporaryDirectory() as folder:
            solutions = make_solutions(Path(folder), count, steps)
            for shard in range(shards):
                engine = CountingEngine()
                store = ResponseStore(Path(folder) / "store" / str(shard), engine.identity)
                with StoredEngine(store, lambda engine=engine: engine) as stored:
                    experiment.run(solutions[shard::shards], stored)
                starts += engine.calls > 0
                calls += engine.calls
                requests += stored.statistics.requested
                distinct += stored.statistics.distinct
                paid += stored.statistics.paid
        reference = experiment.reference(count, steps)
        print(f"{name} ({experiment.passes})")
        print(f"  the reference implementation: {reference:,} calls of one request")
        print(f"  here: {starts} engines, {calls:,} calls, {requests:,} requests")
        print(f"  {distinct:,} distinct, {paid:,} paid, {paid / distinct:.2f} times as many")


if __name__ == "__main__":
    main()
