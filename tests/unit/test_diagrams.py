"""The synthetic world: same seed same bytes, pictures that show the facts, answers that follow."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from pathlib import Path

import orjson
import PIL.Image
import PIL.ImageChops
import pytest

from evpv_prm.data.images import load_images
from evpv_prm.data.step_records import read_step_records
from evpv_prm.diagrams import exercises
from evpv_prm.diagrams.draw import png
from evpv_prm.diagrams.exercises import Exercise
from evpv_prm.diagrams.make_world import main
from evpv_prm.diagrams.processbench import process_rows
from evpv_prm.diagrams.scene import Arc, Circle, Diagram, Fact, Label, Polyline
from evpv_prm.diagrams.world import MULTI_IMAGE, SINGLE_IMAGE, Problem, make_world
from evpv_prm.engine.base import Failure
from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_rows
from evpv_prm.records import Candidate

PROBLEMS = make_world(40, seed=3)
DIAGRAMS = [diagram for problem in PROBLEMS for diagram in problem.diagrams]


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def write(directory: Path, questions: int, seed: int) -> dict[str, bytes]:
    arguments = ["--output", directory, "--questions-per-datasource", questions, "--seed", seed]
    assert main([str(argument) for argument in arguments]) == 0
    return files(directory)


def rows(directory: Path, name: str) -> list[dict]:
    return [row for _, row in read_rows(directory / name)]


def test_same_seed_gives_same_bytes_and_another_seed_does_not(tmp_path):
    first = write(tmp_path / "a", 2, seed=5)
    assert first == write(tmp_path / "b", 2, seed=5)
    other = write(tmp_path / "c", 2, seed=6)
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_a_question_does_not_depend_on_how_many_there_are():
    few, many = make_world(2, seed=1), make_world(5, seed=1)
    assert all(problem in many for problem in few)


def test_files_have_the_real_benchmarks_fields(tmp_path):
    write(tmp_path, 3, seed=0)
    single, multi = rows(tmp_path, "benchmarks.jsonl"), rows(tmp_path, "mmmu.jsonl")
    assert [list(row) for row in single] == [["question", "answer", "image", "datasource"]] * 9
    assert Counter(row["datasource"] for row in single) == dict.fromkeys(SINGLE_IMAGE, 3)
    assert [list(row) for row in multi] == [["id", "question", "answer", "image", "datasource"]] * 3
    assert {row["datasource"] for row in multi} == {MULTI_IMAGE}
    for row in single:
        assert isinstance(row["image"], str)
        assert re.fullmatch(rf"{row['datasource']}/\d{{3}}\.png", row["image"])
    for row in multi:
        assert len(row["image"]) == 2
        assert re.findall(r"<image \d>", row["question"]) == ["<image 1>", "<image 2>"]
    named = {path for row in single + multi for path in [row["image"]] if isinstance(path, str)}
    named |= {path for row in multi for path in row["image"]}
    assert named == set(files(tmp_path / "images"))


def test_labelled_solutions_have_the_real_files_fields(tmp_path):
    write(tmp_path, 8, seed=0)
    found = rows(tmp_path, "visualprocessbench.jsonl")
    asked = rows(tmp_path, "benchmarks.jsonl") + rows(tmp_path, "mmmu.jsonl")
    assert {row["question"] for row in found} == {row["question"] for row in asked}
    assert {tuple(row) for row in found} == {
        ("image", "question", "answer", "response", "policy_model", "data_source")
    }
    assert {row["data_source"] for row in found} == {*SINGLE_IMAGE, MULTI_IMAGE}
    assert len({row["policy_model"] for row in found}) == 3
    assert {len(row["image"]) for row in found} == {1, 2}
    assert {label for row in found for label in row["response"]["process_correctness"]} == {
        1, 0, -1,
    }  # fmt: skip
    for record in read_step_records(tmp_path / "visualprocessbench.jsonl"):
        assert not isinstance(load_images(tmp_path / "images", record.images), Failure)
        assert all(path.startswith("images/") for path in record.images)


def test_labels_follow_from_the_truth():
    numbers_of_errors = set()
    for problem in PROBLEMS:
        [row] = process_rows([problem], seed=3)
        steps, labels = row["response"]["steps"], row["response"]["process_correctness"]
        truth = {step.text: step for step in problem.steps}
        for step, label in zip(steps[:-1], labels, strict=False):
            if label == 0:
                assert step not in truth
            elif label == 1:
                assert step in truth
            else:  # changed, or a calculation with a value that was misread
                assert step not in truth or truth[step].fact is None
        is_right = -1 not in labels
        assert labels[-1] == (1 if is_right else -1)
        assert (steps[-1] == f"Final answer: {problem.answer}") == is_right
        numbers_of_errors.add(labels.count(-1))
    assert numbers_of_errors == {0, 2, 3, 4}


def test_truth_is_written_for_every_question(tmp_path):
    write(tmp_path, 4, seed=0)
    truth = rows(tmp_path, "facts.jsonl")
    asked = rows(tmp_path, "benchmarks.jsonl") + rows(tmp_path, "mmmu.jsonl")
    assert len({row["id"] for row in truth}) == len(truth)
    for row, question in zip(truth, asked, strict=True):
        assert row | question == row
        statements = {fact["statement"] for fact in row["facts"]}
        candidate = Candidate.model_validate(row["solution"])
        assert candidate.finalanswer == row["answer"]
        used = [step.visualdependency for step in candidate.reasoningprocess]
        assert {fact for fact in used if fact} <= statements
        assert used[-1] is None
        for fact in row["facts"]:
            assert fact["image"] in row["image"]
            assert fact["statement"] in row["description"]
        images = row["image"] if isinstance(row["image"], list) else [row["image"]]
        contents = [(tmp_path / "images" / image).read_bytes() for image in images]
        assert row["image_sha256"] == [hashlib.sha256(c).hexdigest() for c in contents]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_options_and_answer_agree_with_the_value(problem: Problem):
    single = re.findall(r"^\(([A-D])\) (\d+)°?$", problem.question, re.MULTILINE)
    multi = re.findall(r"(?:^|  )([A-D])\.(\d+)", problem.question, re.MULTILINE)
    options = dict(single or multi)
    if problem.options:
        assert list(options) == list("ABCD")
        assert len(set(options.values())) == 4
        assert int(options[problem.answer]) == problem.value
    else:
        assert not options
        assert problem.answer == str(problem.value)


def test_multiple_choice_and_free_answers_both_occur_in_every_datasource():
    kinds = {(problem.datasource, bool(problem.options)) for problem in PROBLEMS}
    assert kinds == {(name, choice) for name in [*SINGLE_IMAGE, MULTI_IMAGE] for choice in (0, 1)}


def shown(diagram: Diagram, fact: Fact) -> int:
    """Read a fact off the drawing: the label at its place, or the figures at its places."""
    labels = {shape.at: shape.text for shape in diagram.shapes if isinstance(shape, Label)}
    if fact.places[0] in labels:
        (place,) = fact.places
        return int(labels[place].removesuffix("°"))
    corners = {"squares": 4, "triangles": 3}
    figures = 0
    for x, y in fact.places:
        for shape in diagram.shapes:
            if isinstance(shape, Circle):
                figures += fact.name == "circles" and shape.centre == (x, y)
            elif isinstance(shape, Polyline) and len(shape.points) == corners.get(fact.name):
                middle_x = sum(point[0] for point in shape.points) / len(shape.points)
                middle_y = sum(point[1] for point in shape.points) / len(shape.points)
                figures += abs(middle_x - x) + abs(middle_y - y) < 1e-6
    return figures


@pytest.mark.parametrize("diagram", DIAGRAMS)
def test_the_drawing_shows_every_fact_and_no_other_number(diagram: Diagram):
    for fact in diagram.facts:
        assert shown(diagram, fact) == fact.value
        assert re.search(rf"\b{fact.value}\b", fact.statement)
    numbers = [
        int(shape.text.removesuffix("°"))
        for shape in diagram.shapes
        if isinstance(shape, Label) and shape.text[0].isdigit()
    ]
    figures = sum(isinstance(shape, Circle) for shape in diagram.shapes)
    if figures:
        figures += sum(isinstance(shape, Polyline) for shape in diagram.shapes)
        assert figures == sum(fact.value for fact in diagram.facts)
    else:
        assert Counter(numbers) == Counter(fact.value for fact in diagram.facts)


@pytest.mark.parametrize("diagram", DIAGRAMS)
def test_labelled_angles_are_drawn_as_wide_as_they_say(diagram: Diagram):
    arcs = [shape for shape in diagram.shapes if isinstance(shape, Arc)]
    if arcs:
        assert [round(arc.end - arc.start) for arc in arcs] == [f.value for f in diagram.facts]


@pytest.mark.parametrize("diagram", DIAGRAMS)
def test_labels_lie_inside_the_picture_and_apart(diagram: Diagram):
    labels = [shape for shape in diagram.shapes if isinstance(shape, Label)]
    width, height = diagram.size
    for label in labels:
        half = 5 * len(label.text)
        assert half <= label.at[0] <= width - half
        assert 7 <= label.at[1] <= height - 7
    for index, one in enumerate(labels):
        for other in labels[index + 1 :]:
            apart_x = abs(one.at[0] - other.at[0]) >= 5 * (len(one.text) + len(other.text))
            assert apart_x or abs(one.at[1] - other.at[1]) >= 14


EXPECTED = {
    exercises.triangle_area: lambda a, b: a * b / 2,
    exercises.hypotenuse: lambda a, b: (a**2 + b**2) ** 0.5,
    exercises.rectangle_area: lambda a, b: a * b,
    exercises.rectangle_perimeter: lambda a, b: 2 * a + 2 * b,
    exercises.third_angle: lambda a, b: 180 - a - b,
    exercises.angle_on_line: lambda a: 180 - a,
    exercises.count_figures: lambda a, b: a + b,
    exercises.bar_difference: lambda a, b: abs(a - b),
}


@pytest.mark.parametrize("maker", EXPECTED, ids=lambda maker: maker.__name__)
@pytest.mark.parametrize("seed", range(20))
def test_values_follow_from_the_facts_that_the_steps_read(maker, seed):
    exercise: Exercise = maker(exercises.Random(seed))
    read = [step.fact for step in exercise.steps if step.fact]
    assert exercise.value == EXPECTED[maker](*(fact.value for fact in read))
    assert exercise.value > 0
    for step in exercise.steps:
        if step.fact:
            assert step.fact in exercise.diagram.facts
            assert step.fact.name in step.text
    assert str(exercise.value) in exercise.steps[-1].text


def test_every_kind_of_exercise_is_asked():
    made = {maker for makers in SINGLE_IMAGE.values() for maker in makers}
    assert made == set(EXPECTED)


def test_the_two_diagram_answer_is_the_sum_of_its_parts():
    for problem in PROBLEMS:
        if problem.datasource == MULTI_IMAGE:
            *_, last = problem.steps
            first, second, total = map(int, re.findall(r"\d+", last.text))
            assert first + second == total == problem.value


@pytest.mark.parametrize("diagram", DIAGRAMS[::17])
def test_pictures_open_and_have_their_size(diagram: Diagram):
    image = PIL.Image.open(io.BytesIO(png(diagram)))
    image.load()
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", diagram.size)
    assert all(168 <= length <= 224 for length in image.size)
    darkest, brightest = image.convert("L").getextrema()
    assert (darkest, brightest) == (0, 255)


def test_the_picture_changes_where_the_label_changes():
    diagram = exercises.bar_difference(exercises.Random(1)).diagram
    place = diagram.facts[0].places[0]
    shapes = tuple(
        Label("5" if shape.text != "5" else "6", shape.at)
        if isinstance(shape, Label) and shape.at == place
        else shape
        for shape in diagram.shapes
    )
    before, after = (
        PIL.Image.open(io.BytesIO(png(Diagram(diagram.size, each, ()))))
        for each in (diagram.shapes, shapes)
    )
    box = PIL.ImageChops.difference(before, after).getbbox()
    assert box is not None
    assert box[0] - 1 <= place[0] <= box[2] + 1
    assert box[1] - 1 <= place[1] <= box[3] + 1


def test_no_questions_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(UserError, match="at least 1"):
        main(["--output", str(tmp_path / "w"), "--questions-per-datasource", "0"])
    assert not (tmp_path / "w").exists()


def test_lines_are_plain_utf8(tmp_path):
    write(tmp_path, 2, seed=0)
    line = (tmp_path / "mmmu.jsonl").read_bytes().splitlines()[0]
    assert "correct answer below：\nA." in orjson.loads(line)["question"]
