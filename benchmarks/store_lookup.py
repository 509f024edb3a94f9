"""Time to index and look up stored replies, as a ratio to plainly parsing the same lines.

Run: python -m benchmarks.store_lookup [--replies N]
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from evpv_prm.engine.base import Reply, Usage
from evpv_prm.engine.store import ResponseStore

IDENTITY = {"engine": "benchmark"}
REPLY = Reply(
    '{"reason": "' + "The angle at B is given as 40 degrees in the figure. " * 6 + '", "score": 1}',
    [{"1": -0.25, "0": -1.5, "-": -7.0, " 1": -9.0, "\n": -11.0}],
    Usage(1200, 1024, 90),
)


def timed(action: Callable[[], int]) -> tuple[float, int]:
    begun = time.perf_counter()
    found = action()
    return time.perf_counter() - begun, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replies", type=int, default=100_000, help="stored replies (%(default)s)")
    parser.add_argument("--segments", type=int, default=20, help="files (%(default)s)")
    options = parser.parse_args()
    keys = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(options.replies)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in range(options.segments):
            with ResponseStore(folder, IDENTITY) as store:
                for key in keys[part :: options.segments]:
                    store.put(key, REPLY)

        def parse() -> int:
            paths = store.directory.glob("*.jsonl")
            return sum(
                orjson.loads(line)["k"] is not None for path in paths for line in path.open("rb")
            )

        def index() -> int:
            nonlocal store
            store = ResponseStore(folder, IDENTITY)
            return len(store)

        def look_up() -> int:
            return sum(1 for _ in store.read(keys))

        size = sum(path.stat().st_size for path in store.directory.glob("*.jsonl"))
        parsing, *counts = timed(parse)
        indexing, found = timed(index)
        looking_up, served = timed(look_up)
        assert [*counts, found, served] == [options.replies] * 3
    total = indexing + looking_up
    print(f"{options.replies} replies, {size / 1e6:.0f} MB in {options.segments} segments")
    print(f"read and parse {parsing:.2f} s; index {indexing:.2f} s; look up {looking_up:.2f} s")
    print(f"index + look up: {total:.2f} s, {total / parsing:.1f} times the parsing")


if __name__ == "__main__":
    main()
