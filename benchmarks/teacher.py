"""How busy building training data keeps a slow teacher, and how fast it finds what is stored.

    python -m benchmarks.teacher

A server on loopback takes 200 ms for each reply. Busy is the share of the server's places, as many
as the configured concurrency, that are taken between the first request and the last reply. Then
100,000 stored descriptions are looked up and checked, as a rerun does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image as Pillow

from evpv_prm import prompts
from evpv_prm.config import Model
from evpv_prm.config_teacher import TeacherDecoding
from evpv_prm.engine.api import ApiEngine
from evpv_prm.engine.base import Engine, Failure, Image, Reply, Request
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.parsing import parse_description
from evpv_prm.teacher import ask_until_valid, teacher_request
from tests.servers import Action, Call, ScriptedServer, completion

LATENCY_S = 0.2
REPLY = json.dumps({"question_text": "What?", "image_description": "word " * 150})


def describe_requests(image: Image, number: int) -> list[Request]:
    """Return the requests for the descriptions of one image in view of many questions."""
    return [
        teacher_request(
            "teacher_describe",
            prompts.teacher_describe(f"Question {index}: {'word ' * 80}", max_characters=4000),
            image,
            TeacherDecoding(),
            seed=1,
            key=str(index),
        )
        for index in range(number)
    ]


def serve(pipe: Connection) -> None:
    """Serve until a message comes; send the address first and each reply's time span last."""

    def script(_call: Call, _number: int) -> Action:
        started = time.monotonic()
        time.sleep(LATENCY_S)
        spans.append((started, time.monotonic()))
        return completion(REPLY)

    spans: list[tuple[float, float]] = []
    with ScriptedServer(script) as server:
        pipe.send(server.base_url)
        pipe.recv()
    pipe.send(spans)


def measure_busy(image: Image, folder: Path, concurrency: int, rounds: int) -> None:
    """Print the share of the server's places that is taken."""
    pipe, other_end = get_context("spawn").Pipe()
    server = get_context("spawn").Process(target=serve, args=(other_end,))
    server.start()
    address = pipe.recv()
    model = Model(backend="api", model="teacher", base_url=address, concurrency=concurrency)
    engine = ApiEngine(model)
    requests = describe_requests(image, concurrency * rounds)
    with StoredEngine(ResponseStore(folder, engine.identity), lambda: engine) as stored:
        ask_until_valid(stored, requests, lambda _, text: parse_description(text), 3, "asks")
    pipe.send("stop")
    spans = pipe.recv()
    server.join()
    wall = max(end for _, end in spans) - min(start for start, _ in spans)
    busy = sum(end - start for start, end in spans) / (wall * concurrency)
    print(
        f"{len(spans)} replies of {LATENCY_S} s at concurrency {concurrency}: {wall:.1f} s, "
        f"{100 * busy:.1f} % busy"
    )


def measure_lookup(image: Image, folder: Path, number: int) -> None:
    """Print the time to find and check stored replies."""
    identity = {"engine": "none"}
    requests = describe_requests(image, number)
    with ResponseStore(folder, identity) as store:
        for request in requests:
            store.put(request.key(identity), Reply(REPLY))

    def unneeded() -> Engine:
        raise AssertionError("everything is stored")

    started, used = time.perf_counter(), time.process_time()
    with StoredEngine(ResponseStore(folder, identity), unneeded) as stored:
        found = ask_until_valid(
            stored, requests, lambda _, text: parse_description(text), 3, "asks"
        )
    seconds, core = time.perf_counter() - started, time.process_time() - used
    assert not any(isinstance(outcome, Failure) for outcome in found)
    print(
        f"{number:,} stored replies opened, found and checked: {seconds:.1f} s, "
        f"{core:.1f} s of a core"
    )


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concurrency", type=int, default=32, metavar="N")
    parser.add_argument("--rounds", type=int, default=80, help="requests a place of the server")
    parser.add_argument("--stored", type=int, default=100_000, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Pillow.new("RGB", (448, 448), "white").save(folder / "a.png")
        image = Image(folder / "a.png")
        measure_busy(image, folder / "busy", arguments.concurrency, arguments.rounds)
        measure_lookup(image, folder / "lookup", arguments.stored)


if __name__ == "__main__":
    main()
