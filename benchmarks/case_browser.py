"""Time and memory of the case browser: building it, opening it, filtering, in headless Chromium.

    python -m benchmarks.case_browser

Writes synthetic scored questions (11,000 with 8 candidates of 6 steps each) and their images, half
of them small enough to be shown as they are, builds the case browser on two cores with the commands
that the rules run, each in a process of its own, and opens it from disk. `first page` is the time
from the address to the first rows in sight, `filter` that from a change of a filter to the next
frame with the new rows, once the whole index is read. Memory is the sum of the proportional set
sizes of a command's processes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

from evpv_prm.jsonl import write_rows
from evpv_prm.reward import checklist, gate

CANDIDATES, STEPS, CORES = 8, 6, 2
BENCHMARKS = ("Algebra", "Charts", "Geometry", "Puzzles", "Sciences")
FACTS = ("side AB is 6 cm", "the angle at C is right", "bar X reads 12", "the circle touches DE")
FILTERS = (
    ("filter-gate", "better"), ("filter-choice", "wrong"), ("filter-p", "0.3"), ("filter-gate", ""),
    ("filter-source", "Charts"), ("filter-sort", "reliability"), ("filter-choice", ""),
    ("filter-source", ""), ("filter-aggregation", "streak_score"), ("filter-p", ""),
    ("filter-failure", "some"), ("filter-failure", ""), ("filter-q", "7"), ("filter-q", "angle 10"),
)  # fmt: skip


def rows(questions: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(questions):
        row = {
            "pid": f"question-{number}",
            "question": "The picture shows a figure with labels. " * 5 + f"What is angle {number}?",
            "answer": str(number % 7),
            "image": f"{number}.png",
            "datasource": BENCHMARKS[number % len(BENCHMARKS)],
        }
        for place in range(1, CANDIDATES + 1):
            row[f"vlmresponse{place}"] = candidate(str(rng.randrange(7)), rng)
        yield row


def candidate(answer: str, rng: random.Random) -> dict[str, Any]:
    steps = [
        {
            "steptext": f"Step {index}: as the figure shows, the lengths add up to {answer}. " * 3,
            "visualdependency": rng.choice(FACTS) if index % 2 else None,
        }
        for index in range(STEPS)
    ]
    text, visual = checklist([step["visualdependency"] for step in steps])
    raw = rng.choices([1, -1], weights=[4, 1], k=STEPS)
    reliability = rng.choice([1.0, 0.8, 0.5, 0.3, 0.0])
    error = {
        "faulty_statement": rng.choice(FACTS),
        "correction_or_reason": "The description says otherwise. " * 3,
        "severity": "High",
    }
    evaluation = {
        "image_description": "A figure with lengths, angles and labels. " * 15,
        "visual_checklist": text,
        "visual_step_indices": visual,
        "visual_checklist_evaluation": {"errors_and_hallucinations": [error], "omissions": []},
        "local_p_score": reliability,
        "raw_step_scores": raw,
        "final_step_scores": gate(raw, visual, reliability),
        "step_probabilities": [rng.random() for _ in range(STEPS)],
        "failures": ["judge[1]:timeout"] if rng.random() < 0.01 else [],
    }
    return {"reasoningprocess": steps, "finalanswer": answer, "eval": evaluation}


def draw(folder: Path, questions: int, rng: random.Random) -> None:
    """Draw an image a question, 500 × 400 and 1200 × 900 in turns, some 50 KB each."""
    folder.mkdir()
    grain = Image.frombytes("RGB", (120, 120), rng.randbytes(3 * 120 * 120))
    for number in range(questions):
        size = (1200, 900) if number % 2 else (500, 400)
        image = Image.new("RGB", size, "white")
        pen = ImageDraw.Draw(image)
        pen.polygon([(rng.randrange(size[0]), rng.randrange(size[1])) for _ in range(5)], "gray")
        pen.text((20, 20), str(number), fill="black")
        image.paste(grain, (40, 40))
        image.save(folder / f"{number}.png", compress_level=1)


def run(*words: object) -> tuple[float, float, float]:
    """Run a part of the viewer; return its seconds, those of the processors, and its peak MiB."""
    start, before = time.perf_counter(), processor_seconds()
    command = [sys.executable, "-m", "evpv_prm.viewer", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.2)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - start, processor_seconds() - before, peak / 2**20


def processor_seconds() -> float:
    """Return what all finished children have used so far."""
    times = os.times()
    return times.children_user + times.children_system


def memory(pid: int) -> int:
    """Return the bytes of a process and its children, what they share counted once."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for each in (parent, *parent.children(recursive=True)):
            total += each.memory_full_info().pss
    except psutil.Error:  # one of them has just ended
        pass
    return total


def opening(page: Page, address: str) -> float:
    """Return the seconds until the first rows are in sight."""
    page.goto("about:blank")
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("a.row")
    return time.perf_counter() - start


CHANGE = """([id, value]) => new Promise((resolve) => {
  const start = performance.now();
  const control = document.getElementById(id);
  control.value = value;
  control.dispatchEvent(new Event(control.tagName === "INPUT" ? "input" : "change"));
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
})"""


def browse(page_file: Path, repetitions: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page()
        address = page_file.as_uri()
        first = [opening(page, address) for _ in range(repetitions)]
        start = time.perf_counter()
        page.get_by_text("read so far").wait_for(state="hidden")
        rest = time.perf_counter() - start
        filters = [page.evaluate(CHANGE, list(change)) for change in FILTERS * repetitions]
        one_case = []
        for number in range(repetitions):
            start = time.perf_counter()
            page.goto(f"{address}#/candidates/P/question-{1000 * number + 999}")
            page.wait_for_selector(f"h2:has-text('question-{1000 * number + 999}')")
            one_case.append(time.perf_counter() - start)
        browser.close()
    show("first page", first, "s")
    print(f"whole index read after another {rest:.2f} s")
    show("filter", filters, "ms")
    show("opening a case", one_case, "s")


def show(name: str, values: list[float], unit: str) -> None:
    median, worst = statistics.median(values), max(values)
    print(f"{name}: median {median:.3g} {unit}, longest {worst:.3g} {unit}, {len(values)} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=11_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_rows(folder / "scored.jsonl", rows(arguments.questions, rng))
        draw(folder / "images", arguments.questions, rng)
        size = (folder / "scored.jsonl").stat().st_size / 2**20
        weight = sum(file.stat().st_size for file in (folder / "images").iterdir()) / 2**20
        print(
            f"input: {arguments.questions:,} questions x {CANDIDATES} candidates x {STEPS} steps, "
            f"{size:.0f} MiB; images {weight:.0f} MiB; {CORES} cores",
            flush=True,
        )
        scored, cases = folder / "scored.jsonl", folder / "cases"
        parts = {
            "pictures": ["images", "--name", "B", "--records", scored, "--images",
                         folder / "images", "--folder", cases],
            "cases": ["candidates", "--policy", "P", "--scored", f"B={scored}", "--folder", cases],
            "page": ["page", "--collections", "candidates/P", "--folder", cases],
        }  # fmt: skip
        total = 0.0
        for name, words in parts.items():
            seconds, processor, peak = run(*words)
            total += seconds
            print(
                f"{name}: {seconds:.1f} s (processor {processor:.1f} s), "
                f"peak memory {peak:.0f} MiB",
                flush=True,
            )
        print(f"built in {total:.1f} s; load average {os.getloadavg()[0]:.1f}", flush=True)
        browse(cases / "index.html", arguments.repetitions)


if __name__ == "__main__":
    main()
