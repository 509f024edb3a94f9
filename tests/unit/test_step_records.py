"""Labelled solutions: how they are read, named and refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from evpv_prm.data.images import load_images
from evpv_prm.data.step_records import JudgedRecord, read_step_records, scan_step_records
from evpv_prm.engine.base import Failure
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import write_rows
from tests.stages import labelled

REAL = Path(os.environ.get("EVPV_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
REAL_FILE = REAL / "visualprocessbench/vpb_samples.jsonl"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "v.jsonl"


def pids(file: Path, *rows: dict[str, Any], limit: int | None = None) -> list[str]:
    write_rows(file, rows)
    return [record.pid for record in read_step_records(file, limit)]


def test_a_record_without_a_name_gets_one_from_its_content(file: Path) -> None:
    first = labelled("s")
    found = pids(file, first, {**first, "policy_model": "other"}, {**first, "question": "Other?"})
    assert len(set(found)) == 3
    assert all(pid.startswith("D-") and len(pid) == len("D-") + 12 for pid in found)
    assert pids(file, first, {**first, "answer": "B"}) == [found[0], f"{found[0]}-2"]


def test_a_records_own_name_is_kept(file: Path) -> None:
    assert pids(file, labelled("s", pid="a"), labelled("s", id=7)) == ["a", "7"]


def test_names_do_not_depend_on_the_limit(file: Path) -> None:
    rows = [labelled("s"), labelled("s"), labelled("t")]
    assert pids(file, *rows, limit=2) == pids(file, *rows)[:2]


def test_blank_lines_are_no_records(file: Path) -> None:
    """Regression: a blank line shifted what a rerun took for done."""
    write_rows(file, [labelled("s"), labelled("t")])
    one, two = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"\n" + one + b"   \n\n" + two)
    assert [record.steps for record in read_step_records(file)] == [["s"], ["t"]]


RESPONSE = {"steps": ["s", "t"], "process_correctness": [1, -1]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"pid": "same"}, "v.jsonl:2: pid: 'same' is already on line 1"),
        ({"question": ""}, "v.jsonl:2: question: String should have at least 1 character"),
        ({"image": []}, "v.jsonl:2: image: expected a path or a list of paths"),
        ({"image": ["a", 3]}, "v.jsonl:2: image: expected a path or a list of paths"),
        ({"data_source": None}, "v.jsonl:2: data_source: Input should be a valid string"),
        ({"response": None}, "v.jsonl:2: response: "),
        ({"response": {"steps": ["s"]}}, "v.jsonl:2: response.process_correctness: Field required"),
        (
            {"response": {**RESPONSE, "process_correctness": [1]}},
            "v.jsonl:2: response: expected one label a step, found 1 for 2 steps",
        ),
        (
            {"response": {**RESPONSE, "process_correctness": [1, 2]}},
            "v.jsonl:2: response.process_correctness.1: Input should be 1, 0 or -1",
        ),
        (
            {"response": {**RESPONSE, "steps": ["s", None]}},
            "v.jsonl:2: response.steps.1: Input should be a valid string",
        ),
    ],
)
def test_a_bad_record_is_named(row: dict[str, Any], message: str, file: Path) -> None:
    write_rows(file, [labelled("s", pid="same"), labelled("t", **{"pid": "other", **row})])
    with pytest.raises(InputError) as caught:
        read_step_records(file)
    assert message in str(caught.value)


def test_all_problems_of_a_file_are_found(file: Path) -> None:
    write_rows(file, [labelled("s"), labelled("t", question=None), labelled("u")])
    file.write_text(f"{file.read_text()}{{\n[]\n")
    found = scan_step_records(file)
    assert [line for line, _ in found.records] == [1, 3]
    assert [problem.line for problem in found.problems] == [2, 4, 5]


def test_a_limit_takes_at_least_one(file: Path) -> None:
    write_rows(file, [labelled("s")])
    with pytest.raises(UserError, match="limit: expected at least 1 record, found 0"):
        read_step_records(file, 0)


@pytest.mark.parametrize(
    "name", ["step_predict", "step_probabilities", "visual_dependencies", "final_step_scores"]
)
def test_a_judgement_has_one_entry_a_step(name: str) -> None:
    row = {
        **labelled("s", "t", pid="p"),
        "step_predict": [1, None],
        "step_probabilities": [0.5, None],
        "failures": [],
    }
    JudgedRecord.model_validate(row)
    with pytest.raises(ValueError, match=f"{name}: expected one entry a step, found 1 for 2"):
        JudgedRecord.model_validate({**row, name: [None]})


# The real file's records


@pytest.fixture
def real() -> Path:
    if not REAL_FILE.is_file():
        pytest.skip(f"no records of VisualProcessBench under {REAL}; set EVPV_REAL_DATA")
    return REAL_FILE


def test_real_records_are_read_as_they_are(real: Path) -> None:
    records = read_step_records(real)
    assert [record.data_source for record in records] == [
        "MathVision_MINI",
        "MathVision_MINI",
        "MMMU_DEV_VAL",
        "MathVerse_MINI_Vision_Only",
    ]
    assert [len(record.steps) for record in records] == [6, 5, 8, 6]
    assert records[2].response.process_correctness == [1, 1, 1, 1, -1, 0, -1, -1]
    assert records[0].images == ("images/MathVision_MINI/15.png",)
    assert len({record.pid for record in records}) == 4


def test_real_image_paths_are_found_below_the_image_folder(real: Path) -> None:
    loaded = [load_images(real.parent / "images", r.images) for r in read_step_records(real)]
    assert [isinstance(images, Failure) for images in loaded] == [False, False, True, True]
    assert {images.kind for images in loaded if isinstance(images, Failure)} == {"missing_image"}
