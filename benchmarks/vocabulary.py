"""What the published vocabulary costs a tiny verifier in vLLM, against the trimmed one.

    python -m benchmarks.vocabulary

The trained verifier judges the steps of synthetic solutions, expanded (152 thousand rows) and
trimmed (those of tokens that occur). Prints the judgements a second without loading the model,
their ratio, and how many replies are the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from evpv_prm.config import Model, VllmOptions
from evpv_prm.config_judge import JudgeReply
from evpv_prm.config_step_level import StepJudging
from evpv_prm.data.step_records import read_step_records
from evpv_prm.diagrams import expand_weights, make_world, trim_vocabulary
from evpv_prm.engine.base import Reply, Request
from evpv_prm.engine.vllm import VllmEngine
from evpv_prm.step_judging import judge_group, load_solutions, view

SEED = 1


def requests(folder: Path, solutions: int) -> list[Request]:
    """Return requests for judgements of a world's labelled steps, from the pictures alone."""
    make_world.main(["--output", str(folder), "--solutions", str(solutions), "--seed", str(SEED)])
    records = list(read_step_records(folder / "visualprocessbench.jsonl"))
    judge = view(StepJudging(), JudgeReply(judge_form="evidence_then_verdict"))
    loaded = load_solutions(records, folder / "images")
    return [one for solution in loaded for one in judge_group(solution, None, judge, SEED)]


def answer(directory: Path, asked: Sequence[Request]) -> tuple[list[str], float]:
    """Return the replies of a model and the seconds that it took, after one to warm up."""
    options = VllmOptions(dtype="float32", max_model_len=1024, enforce_eager=True)
    engine = VllmEngine(Model(model=str(directory), concurrency=128, vllm=options))
    try:
        list(engine.generate(asked[:1]))
        start = time.perf_counter()
        found = dict(engine.generate(asked))
        seconds = time.perf_counter() - start
    finally:
        engine.close()
    replies = [found[index] for index in range(len(asked))]
    return [reply.text if isinstance(reply, Reply) else reply.kind for reply in replies], seconds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--solutions", type=int, default=60, help="solutions to judge")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = requests(folder / "world", arguments.solutions)
        expanded, trimmed = folder / "expanded", folder / "trimmed"
        expand_weights.main(["--model", "verifier", "--output", str(expanded)])
        trim_vocabulary.main(["--model", str(expanded), "--output", str(trimmed)])
        (whole, slow), (short, fast) = (answer(each, asked) for each in (expanded, trimmed))
    same = sum(one == other for one, other in zip(whole, short, strict=True))
    print(f"expanded {len(asked) / slow:8.1f} judgements/s")
    print(f"trimmed  {len(asked) / fast:8.1f} judgements/s, {slow / fast:.1f} times as many")
    print(f"{same} of {len(asked)} replies are the same")


if __name__ == "__main__":
    main()
