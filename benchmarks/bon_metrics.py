"""Time and memory of the Best-of-N metrics, against math-verify on every pair of answers.

    python benchmarks/bon_metrics.py

Writes a synthetic scored file over the real benchmark questions (the folder in EVPV_REAL_DATA, as
distributed: benchmarks/benchmarks.jsonl and mmmu.jsonl), 8 candidates of 6 steps each, and runs
`python -m evpv_prm.compute_bon_metrics` on it in a process of its own. The comparison parses and
verifies truth and answer of each pair with math-verify alone, on a random sample of questions,
extrapolated to all of them. It leaves out reading, aggregating and the bootstrap, which the
command's time includes.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from math_verify import parse, verify

from evpv_prm.jsonl import read_rows, write_rows
from evpv_prm.reward import checklist, gate

CANDIDATES, STEPS = 8, 6
LETTER_DRESSES = ("{}", "({})", "**{}**", "{}.", "The answer is {}", "\\boxed{{{}}}")
DRESSES = ("{}", "**{}**", "{}.", "The answer is {}", "\\boxed{{{}}}")


@dataclass(frozen=True)
class Seconds:
    """Time by the clock and of the processors, of this process and its finished children."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Seconds:
        return cls(time.perf_counter(), sum(os.times()[:4]))

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)

    def __mul__(self, factor: float) -> Seconds:
        return Seconds(self.wall * factor, self.cpu * factor)

    def __str__(self) -> str:
        return f"{self.wall:.1f} s (processor {self.cpu:.1f} s)"


def real_questions(folder: Path) -> list[dict[str, Any]]:
    rows = []
    for name in ("benchmarks.jsonl", "mmmu.jsonl"):
        for line, row in read_rows(folder / "benchmarks" / name):
            rows.append({**row, "pid": f"{name}:{line}"})
    return rows


def scored(questions: list[dict[str, Any]], rng: random.Random) -> Iterator[dict[str, Any]]:
    """Yield questions with candidates of which about half are right.

    A wrong answer to a question with an option letter is another letter, and to any other question
    the truth of another one of its datasource.
    """
    answers = defaultdict(set)
    for question in questions:
        if not is_letter(question["answer"]):
            answers[question["datasource"]].add(question["answer"])
    pools = {name: sorted(pool) for name, pool in answers.items()}
    for question in questions:
        truth = question["answer"]
        pool = "ABCDE" if is_letter(truth) else pools[question["datasource"]]
        wrong = rng.choices(pool, k=3)
        responses = {
            f"vlmresponse{number}": candidate(rng.choices([truth, *wrong], [3, 1, 1, 1])[0], rng)
            for number in range(1, CANDIDATES + 1)
        }
        yield question | responses


def is_letter(answer: str) -> bool:
    return len(answer) == 1 and answer in "ABCDEFGHIJ"


def candidate(answer: str, rng: random.Random) -> dict[str, Any]:
    steps = [
        {
            "steptext": f"Step {index}: the figure shows what the question asks about. " * 2,
            "visualdependency": f"fact {rng.randrange(9)} of the figure" if index % 2 else None,
        }
        for index in range(STEPS)
    ]
    text, visual = checklist([step["visualdependency"] for step in steps])
    raw = rng.choices([1, -1], weights=[4, 1], k=STEPS)
    reliability = round(rng.random(), 2)
    evaluation = {
        "image_description": "A figure with lengths, angles and labels. " * 10,
        "visual_checklist": text,
        "visual_step_indices": visual,
        "visual_checklist_evaluation": {"errors_and_hallucinations": [], "p_score": reliability},
        "local_p_score": reliability,
        "raw_step_scores": raw,
        "final_step_scores": gate(raw, visual, reliability),
        "step_probabilities": [rng.random() for _ in range(STEPS)],
        "failures": [],
    }
    answer = rng.choice(LETTER_DRESSES if is_letter(answer) else DRESSES).format(answer)
    return {"reasoningprocess": steps, "finalanswer": answer, "eval": evaluation}


# The peak that the kernel reports for a finished child includes its parent's pages.
MEASURED = """
import sys
from pathlib import Path
from evpv_prm.compute_bon_metrics import main
status = main(sys.argv[1:])
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
sys.exit(status)
"""


def run_command(path: Path) -> tuple[Seconds, float]:
    """Return the command's time, its start included, and its peak memory in MiB."""
    options = ["--scored", str(path), "--output", str(path.with_name("m.json"))]
    before = Seconds.now()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *options], check=True, stdout=subprocess.PIPE, text=True
    )
    return Seconds.now() - before, int(done.stdout.split()[-1]) / 1024


def math_verify_seconds(sample: list[dict[str, Any]]) -> Seconds:
    before = Seconds.now()
    for question in sample:
        for number in range(1, CANDIDATES + 1):
            answer = question[f"vlmresponse{number}"]["finalanswer"]
            verify(parse(question["answer"]), parse(answer))
    return Seconds.now() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=300, help="questions for math-verify")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = os.environ.get("EVPV_REAL_DATA")
    if not folder:
        parser.error("set EVPV_REAL_DATA to the folder that holds benchmarks/benchmarks.jsonl")
    logging.disable(logging.WARNING)  # math-verify reports each text that is no mathematics

    rng = random.Random(arguments.seed)
    rows = list(scored(real_questions(Path(folder)), rng))
    sample = rng.sample(rows, min(arguments.sample, len(rows)))
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "scored.jsonl"
        write_rows(path, rows)
        size = path.stat().st_size / 2**20
        pairs = len(rows) * CANDIDATES
        del rows
        seconds, memory = run_command(path)
    sampled = math_verify_seconds(sample)
    alone = sampled * (pairs / (len(sample) * CANDIDATES))

    print(f"input: {pairs // CANDIDATES} questions x {CANDIDATES} candidates x {STEPS} steps, "
          f"{size:.0f} MiB")  # fmt: skip
    print(f"compute_bon_metrics, the whole command: {seconds}, peak memory {memory:.0f} MiB")
    print(f"math-verify on each pair, extrapolated from {len(sample) * CANDIDATES} pairs: {alone}")
    print(f"ratio: {alone.wall / seconds.wall:.1f} (processor {alone.cpu / seconds.cpu:.1f})")


if __name__ == "__main__":
    main()
