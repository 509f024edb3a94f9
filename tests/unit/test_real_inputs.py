"""The published benchmark files, where they are at hand (EVPV_REAL_DATA names their folder)."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path

import orjson
import pytest

from evpv_prm.cli import run
from evpv_prm.data.images import load_images
from evpv_prm.data.questions import read_questions
from evpv_prm.engine.base import IMAGE
from evpv_prm.markers import markers_beyond, name_images, place_images
from evpv_prm.validate_inputs import main

DATA = Path(
    os.environ.get("EVPV_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")
).resolve()
BENCHMARKS = DATA / "benchmarks" / "benchmarks.jsonl"
MMMU = DATA / "benchmarks" / "mmmu.jsonl"
PROCESSBENCH = DATA / "visualprocessbench"
IMAGES = DATA / "benchmarks" / "images"

SIZES = {
    "LogicVista": 447,
    "MathVerse-VO": 3_940,
    "MathVision": 3_040,
    "MathVista": 1_000,
    "WeMath": 1_740,
    "MMMU": 900,
}

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.exists(), reason=f"no benchmark files in {DATA}; set EVPV_REAL_DATA"
)


@pytest.fixture(scope="module")
def questions():
    return read_questions(BENCHMARKS) + read_questions(MMMU)


def test_no_question_is_lost_and_every_pid_is_unique(questions):
    """Regression: with the image as identity, 1,576 of 10,167 questions were skipped as done."""
    assert Counter(question.datasource for question in questions) == SIZES
    assert len({question.pid for question in questions}) == 11_067
    single = [question for question in questions if question.datasource != "MMMU"]
    assert len({question.images for question in single}) == 8_591


def test_pids_are_pinned(questions):
    """Stores, shards and published files refer to pids: they must never change."""
    pids = [question.pid for question in questions]
    assert pids[0] == "LogicVista-eb6ced1554af"
    digest = hashlib.sha256("\n".join(pids).encode()).hexdigest()
    assert digest == "480b77d972dc60cf8ea12b646922c3f8d2e600163876d2a8cac6be93b9cf6ea9"


def test_a_selection_has_the_pids_of_the_whole(questions):
    for name, size in SIZES.items():
        path = MMMU if name == "MMMU" else BENCHMARKS
        whole = [question for question in questions if question.datasource == name]
        assert read_questions(path, name) == whole
        assert read_questions(path, name, 100) == whole[:100]
        assert len(whole) == size


def test_all_images_of_logicvista_are_sound(questions):
    for question in questions[: SIZES["LogicVista"]]:
        assert isinstance(load_images(IMAGES, question.images), list)


def test_every_image_of_every_question_is_placed_once(questions):
    panels = 0
    for question in questions:
        count = len(question.images)
        parts, order = place_images(question.question, count)
        texts = [part["text"] for part in parts if part != IMAGE]
        assert sorted(order) == list(range(count))
        assert not any("<image" in text for text in [*texts, name_images(question.question, count)])
        panels += bool(markers_beyond(question.question, count))
    assert panels == 339


def test_images_of_processbench_are_found_from_either_folder():
    record = orjson.loads((PROCESSBENCH / "vpb_samples.jsonl").read_bytes().splitlines()[0])
    for root in (PROCESSBENCH, PROCESSBENCH / "images"):
        assert isinstance(load_images(root, record["image"]), list)
    assert "<image" not in name_images(record["question"], 1)


def test_the_report_says_what_the_files_say(tmp_path):
    flags = []
    for name in SIZES:
        path = MMMU if name == "MMMU" else BENCHMARKS
        words = [f"name={name}", f"questions={path}", f"images={IMAGES}", f"datasource={name}"]
        flags += ["--benchmark", *words]
    report = tmp_path / "report.json"
    command = [*flags, "--report", str(report), "--max-missing-images", "1"]
    assert run(lambda: main(command)) == 0
    content = orjson.loads(report.read_bytes())
    found = content["counts"]
    assert found["duplicate"] == 470
    assert found["extra_marker"] == 339
    assert found["missing_image"] == 9_416 + 982
    assert sum(found.values()) == 470 + 339 + 9_416 + 982 + found["broken_answer"]
    without = {
        name: entry["questions_without_image"] for name, entry in content["benchmarks"].items()
    }
    assert without == {**SIZES, "LogicVista": 0, "MathVision": 3_040 - 304}
    broken = [f for f in content["findings"] if f["kind"] == "broken_answer"]
    assert {(f["benchmark"], f["line"]) for f in broken} >= {
        ("MathVerse-VO", 2_113),
        ("MathVision", 7_217),
    }
