"""Time and memory of the pair extraction, against reading and parsing the same lines with orjson.

    python -m benchmarks.extract_pairs [--gigabytes X]

Writes synthetic annotations in the conversation format: 6 solutions a question, about half of them
right, shuffled over 3 files. The extraction runs as its own command in a process of its own.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

FILES = ("geos_extracted_prm_process", "geos_extracted_correctness_rules", "geos_prm")
IMAGES, SOLUTIONS = 1000, 6
PROSE = "The segment AB is perpendicular to CD, so the angle at B measures 90° and x = {0}. " * 3
COMMAND = """
import sys
from evpv_prm.data.pairs import main
status = main(sys.argv[1:])
print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(status)
"""


def record(question: int, number: int, rng: random.Random) -> dict[str, Any]:
    opening = f"### Question:\n{PROSE.format(question)}\n\n### Solution Process:\n"
    right = rng.random() < 0.5
    turns = [{"from": "system", "value": "You judge the steps of a solution. " * 8}]
    for step in range(rng.randint(3, 12)):
        text = f"Step {step}: " + PROSE.format(rng.random())
        turns.append({"from": "human", "value": text if step else opening + text})
        turns.append({"from": "gpt", "value": "+"})
    if not right:
        turns[-1]["value"] = "-"
    image = f"{question % IMAGES}.png"
    return {"id": question * SOLUTIONS + number, "image": image, "conversations": turns}


def write_annotations(folder: Path, size: float) -> tuple[int, int]:
    """Write about `size` bytes; return the records and the bytes.

    Blocks of 20,000 shuffled records keep this benchmark's own memory small.
    """
    rng = random.Random(0)
    streams = [(folder / f"{name}.jsonl").open("wb") for name in FILES]
    records = question = written = 0
    while written < size:
        block = []
        while len(block) < 20_000 and written < size:
            for number in range(SOLUTIONS):
                line = orjson.dumps(record(question, number, rng), option=orjson.OPT_APPEND_NEWLINE)
                block.append(line)
                written += len(line)
            question += 1
        rng.shuffle(block)
        records += len(block)
        for line in block:
            rng.choice(streams).write(line)
    for stream in streams:
        stream.close()
    return records, written


def parse(folder: Path) -> int:
    return sum(
        "image" in orjson.loads(line)
        for path in folder.iterdir()
        for line in path.open("rb", buffering=1 << 20)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--gigabytes", type=float, default=1.0, help="size of the annotations (%(default)s)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        annotations, images = root / "annotations", root / "images/GEOS"
        annotations.mkdir()
        images.mkdir(parents=True)
        for number in range(IMAGES):
            (images / f"{number}.png").touch()
        records, size = write_annotations(annotations, options.gigabytes * 1e9)
        parse(annotations)  # both find the files in memory

        begun, used = time.perf_counter(), time.process_time()
        assert parse(annotations) == records
        parsing, parsing_core = time.perf_counter() - begun, time.process_time() - used
        flags = [f"--annotations={annotations}", f"--images={images.parent}"]
        flags.append(f"--output={root / 'out'}")
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *flags], stdout=subprocess.PIPE, text=True, check=True
        )
        seconds = time.perf_counter() - begun
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)  # of the only child
        core = usage.ru_utime + usage.ru_stime
        written = (root / "out/GEOS/swiftdata.jsonl").stat().st_size
    print(f"{records:,} records, {size / 1e9:.2f} GB; {written / 1e9:.2f} GB of them in pairs")
    print(f"read and parse: {parsing:.1f} s, {size / parsing_core / 1e6:.0f} MB/s of a core")
    print(
        f"extract, the whole command: {seconds:.1f} s "
        f"(user {usage.ru_utime:.1f}, system {usage.ru_stime:.1f}), "
        f"{size / core / 1e6:.0f} MB/s of a core, {core / parsing_core:.1f} times the parsing"
    )
    # Not ru_maxrss, which a process inherits from the one that starts it.
    print(f"peak memory of the extraction: {int(done.stdout.split()[-2]) / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
