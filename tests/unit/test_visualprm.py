"""Reading VisualPRM400K: both formats, and which subset a file belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evpv_prm.data.visualprm import (
    find_annotations,
    normalise_question,
    parse_process,
    read_process,
    subset_name,
)
from evpv_prm.errors import InputError, UserError

FOLDERS = ["Geo170K", "GeometryData", "TabMWP", "UniGeo", "GeomVerse", "GEOS", "MAVIS-Geometry"]


def conversation(*turns: tuple[str, str], image: Any = "1.png") -> dict[str, Any]:
    return {"image": image, "conversations": [{"from": who, "value": text} for who, text in turns]}


OPENING = "### Question:\nWhat is x?\n\n### Solution Process:\nThe angle is 40."


def test_multi_turn_records_keep_all_steps_and_labels() -> None:
    """Regression: the first label stood for the whole solution, and later steps were lost."""
    row = conversation(
        ("system", "You judge."),
        ("human", OPENING), ("gpt", "+"), ("human", "x is 50."), ("gpt", "-"),
        ("human", "So x = 50."), ("gpt", "+"),
    )  # fmt: skip
    process = read_process("f.jsonl", 1, row)
    assert process.question == "What is x?"
    assert process.steps == ("The angle is 40.", "x is 50.", "So x = 50.")
    assert process.labels == (True, False, True)
    assert not process.is_right


@pytest.mark.parametrize(("label", "is_right"), [("+", True), ("-", False)])
def test_one_judgement_of_a_whole_solution_without_system_turn(label: str, is_right: bool) -> None:
    process = read_process("f.jsonl", 1, conversation(("human", OPENING), ("gpt", label)))
    assert process.steps == ("The angle is 40.",)
    assert process.is_right is is_right


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([0.5, 0.0625], (True, True)), ([1, 0], (True, False)), ([0.0], (False,))],
)
def test_steps_with_score_are_right_above_zero(scores: list[float], labels: tuple[bool]) -> None:
    steps = [{"step": f" step {n}", "score": score} for n, score in enumerate(scores)]
    row = {"image": "1.png", "question": "Hint. What is x?", "question_orig": "What is x?"}
    process = read_process("f.jsonl", 1, row | {"steps_with_score": steps})
    assert process.labels == labels
    assert process.steps[0] == "step 0"
    assert process.question == "What is x?"


def test_question_of_a_scored_record_without_the_original() -> None:
    row = {"image": "1.png", "question": "Q?", "steps_with_score": [{"step": "s", "score": 1}]}
    assert read_process("f.jsonl", 1, row).question == "Q?"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "f.jsonl:7: object missing required field `image`"),
        (conversation(image=["a", "b"]), "image: expected `str`, got `array`"),
        (conversation(image=" "), "image: expected a path, found a blank text"),
        ({"image": "1.png"}, "expected `conversations`, or at least one step"),
        ({"image": "1.png", "conversations": "+"}, "conversations: expected `array | null`"),
        (
            {"image": "1.png", "conversations": [{"from": "human"}]},
            "conversations.0: object missing required field `value`",
        ),
        (conversation(("human", OPENING), ("bot", "+")), "conversations.1.from: invalid value"),
        (conversation(), "conversations: expected human and gpt by turns"),
        (conversation(("human", OPENING)), "conversations: expected human and gpt by turns"),
        (conversation(("gpt", "+"), ("human", OPENING)), "expected human and gpt by turns"),
        (conversation(("human", OPENING), ("gpt", "0")), 'conversations.1.value: expected "+"'),
        (conversation(("human", "no marks"), ("gpt", "+")), "expected a question as"),
        ({"image": "1.png", "question": "Q", "steps_with_score": []}, "at least one step"),
        ({"image": "1.png", "steps_with_score": [{"step": "s", "score": 1}]}, "question: expected"),
        (
            {"image": "1.png", "question": "Q", "steps_with_score": [{"step": "s", "score": True}]},
            "steps_with_score.0.score: expected `float`, got `bool`",
        ),
    ],
)
def test_malformed_records_name_the_field(row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=r"^f\.jsonl:7: ") as caught:
        read_process("f.jsonl", 7, row)
    assert message in str(caught.value)
    with pytest.raises(InputError) as again:
        parse_process("f.jsonl", 7, json.dumps(row).encode())
    assert message in str(again.value)


@pytest.mark.parametrize("line", [b"{", b"", b'{"id": "\xff", "image": "1.png"}'])
def test_lines_that_are_not_json(line: bytes) -> None:
    with pytest.raises(InputError, match=r"^f\.jsonl:7: not valid JSON"):
        parse_process("f.jsonl", 7, line)


def test_a_line_and_its_object_read_the_same() -> None:
    row = conversation(("human", OPENING), ("gpt", "+"), ("human", "é"), ("gpt", "-"))
    line = json.dumps(row, ensure_ascii=False).encode()
    assert parse_process("f.jsonl", 1, line) == read_process("f.jsonl", 1, row)


def test_questions_are_compared_without_white_space() -> None:
    assert normalise_question(" What\n is  x? ") == normalise_question("What is x?")
    assert normalise_question("e\u0301") == normalise_question("\u00e9")
    assert normalise_question("AB") != normalise_question("ab")


@pytest.mark.parametrize(
    ("file", "subset"),
    [
        ("geomverse_extracted_prm_process.jsonl", "GeomVerse"),
        ("geomverse_extracted_pairs_vqa_correctness_rules.jsonl", "GeomVerse"),
        ("geos_en_20240402_extracted_prm_process.jsonl", "GEOS"),
        ("mavis_geometry_prm.jsonl", "MAVIS-Geometry"),
        ("UniGeo_calc_en_20240402.jsonl", "UniGeo"),
        ("tabmwp.jsonl", "TabMWP"),
        ("geosx_prm.jsonl", "geosx"),
        ("geometry3k_en_20240402_extracted_prm_process.jsonl", "GeometryData"),
        ("new_source_en_20240402_extracted_prm_process.jsonl", "new_source"),
        ("new-source_prm_process.jsonl", "new-source"),
        ("premium.jsonl", "premium"),
    ],
)
def test_subset_of_a_file(file: str, subset: str) -> None:
    assert subset_name(file, FOLDERS, {"geometry3k_*": "GeometryData"}) == subset


def test_the_longest_folder_wins_and_a_pattern_wins_over_it() -> None:
    assert subset_name("mavis_geometry.jsonl", ["MAVIS", "MAVIS-Geometry"], {}) == "MAVIS-Geometry"
    assert subset_name("mavis_geometry.jsonl", ["MAVIS"], {"*_geometry*": "Other"}) == "Other"


def test_annotation_files_are_found_below_the_folder(tmp_path: Path) -> None:
    for name in ("b/geos_prm.jsonl", "a/geos_prm.jsonl", "tabmwp.jsonl", "notes.txt", ".x.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert find_annotations(tmp_path, FOLDERS, {}) == {
        "GEOS": [tmp_path / "a/geos_prm.jsonl", tmp_path / "b/geos_prm.jsonl"],
        "TabMWP": [tmp_path / "tabmwp.jsonl"],
    }


def test_no_annotation_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found none"):
        find_annotations(tmp_path, [], {})
    with pytest.raises(UserError, match="expected a folder"):
        find_annotations(tmp_path / "absent", [], {})
