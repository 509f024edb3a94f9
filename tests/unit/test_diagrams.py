"""The synthetic world: pictures that show the facts, questions about them, and the files."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.answers.judge import ground_truth, is_correct
from evpv_prm.answers.options import parse_options
from evpv_prm.data.images import load_images
from evpv_prm.data.questions import read_questions
from evpv_prm.data.step_records import read_step_records
from evpv_prm.diagrams import draw, families
from evpv_prm.diagrams.draw import pixels, png
from evpv_prm.diagrams.families import COLOURS, FAMILIES, LABELS, make_diagram
from evpv_prm.diagrams.make_world import main
from evpv_prm.diagrams.processbench import OPENING, make_solved
from evpv_prm.diagrams.questions import DATASOURCES, PAIRS, Problem, make_problem
from evpv_prm.diagrams.scene import (
    SIDE,
    Clutter,
    Diagram,
    Ellipse,
    Label,
    Line,
    Point,
    Polygon,
    Rectangle,
)
from evpv_prm.diagrams.world import SPLITS, TEST, generator, make_world
from evpv_prm.engine.base import Failure
from evpv_prm.jsonl import read_rows
from evpv_prm.records import Candidate, Caption

DIAGRAMS = st.builds(
    make_diagram, st.integers(0).map(Random), st.sampled_from(FAMILIES), st.floats(0, 1)
)
PROBLEMS = st.builds(
    make_problem, st.integers(0).map(Random), st.sampled_from(DATASOURCES), st.floats(0, 1)
)


# A reader of pictures: it knows the drawing commands and not the facts.


def labels(diagram: Diagram) -> list[Label]:
    return [shape for shape in diagram.shapes if isinstance(shape, Label)]


def nearest_digit(diagram: Diagram, at: tuple[float, float]) -> int:
    digits = [label for label in labels(diagram) if label.text.isdigit()]
    return int(min(digits, key=lambda label: distance(label.at, at)).text)


def nearest_letter(diagram: Diagram, at: Point) -> str:
    letters = [label for label in labels(diagram) if label.text.isalpha()]
    return min(letters, key=lambda label: distance(label.at, at)).text


def distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def middle(one: Point, other: Point) -> tuple[float, float]:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def read_bars(diagram: Diagram) -> dict[str, int]:
    names = {colour: name for name, colour in COLOURS.items()}
    bars = [shape for shape in diagram.shapes if isinstance(shape, Rectangle)]
    return {
        f"{names[bar.fill]} bar": nearest_digit(
            diagram, ((bar.box[0] + bar.box[2]) / 2, bar.box[1])
        )
        for bar in bars
        if bar.fill
    }


def read_segments(diagram: Diagram) -> dict[str, int]:
    boxes = [shape.box for shape in diagram.shapes if isinstance(shape, Ellipse)]
    points = sorted(((box[0] + box[2]) // 2, (box[1] + box[3]) // 2) for box in boxes)
    names = [nearest_letter(diagram, point) for point in points]
    return {
        f"segment {names[n]}{names[n + 1]}": nearest_digit(diagram, middle(*points[n : n + 2]))
        for n in range(len(points) - 1)
    }


def read_shapes(diagram: Diagram) -> dict[str, int]:
    corners = {3: "triangle", 10: "star", 12: "cross"}
    found = {}
    for shape in diagram.shapes:
        match shape:
            case Polygon(points):
                xs, ys = zip(*points, strict=True)
                box, name = (min(xs), min(ys), max(xs), max(ys)), corners[len(points)]
            case Ellipse(box):
                name = "circle"
            case Rectangle(box):
                name = "square"
            case _:
                continue
        found[name] = nearest_digit(diagram, ((box[0] + box[2]) / 2, box[1]))
    return found


def read_triangles(diagram: Diagram) -> dict[str, int]:
    [corners] = [shape.points for shape in diagram.shapes if isinstance(shape, Polygon)]
    assert len(corners) == 3

    def is_right(at: Point) -> bool:
        one, other = (corner for corner in corners if corner != at)
        return (one[0] - at[0]) * (other[0] - at[0]) + (one[1] - at[1]) * (other[1] - at[1]) == 0

    [right] = filter(is_right, corners)
    names = {corner: nearest_letter(diagram, corner) for corner in corners}
    return {
        f"leg {''.join(sorted(names[right] + names[end]))}": nearest_digit(
            diagram, middle(right, end)
        )
        for end in corners
        if end != right
    }


def read_tables(diagram: Diagram) -> dict[str, int]:
    upright = [
        s for s in diagram.shapes if isinstance(s, Line) and s.points[0][0] == s.points[1][0]
    ]
    borders = sorted(line.points[0][0] for line in upright)
    assert len(borders) == 2

    def column(label: Label) -> int:
        return sum(label.at[0] > border for border in borders)

    texts: dict[int, list[Label]] = {}
    for label in labels(diagram):
        texts.setdefault(column(label), []).append(label)
    found = {}
    for head, value in (sorted(column, key=lambda label: label.at[1]) for column in texts.values()):
        found[f"cell {head.text}"] = int(value.text)
    return found


READERS = {
    "Bars": read_bars,
    "Segments": read_segments,
    "Shapes": read_shapes,
    "Triangles": read_triangles,
    "Tables": read_tables,
}


@given(DIAGRAMS)
def test_the_drawing_shows_the_facts_and_no_other_number(diagram: Diagram) -> None:
    facts = {fact.label: fact.value for fact in diagram.facts}
    assert READERS[diagram.family](diagram) == facts
    assert facts.keys() <= set(LABELS)
    assert len(facts) == (2 if diagram.family == "Triangles" else 3)
    shown = sorted(label.text for label in labels(diagram) if label.text.isdigit())
    assert shown == sorted(str(value) for value in facts.values())
    assert [fact.place for fact in diagram.facts] == list(range(len(facts)))
    if diagram.family != "Triangles":
        assert [f.at[0] for f in diagram.facts] == sorted(f.at[0] for f in diagram.facts)


@given(DIAGRAMS)
def test_a_fact_tells_how_its_value_is_drawn(diagram: Diagram) -> None:
    for fact in diagram.facts:
        assert Label(str(fact.value), fact.at, fact.size, fact.contrast) in diagram.shapes
        assert fact.statement == f"The {fact.label} shows {fact.value}."
    clutter = [shape for shape in diagram.shapes if isinstance(shape, Clutter)]
    assert len(clutter) == sum(fact.clutter for fact in diagram.facts)


def ink(label: Label) -> tuple[int, int, int, int]:
    """The box of a text, its edges included."""
    alone = Diagram("", (Label(label.text, label.at, label.size),), (), 0)
    dark = pixels(alone).max(2) < 160
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    return columns[0], rows[0], columns[-1], rows[-1]


@given(DIAGRAMS)
def test_texts_are_whole_and_apart(diagram: Diagram) -> None:
    boxes = [ink(label) for label in labels(diagram)]
    assert all(box[0] > 0 and box[1] > 0 and max(box) < SIDE - 1 for box in boxes)
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            is_beside = one[2] < other[0] or other[2] < one[0]
            assert is_beside or one[3] < other[1] or other[3] < one[1]


@given(DIAGRAMS)
def test_another_value_changes_the_picture_at_its_place_alone(diagram: Diagram) -> None:
    fact = diagram.facts[0]
    other = Label("8" if fact.value != 8 else "3", fact.at, fact.size)
    shapes = tuple(s if s != _value(fact) else other for s in diagram.shapes)
    changed = Diagram(diagram.family, shapes, (), diagram.noise_seed)
    rows, columns = np.nonzero((pixels(diagram) != pixels(changed)).any(2))
    assert abs(columns - fact.at[0]).max() <= fact.size / 2
    assert abs(rows - fact.at[1]).max() <= fact.size / 2


def _value(fact: Any) -> Label:
    return Label(str(fact.value), fact.at, fact.size, fact.contrast)


def test_names_and_places_do_not_know_of_each_other() -> None:
    seen: dict[str, set[tuple[str, int]]] = {}
    for number in range(1500):
        diagram = make_diagram(Random(number), FAMILIES[number % len(FAMILIES)], 0)
        places = seen.setdefault(diagram.family, set())
        places |= {(fact.label, fact.place) for fact in diagram.facts}
    assert {label for places in seen.values() for label, _ in places} == set(LABELS)
    for family, places in seen.items():
        by_label = Counter(label for label, _ in places)
        expected = {"Segments": 1, "Triangles": 2}.get(family, 3)
        assert set(by_label.values()) == {expected}


# The dial


def drawn(difficulty: float) -> list[Any]:
    return [
        fact
        for number in range(200)
        for fact in make_diagram(Random(number), FAMILIES[number % 5], difficulty).facts
    ]


def test_at_zero_all_is_clear_and_at_one_not_all() -> None:
    clear, hard = drawn(0), drawn(1)
    assert {(fact.contrast, fact.clutter) for fact in clear} == {(1, 0)}
    assert min(fact.size for fact in clear) >= families.SMALLEST_CLEAR
    assert min(fact.contrast for fact in hard) < 1.2 * families.FAINTEST
    assert max(fact.contrast for fact in hard) > 0.95
    assert {fact.clutter for fact in hard} == {0, 1, 2}
    assert {fact.size for fact in hard} == set(range(families.SMALLEST, families.LARGEST + 1))


def test_the_dial_turns_evenly() -> None:
    means = [
        [np.mean([getattr(fact, name) for fact in drawn(dial)]) for dial in (0, 0.25, 0.5, 0.75, 1)]
        for name in ("contrast", "size", "clutter")
    ]
    assert means[0] == sorted(means[0], reverse=True)
    assert means[1] == sorted(means[1], reverse=True)
    assert means[2] == sorted(means[2])


@pytest.mark.parametrize("contrast", [1.0, 0.5, 0.1])
def test_the_contrast_is_that_of_the_ink(contrast: float) -> None:
    picture = pixels(Diagram("", (Label("8", (56, 56), 34, contrast),), (), 0)).astype(float)
    [paper, ink_level] = [np.median(picture[:20]), np.percentile(picture[45:67, 47:65], 10)]
    assert ink_level == pytest.approx(paper * (1 - contrast), abs=2 * draw.NOISE)


def test_the_noise_is_gaussian_and_of_the_pictures_own_seed() -> None:
    empty = [pixels(Diagram("", (), (), seed)).astype(float) for seed in (1, 2)]
    # The third colour is clipped the least.
    assert empty[0][..., 2].std() == pytest.approx(draw.NOISE, rel=0.1)
    assert abs(np.corrcoef(empty[0][..., 2].ravel(), empty[1][..., 2].ravel())[0, 1]) < 0.05


@given(DIAGRAMS)
def test_a_png_holds_the_pixels(diagram: Diagram) -> None:
    with PIL.Image.open(io.BytesIO(png(diagram))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (SIDE, SIDE))
        assert (np.asarray(image) == pixels(diagram)).all()


# Questions


@given(PROBLEMS)
def test_a_question_names_what_is_read_in_its_order(problem: Problem) -> None:
    families_shown = [diagram.family for diagram in problem.diagrams]
    assert len(set(families_shown)) == len(families_shown) == 1 + (problem.datasource == PAIRS)
    assert set(problem.operands) <= set(problem.facts)
    read = [step.fact for step in problem.steps if step.fact]
    assert tuple(read) == problem.operands
    if problem.kind == "total":
        assert problem.question == "What is the sum of all values?"
        assert problem.operands == problem.facts
    elif problem.kind == "area":
        assert problem.question == "What is the area of the triangle?"
    else:
        places = [problem.question.index(f"the {fact.label}") for fact in problem.operands]
        assert places == sorted(places)
    if problem.datasource == PAIRS:
        assert re.findall(r"<image \d>", problem.question) == ["<image 1>", "<image 2>"]
        for fact, diagram in zip(problem.operands, problem.diagrams, strict=True):
            assert fact in diagram.facts


def answer_to(problem: Problem) -> str:
    """The answer by the question's words, from the facts alone."""
    question, values = problem.question, {fact.label: fact.value for fact in problem.facts}
    if "sum of all" in question:
        return str(sum(values.values()))
    if "area" in question:
        one, other = values.values()
        return str(one * other // 2)
    named = [values[label] for label in re.findall(rf"the ({'|'.join(LABELS)})\b", question)]
    if "larger" in question:
        (one, other) = named
        return "A" if one > other else "B"
    if "twice" in question:
        return str(2 * named[0])
    one, other = named
    kind = question.split()[3]
    return str({"sum": one + other, "difference": one - other, "product": one * other}[kind])


@given(PROBLEMS)
def test_the_answer_follows_from_the_facts(problem: Problem) -> None:
    assert problem.answer == answer_to(problem)
    assert problem.answer.isdigit() or problem.answer in "AB"
    if problem.kind == "area":
        one, other = (fact.value for fact in problem.facts)
        assert one * other % 2 == 0


@given(PROBLEMS, st.integers(0, 100))
def test_the_pipeline_reads_the_options_and_judges_the_answers(
    problem: Problem, other: int
) -> None:
    options = parse_options(problem.question)
    assert list(options) == ["A", "B"][: len(problem.options)]
    assert tuple(options.values()) == problem.options
    truth = ground_truth(problem.question, problem.answer, None)
    assert is_correct(truth, problem.answer)
    wrong = {"A": "B", "B": "A"}.get(problem.answer, str(other))
    assert is_correct(truth, wrong) == (wrong == problem.answer)


def test_every_datasource_has_its_kinds() -> None:
    kinds: dict[str, set[str]] = {}
    for number in range(600):
        problem = make_problem(Random(number), DATASOURCES[number % len(DATASOURCES)], 0)
        kinds.setdefault(problem.datasource, set()).add(problem.kind)
    two = {"sum", "difference", "product"}
    three = two | {"total", "twice", "larger"}
    assert kinds == {
        **dict.fromkeys(("Bars", "Segments", "Shapes", "Tables"), three),
        "Triangles": two | {"twice", "larger", "area"},
        PAIRS: two,
    }


@given(PROBLEMS)
def test_descriptions_and_captions_tell_all_facts(problem: Problem) -> None:
    assert [
        (problem.description + " ").index(fact.statement + " ") for fact in problem.facts
    ] == sorted(problem.description.index(fact.statement) for fact in problem.facts)
    caption = Caption.model_validate(problem.caption)
    is_pair = problem.datasource == PAIRS
    places = [
        f"In image {n}: " * is_pair for n, d in enumerate(problem.diagrams, 1) for _ in d.facts
    ]
    statements = [fact.statement for fact in problem.facts]
    assert caption.key_facts == [p + s for p, s in zip(places, statements, strict=True)]
    assert problem.description.count("In image") == 2 * is_pair
    assert Candidate.model_validate(problem.solution).finalanswer == problem.answer


# The world and its files


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def write(directory: Path, questions: int, seed: int, *more: str) -> dict[str, bytes]:
    counts = ["--questions-per-datasource", questions, "--solutions", 3 * questions]
    arguments = ["--output", directory, *counts, "--seed", seed, *more]
    assert main([str(argument) for argument in arguments]) == 0
    return files(directory)


def rows(directory: Path, name: str) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(directory / name)]


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    first = write(tmp_path / "a", 2, seed=5)
    words = ["--questions-per-datasource", "2", "--solutions", "6", "--seed", "5"]
    command = [sys.executable, "-m", "evpv_prm.diagrams.make_world", *words]
    for hash_seed in ("1", "2"):
        subprocess.run(
            [*command, "--output", str(tmp_path / hash_seed)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
        )
        assert files(tmp_path / hash_seed) == first


@pytest.mark.parametrize(
    "other", [("--seed", "6"), ("--split", "validation"), ("--difficulty", "0.9")]
)
def test_seed_split_and_difficulty_change_every_picture(
    tmp_path: Path, other: tuple[str, str]
) -> None:
    first, second = write(tmp_path / "a", 2, 5), write(tmp_path / "b", 2, 5, *other)
    pictures = [
        {content for name, content in found.items() if ".png" in name} for found in (first, second)
    ]
    assert not pictures[0] & pictures[1]


def test_no_two_splits_share_a_question() -> None:
    drawn = [
        {tuple(diagram.noise_seed for diagram in each.problem.diagrams) for each in exercises}
        for split in SPLITS
        for exercises in (
            make_world(100, 0, split, 0.5),
            [each.exercise for each in make_solved(600, 0, split, 0.5)],
        )
    ]
    assert len(set().union(*drawn)) == sum(map(len, drawn)) == 3 * 2 * 600


def test_there_are_no_other_splits() -> None:
    with pytest.raises(ValueError, match="expected one of train, validation, test"):
        generator("dev", 0)


def test_a_question_does_not_depend_on_how_many_there_are() -> None:
    few, many = make_world(2, 1, TEST, 0.5), make_world(5, 1, TEST, 0.5)
    assert all(exercise in many for exercise in few)
    assert make_solved(9, 1, TEST, 0.5)[:4] == make_solved(4, 1, TEST, 0.5)


def test_files_have_the_real_benchmarks_fields(tmp_path: Path) -> None:
    write(tmp_path, 3, seed=0)
    single, multi = rows(tmp_path, "benchmarks.jsonl"), rows(tmp_path, "mmmu.jsonl")
    assert [list(row) for row in single] == [["question", "answer", "image", "datasource"]] * 15
    assert Counter(row["datasource"] for row in single) == dict.fromkeys(FAMILIES, 3)
    assert [list(row) for row in multi] == [["id", "question", "answer", "image", "datasource"]] * 3
    assert {row["datasource"] for row in multi} == {PAIRS}
    for row in single:
        assert re.fullmatch(rf"{row['datasource']}/\d{{3}}\.png", row["image"])
    assert all(len(row["image"]) == 2 for row in multi)
    for name in ("benchmarks.jsonl", "mmmu.jsonl"):
        for question in read_questions(tmp_path / name):
            assert not isinstance(load_images(tmp_path / "images", question.images), Failure)


def test_labelled_solutions_are_of_questions_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, 40, seed=0)
    found = rows(tmp_path, "visualprocessbench.jsonl")
    assert {tuple(row) for row in found} == {
        ("image", "question", "answer", "response", "policy_model", "data_source")
    }
    assert {row["data_source"] for row in found} == set(DATASOURCES)
    assert len({row["policy_model"] for row in found}) == 3
    steps = [
        (text, label)
        for row in found
        for text, label in zip(*row["response"].values(), strict=True)
    ]
    assert {label for _, label in steps} == {1, 0, -1}
    assert all((label == 0) == (text == OPENING) for text, label in steps)
    opened = sum(label == 0 for _, label in steps) / len(found)
    assert 0.35 < opened < 0.65
    records = read_step_records(tmp_path / "visualprocessbench.jsonl")
    pictures = {path for record in records for path in record.images}
    asked = rows(tmp_path, "benchmarks.jsonl") + rows(tmp_path, "mmmu.jsonl")
    assert not {path.removeprefix("images/") for path in pictures} & {
        path for row in asked for path in images(row)
    }
    assert len({record.images for record in records}) == len(records) == 120
    for record in records:
        assert not isinstance(load_images(tmp_path / "images", record.images), Failure)


