from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from evpv_prm import check_leakage
from evpv_prm.data.leakage import pixel_digest, text_digest
from evpv_prm.jsonl import write_rows
from tests.teacher import command, picture, solution, write_pairs


def noisy(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.effect_noise((16, 16), 90 + seed).convert("RGB").save(path)


@pytest.mark.parametrize("name", ["a.bmp", "a.webp", "a.gif", "palette.png", "a.jpg"])
def test_pixels_count_and_not_the_file(tmp_path: Path, name: str) -> None:
    noisy(tmp_path / "original.png", 0)
    with Pillow.open(tmp_path / "original.png") as image:
        few = image.quantize(16)
        few.convert("RGB").save(tmp_path / "few.png")
        options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
        copied = few if name in ("palette.png", "a.gif") else few.convert("RGB")
        copied.save(tmp_path / name, **options)
    is_same = pixel_digest(tmp_path / name) == pixel_digest(tmp_path / "few.png")
    assert is_same == (name != "a.jpg")
    assert pixel_digest(tmp_path / name) != pixel_digest(tmp_path / "original.png")


def test_size_is_part_of_the_pixels(tmp_path: Path) -> None:
    picture(tmp_path / "wide.png", "red", (8, 2))
    picture(tmp_path / "tall.png", "red", (2, 8))
    assert pixel_digest(tmp_path / "wide.png") != pixel_digest(tmp_path / "tall.png")
    (tmp_path / "broken.png").write_bytes(b"none")
    assert pixel_digest(tmp_path / "broken.png") is None


def test_texts_are_the_same_but_for_case_markers_and_punctuation() -> None:
    same = ["What is ∠ABC?", "<image>\nwhat is  ∠abc", "What is $∠ABC$ ?", "Ｗhat is ∠ABC？"]
    assert len({text_digest(text) for text in same}) == 1
    assert len({text_digest(text) for text in ("x+1", "x-1", "x<1", "x=1")}) == 4


def test_planted_duplicates_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, benchmark = tmp_path / "pairs", tmp_path / "benchmark"
    for number in range(4):
        noisy(root / f"A/image/{number}.png", number)
    benchmark.mkdir()
    with Pillow.open(root / "A/image/1.png") as image:
        image.save(benchmark / "copy.bmp")
    (root / "A/image/1.png").rename(tmp_path / "linked.png")
    (root / "A/image/1.png").symlink_to(tmp_path / "linked.png")
    noisy(benchmark / "own.png", 50)
    noisy(benchmark / "other.png", 60)
    pairs = write_pairs(
        root, [solution(f"A/image/{n}.png", f"Question {n}?", ["1"], "+") for n in range(4)]
    )
    asked = [
        ("copied", "copy.bmp", "Something else?"),
        ("retold", "own.png", "question 2"),
        ("both", ["other.png", "copy.bmp"], "Question 3?"),
        ("new", "other.png", "Never asked?"),
        ("lost", "missing.png", "Not asked either?"),
    ]
    names = ("pid", "image", "question", "answer", "datasource")
    questions = tmp_path / "questions.jsonl"
    rows = (dict(zip(names, (*each, "1", "B"), strict=True)) for each in asked)
    write_rows(questions, rows)
    output = tmp_path / "leakage.json"
    words = ["--pairs", *pairs, "--images", root, "--output", output, "--workers", 1]
    assert command(check_leakage.main, *words, "--benchmark", "B", questions, benchmark) == 0
    report = json.loads(output.read_text())
    assert report["training"]["images"] == 4
    found = report["benchmarks"]["B"]
    assert {leak["pid"]: (leak["image"], leak["question"]) for leak in found["leaks"]} == {
        "copied": ("A/image/1.png", None),
        "retold": (None, "A/image/2.png"),
        "both": ("A/image/1.png", "A/image/3.png"),
    }
    counts = {k: v for k, v in found.items() if isinstance(v, int)}
    assert counts == {
        "questions": 5,
        "same_image": 2,
        "same_question": 2,
        "same_image_and_question": 1,
        "questions_with_unreadable_images": 1,
    }
    assert "B: of 5 questions 2 share an image" in capsys.readouterr().out
