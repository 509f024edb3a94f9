"""Extraction of pairs: against brute force, and what becomes of everything left out."""

from __future__ import annotations

import errno
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evpv_prm.cli import run
from evpv_prm.config_data import PairExtraction
from evpv_prm.data import pairs, process_index
from evpv_prm.data.pairs import PairReport, extract_subset

Row = dict[str, Any]


def solution(image: str, question: str, text: str, labels: str, *, scored: bool = False) -> Row:
    steps = [f"{text} {number}" for number in range(len(labels))]
    if scored:
        scores = [{"step": s, "score": int(c == "+")} for s, c in zip(steps, labels, strict=True)]
        return {"image": image, "question": question, "steps_with_score": scores}
    turns = []
    for number, (step, label) in enumerate(zip(steps, labels, strict=True)):
        opening = f"### Question:\n{question}\n### Solution Process:\n{step}"
        turns.append({"from": "human", "value": opening if number == 0 else step})
        turns.append({"from": "gpt", "value": label})
    return {"id": 1, "image": image, "conversations": turns, "extra": {"kept": [1, None]}}


def write(path: Path, rows: Sequence[Row | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def add_images(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def extract(
    root: Path, files: Sequence[Sequence[Row | str]], **options: Any
) -> tuple[list[Row], PairReport]:
    """Extract from files 0.jsonl, 1.jsonl, … with the images a, b and c."""
    paths = [write(root / f"in/{number}.jsonl", rows) for number, rows in enumerate(files)]
    images = add_images(root / "images", "a", "b", "c")
    report = extract_subset("S", paths, images, root / "out", PairExtraction(**options))
    lines = (root / "out/S/swiftdata.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], report


class Spec(NamedTuple):
    """What `solution` is called with."""

    image: str
    question: str
    text: str
    labels: str
    scored: bool

    def row(self) -> Row:
        return solution(*self[:4], scored=self.scored)


def brute_force(specs: Sequence[Spec], cap: int | None) -> list[Row]:
    """The definition, in memory: rows in order, as they come out."""
    groups: dict[tuple[str, str], dict[tuple[str, str], int]] = defaultdict(dict)
    for number, spec in enumerate(specs):
        key = (spec.image, "".join(spec.question.split()))
        groups[key].setdefault((spec.text, spec.labels), number)
    chosen: list[int] = []
    taken: dict[str, int] = defaultdict(int)
    for (image, _), solutions in groups.items():
        right = [number for (_, labels), number in solutions.items() if "-" not in labels]
        wrong = [number for (_, labels), number in solutions.items() if "-" in labels]
        for pair in zip(right, wrong, strict=False):
            if image != "missing" and (cap is None or taken[image] < cap):
                taken[image] += 1
                chosen += sorted(pair)
    return [specs[n].row() | {"image": f"S/image/{specs[n].image}"} for n in chosen]


SPECS = st.lists(
    st.builds(
        Spec,
        st.sampled_from(["a", "b", "missing"]),
        st.sampled_from(["q 1", "q  1 ", "r"]),
        st.sampled_from(["s", "t", "u", "v"]),
        st.sampled_from(["+", "-", "++", "+-", "-+", "--"]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(SPECS, st.lists(st.integers(0, 40), max_size=3), st.none() | st.integers(1, 3))
def test_equals_brute_force(specs: list[Spec], cuts: list[int], cap: int | None) -> None:
    rows = [spec.row() for spec in specs]
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    files = [rows[start:end] for start, end in pairwise(edges)]
    with tempfile.TemporaryDirectory() as name:
        found, report = extract(Path(name), files, pairs_per_image=cap)
    assert found == brute_force(specs, cap)
    assert report.records == 2 * report.pairs + report.left_out.total()
    assert min(report.left_out.values(), default=0) >= 0


def test_pairs_are_found_wherever_their_records_stand(tmp_path: Path) -> None:
    """Regression: only adjacent lines were compared, so a shuffled file lost its pairs."""
    rows = [solution("a", f"question {n}", "s", label) for n in range(50) for label in "+-"]
    random.Random(0).shuffle(rows)
    _, report = extract(tmp_path, [rows[:60], rows[60:]])
    assert report.pairs == 50


def test_an_image_keeps_all_its_pairs_unless_there_is_a_cap(tmp_path: Path) -> None:
    """Regression: one pair of an image was kept over all files."""
    rows = [solution("a", "q", f"s{n}", label) for n in range(5) for label in "+-"]
    assert extract(tmp_path, [rows])[1].pairs == 5
    _, report = extract(tmp_path, [rows], pairs_per_image=2)
    assert (report.pairs, report.left_out["over_cap"]) == (2, 6)


def test_questions_of_one_image_are_not_mixed(tmp_path: Path) -> None:
    rows = [solution("a", "q", "s", "+"), solution("a", "r", "s", "-")]
    found, report = extract(tmp_path, [rows])
    assert found == []
    assert report.left_out["no_partner"] == 2


def test_a_key_shared_by_chance_makes_no_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_index, "question_key", lambda process: 7)
    rows = [
        solution("a", "q", "s", "+"), solution("b", "q", "s", "-"), solution("a", "q", "t", "-"),
    ]  # fmt: skip
    found, report = extract(tmp_path, [rows])
    assert [row["image"] for row in found] == ["S/image/a"] * 2
    assert report.left_out["no_partner"] == 1


def test_records_are_kept_whole_but_for_the_image(tmp_path: Path) -> None:
    """Regression: the overall label was that of the first step, and later steps were lost."""
    rows = [solution("a", "q", "s", "+-"), solution("a", "q", "t", "++")]
    found, report = extract(tmp_path, [rows])
    assert found == [row | {"image": "S/image/a"} for row in rows]
    assert [list(row) for row in found] == [list(row) for row in rows]
    assert report.pairs == 1


def test_a_missing_image_and_one_outside_are_left_out(tmp_path: Path) -> None:
    """Regression: records without an image were kept."""
    add_images(tmp_path, "secret.png")
    rows = [
        solution(image, "q", "s", label)
        for image in ("a", "nowhere.png", "../secret.png", "/etc/passwd")
        for label in "+-"
    ]
    found, report = extract(tmp_path, [rows])
    assert {row["image"] for row in found} == {"S/image/a"}
    assert report.left_out["missing_image"] == 2
    assert report.left_out["image_outside_root"] == 4
    assert report.unusable_images == ["nowhere.png", "../secret.png", "/etc/passwd"]
    assert names(tmp_path / "out/S/image") == ["a"]


def test_images_are_linked_once_and_again(tmp_path: Path) -> None:
    rows = [solution("a", "q", "s", label) for label in "+-"]
    extract(tmp_path, [rows])
    link = tmp_path / "out/S/image/a"
    assert link.samefile(tmp_path / "images/a")
    link.unlink()
    link.symlink_to(tmp_path / "gone")
    extract(tmp_path, [rows])
    extract(tmp_path, [rows])
    assert link.samefile(tmp_path / "images/a")


def test_images_on_another_file_system_are_linked_symbolically(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    extract(tmp_path, [[solution("a", "q", "s", label) for label in "+-"]])
    link = tmp_path / "out/S/image/a"
    assert link.is_symlink()
    assert link.read_bytes() == b"a"


def test_malformed_lines_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    rows: list[Row | str] = ["{", "", '{"image": "a"}', "[1]"]
    rows += [solution("a", "q", "s", "+"), solution("a", "q", "s", "-")]
    _, report = extract(tmp_path, [rows], listed=2)
    assert (report.pairs, report.left_out["malformed"], report.records) == (1, 3, 5)
    assert [line.split("in/")[1].split(": ")[0] for line in report.malformed_lines] == [
        "0.jsonl:1", "0.jsonl:3",
    ]  # fmt: skip


def tree(root: Path) -> list[str]:
    """Two subsets whose files are discovered; returns the command's flags."""
    folder = root / "annotations"
    write(folder / "geos_extracted_prm_process.jsonl", [solution("1.png", "q", "s", "+")])
    write(folder / "b/geos_extracted_rules.jsonl", [solution("1.png", "q", "s", "-")])
    write(folder / "tabmwp_prm.jsonl", [solution("2.png", "q", "s", c) for c in "+-"])
    add_images(root / "images", "GEOS/1.png", "TabMWP/2.png")
    return [f"--annotations={folder}", f"--images={root / 'images'}", f"--output={root / 'out'}"]


def test_command_takes_every_subset_and_prints_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = tree(tmp_path)
    assert run(lambda: pairs.main(flags)) == 0
    assert "| GEOS     |         2 |       1 |" in capsys.readouterr().out
    for subset, image in (("GEOS", "1.png"), ("TabMWP", "2.png")):
        first, second = (tmp_path / "out" / subset / "swiftdata.jsonl").read_text().splitlines()
        assert (
            json.loads(first)["image"] == json.loads(second)["image"] == f"{subset}/image/{image}"
        )
        assert (tmp_path / "out" / json.loads(first)["image"]).is_file()
    report = json.loads((tmp_path / "out/GEOS/report.json").read_text())
    assert report["pairs"] == 1
    assert set(report["left_out"]) == set(pairs.REASONS)


def test_command_takes_only_the_named_subset(tmp_path: Path) -> None:
    """Regression: any subset got the records of one fixed source, without images, silently."""
    flags = tree(tmp_path)
    assert run(lambda: pairs.main([*flags, "--subsets", "TabMWP"])) == 0
    assert names(tmp_path / "out") == ["TabMWP"]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (["--subsets", "Geo170K"], "no annotation file of 'Geo170K'; there are GEOS, TabMWP"),
        (["--images=nowhere"], "nowhere: expected a folder with one folder a subset"),
        (['--subset-of={"*": "Absent"}'], "no pairs; 4 records: the image does not exist"),
    ],
)
def test_command_refuses_what_gives_no_pairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: list[str], message: str
) -> None:
    flags = tree(tmp_path)
    assert run(lambda: pairs.main([*flags, *flag])) == 2
    assert message in capsys.readouterr().err