def images(row: Mapping[str, Any]) -> list[str]:
    return row["image"] if isinstance(row["image"], list) else [row["image"]]


def test_truth_is_written_for_every_question(tmp_path: Path) -> None:
    write(tmp_path, 4, seed=0)
    truth = rows(tmp_path, "facts.jsonl")
    asked = rows(tmp_path, "benchmarks.jsonl") + rows(tmp_path, "mmmu.jsonl")
    assert len(truth) == len({row["id"] for row in truth}) == len(asked) + 12
    for row, question in zip(truth, asked, strict=False):
        assert row | question == row
    named = [path for row in truth for path in images(row)]
    assert {f"images/{path}" for path in named} == {n for n in files(tmp_path) if ".png" in n}
    for row in truth:
        used = [step["visualdependency"] for step in row["solution"]["reasoningprocess"]]
        assert {fact for fact in used if fact} <= {fact["statement"] for fact in row["facts"]}
        assert used[-1] is None
        assert all(fact["image"] in images(row) for fact in row["facts"])
        contents = [(tmp_path / "images" / image).read_bytes() for image in images(row)]
        assert row["image_sha256"] == [hashlib.sha256(c).hexdigest() for c in contents]


@pytest.mark.parametrize(
    "words",
    [
        ("--questions-per-datasource", "0"),
        ("--solutions", "0"),
        ("--difficulty", "1.5"),
        ("--split", "dev"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_written(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--output", str(tmp_path / "w"), *words])
    assert stopped.value.code == 2
    assert not (tmp_path / "w").exists()
