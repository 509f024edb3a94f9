"""The diagrams' labelled solutions, and the teacher that knows the truth about them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from evpv_prm import (
    build_dpo_data,
    build_step_judge_sft_data,
    build_vision_sft_data,
    perception_intervention,
)
from evpv_prm import merge_vision_descriptions as merging
from evpv_prm.data import pairs
from evpv_prm.data.visualprm import SolutionProcess, find_annotations, read_process
from evpv_prm.diagrams import make_visualprm, make_world, with_teacher
from evpv_prm.diagrams.teacher import Query, load_teacher
from evpv_prm.diagrams.teacher_server import TeacherServer
from evpv_prm.diagrams.visualprm import FILES, make_subjects
from evpv_prm.jsonl import read_rows
from evpv_prm.records import Caption
from tests.teacher import command, rows

QUESTIONS = 7


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    assert write(folder, seed=4) == 0
    return folder


def write(folder: Path, seed: int) -> int:
    words = ("--output", folder, "--questions-per-subset", QUESTIONS, "--seed", seed)
    return command(make_visualprm.main, *words)


def processes(tree: Path) -> dict[str, list[SolutionProcess]]:
    """All records of the tree by subset, as the pipeline's own reader sees them."""
    folders = [path.name for path in (tree / "images").iterdir()]
    return {
        subset: [read_process(path, line, row) for path in paths for line, row in read_rows(path)]
        for subset, paths in find_annotations(tree / "annotations", folders, {}).items()
    }


# The tree


def test_the_files_are_of_three_subsets_and_two_formats(tree: Path) -> None:
    found = processes(tree)
    assert found.keys() == FILES.keys()
    formats = {
        subset: {"conversations" in row for _, row in read_rows(tree / "annotations" / file)}
        for subset, file in FILES.items()
    }
    assert formats == {"Charts": {True}, "Geometry": {True}, "Shapes": {False}}
    for subset in ("Charts", "Geometry"):
        assert {len(process.steps) > 1 for process in found[subset]} == {True, False}


def test_one_image_is_missing_and_the_records_are_in_no_order(tree: Path) -> None:
    found = processes(tree)
    named = {(subset, p.image) for subset, subset_found in found.items() for p in subset_found}
    missing = [name for name in named if not tree.joinpath("images", *name).is_file()]
    assert missing == [("Charts", "images/001.png")]
    for subset_found in found.values():
        order = [process.image for process in subset_found]
        assert order != sorted(order)


def test_annotations_call_everything_wrong_from_the_first_error_on(tree: Path) -> None:
    subjects = {(s.subset, s.image): s for s in make_subjects(QUESTIONS, seed=4, difficulty=0.5)}
    for subset, records in processes(tree).items():
        for record in records:
            subject = subjects[subset, record.image]
            [solution] = (
                s for s in subject.solutions if " ".join(s.steps) == " ".join(record.steps)
            )
            if len(record.steps) == 1:
                assert record.labels == (solution.is_right,)
                continue
            right = list(solution.labels).index(-1) if -1 in solution.labels else len(record.steps)
            assert record.labels == tuple(n < right for n in range(len(record.steps)))


def test_what_is_true_of_a_step_is_its_own(tree: Path) -> None:
    results = []
    for row in rows(tree / "truth.jsonl"):
        for solution in row["solutions"]:
            found = solution["results"]
            assert [result["step"] for result in found] == list(
                range(1, len(solution["steps"]) + 1)
            )
            for step, result in zip(solution["steps"], found, strict=True):
                assert (result["score"] == 1) == (step == result["evidence"])
                assert (result["score"] == 1) == (result["category"] is None)
            results.append([result["score"] for result in found])
    assert any(-1 in scores and scores.index(-1) < len(scores) - 1 for scores in results)
    assert any(1 in scores[scores.index(-1) :] for scores in results if -1 in scores)


def test_pairs_are_found_in_every_subset(tree: Path, tmp_path: Path) -> None:
    words = ("--annotations", tree / "annotations", "--images", tree / "images")
    assert command(pairs.main, *words, "--output", tmp_path) == 0
    reports = [json.loads((tmp_path / subset / "report.json").read_text()) for subset in FILES]
    assert all(report["pairs"] > 0 and report["left_out"]["no_partner"] > 0 for report in reports)
    assert [report["left_out"]["missing_image"] > 0 for report in reports] == [True, False, False]
    assert not any(report["left_out"]["malformed"] for report in reports)


def test_the_seed_decides_everything(tree: Path, tmp_path: Path) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    write(tmp_path / "same", seed=4)
    write(tmp_path / "other", seed=5)
    assert files(tmp_path / "same") == files(tree)
    assert files(tmp_path / "other").keys() == files(tree).keys()
    assert files(tmp_path / "other") != files(tree)


# The teacher


class Lesson:
    """The commands that ask the teacher, on the pairs of the tree."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.folder, self.pairs = folder, folder / "pairs"
        words = ("--annotations", tree / "annotations", "--images", tree / "images")
        assert command(pairs.main, *words, "--output", self.pairs) == 0

    def files(self, name: str) -> list[Path]:
        return [
            *("--images", self.pairs),
            *("--train", self.folder / f"{name}.jsonl"),
            *("--validation", self.folder / f"{name}_validation.jsonl"),
            *("--card", self.folder / f"{name}.json"),
            *("--card-markdown", self.folder / f"{name}.md"),
        ]

    def engine(self) -> list[Any]:
        engine = ("--backend", "api", "--model", "m", "--base-url", "http://teacher.test/v1")
        return ["--store", self.folder / "store", *engine]

    def teach(self, *, max_failures: float = 0) -> None:
        solutions = sorted(self.pairs.glob("*/swiftdata.jsonl"))
        described = [self.folder / f"{path.parent.name}.jsonl" for path in solutions]
        descriptions = ("--descriptions", self.folder / "descriptions.jsonl")
        engine = [*self.engine(), "--max-failures", max_failures, "--attempts", "8"]
        words = ("--pairs", *solutions, *descriptions)
        status = command(build_vision_sft_data.main, *words, *self.files("vision"), *engine)
        assert status == 0
        words = (*words, "--outputs", *described, "--report", self.folder / "report.json")
        assert command(merging.main, *words) == 0
        words = ("--pairs", *described, "--labels", self.folder / "labels.jsonl")
        status = command(build_step_judge_sft_data.main, *words, *self.files("judge"), *engine)
        assert status == 0
        words = (*descriptions, "--corrupted-by", "teacher", *self.files("dpo"))
        assert command(build_dpo_data.main, *words, *engine) == 0


@pytest.fixture
def lesson(tree: Path, tmp_path: Path) -> Lesson:
    return Lesson(tmp_path, tree)


@pytest.fixture
def teacher(
    request: pytest.FixtureRequest, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TeacherServer]:
    """The server, as the proxy of this process; its error rate is the fixture's parameter."""
    rate = getattr(request, "param", 0.0)
    server = TeacherServer(0, load_teacher(tree / "truth.jsonl", rate, seed=2), latency_s=0)
    with server.running():
        environment = with_teacher.proxied(os.environ, server.address)
        for name in os.environ.keys() - environment.keys():
            monkeypatch.delenv(name)
        monkeypatch.setenv("http_proxy", environment["http_proxy"])
        yield server


def judged(lesson: Lesson) -> dict[tuple[str, str, str], Any]:
    """The results by image, question and the text of the solution."""
    return {
        (row["image"], row["question"], " ".join(row["steps"])): row["step_judge_result"]
        for row in rows(lesson.folder / "labels.jsonl")
    }


def unquoted(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result as it is told where no evidence is asked for."""
    return {name: value for name, value in result.items() if name != "evidence"}


def known(tree: Path) -> dict[tuple[str, str, str], Any]:
    found = {}
    for row in rows(tree / "truth.jsonl"):
        subset, _, rest = row["image"].partition("/")
        for solution in row["solutions"]:
            key = (f"{subset}/image/{rest}", row["question"], " ".join(solution["steps"]))
            found[key] = [unquoted(result) for result in solution["results"]]
    return found


def test_a_teacher_without_errors_tells_the_truth(
    lesson: Lesson, teacher: TeacherServer, tree: Path
) -> None:
    lesson.teach()
    found = judged(lesson)
    assert found
    assert found.items() <= known(tree).items()
    truths = {row["image_sha256"]: row["description"] for row in rows(tree / "truth.jsonl")}
    said = {row["image_description"] for row in rows(lesson.folder / "descriptions.jsonl")}
    assert said <= set(truths.values())
    assert len(list((lesson.folder / "store").glob("*/*.jsonl"))) == 3
    assert all(row["corruption"]["errors"] for row in rows(lesson.folder / "dpo.jsonl"))


@pytest.mark.parametrize("teacher", [0.4], indirect=True)
def test_broken_replies_are_asked_for_again(
    lesson: Lesson, teacher: TeacherServer, tree: Path
) -> None:
    lesson.teach(max_failures=0.2)
    stored = Counter(
        row["k"] for path in (lesson.folder / "store").glob("*/*.jsonl") for row in rows(path)
    )
    described = rows(lesson.folder / "descriptions.jsonl")
    assert len(stored) > len(described) * 2 + len(judged(lesson))
    true = {row["description"] for row in rows(tree / "truth.jsonl")}
    assert any(row["image_description"] not in true for row in described), "it never misreads"
    found, true_results = judged(lesson), known(tree)
    wrong = [key for key, results in found.items() if results != true_results[key]]
    assert wrong, "it never misjudges"
    assert all(any(result["score"] == -1 for result in true_results[key]) for key in wrong), (
        "a judgement got by that contradicts the label +"
    )


@pytest.mark.parametrize("asked", ["evidence", "score"])
def test_the_teacher_gives_evidence_where_the_prompt_asks_for_it(tree: Path, asked: str) -> None:
    teacher = load_teacher(tree / "truth.jsonl", 0.0, seed=1)
    row = rows(tree / "truth.jsonl")[-1]
    for solution in row["solutions"]:
        steps = "\n".join(f"Step {n}: {step}" for n, step in enumerate(solution["steps"], start=1))
        text = f'"{asked}"\nQuestion:\n{row["question"]}\nSolution:\n{steps}\nLabel'
        reply = teacher.answer(Query("teacher_steps", text, (row["image_sha256"],)), sample=None)
        found = json.loads(reply)["step_judge_result"]
        results = solution["results"]
        assert found == (results if asked == "evidence" else [unquoted(r) for r in results])


@pytest.fixture
def world_teacher(tmp_path: Path) -> Iterator[tuple[TeacherServer, Path]]:
    """A server that knows the benchmarks' questions, and their folder."""
    words = ("--output", tmp_path / "world", "--questions-per-datasource", 2, "--seed", 2)
    assert command(make_world.main, *words) == 0
    facts = tmp_path / "world/facts.jsonl"
    server = TeacherServer(0, load_teacher(facts, 0.0, seed=1), latency_s=0)
    with server.running():
        yield server, tmp_path / "world"


@pytest.mark.parametrize("file", ["benchmarks.jsonl", "mmmu.jsonl"])
def test_the_teacher_of_the_benchmarks_describes_and_errs(
    world_teacher: tuple[TeacherServer, Path], file: str, tmp_path: Path
) -> None:
    server, world = world_teacher
    words = [
        *("--stage", "describe", "--questions", world / file, "--images", world / "images"),
        *("--output", tmp_path / "out.jsonl", "--noise-by", "teacher"),
        *("--min-errors", "2", "--max-errors", "3", "--max-failures", "0"),
        *("--store", tmp_path / "store", "--backend", "api", "--model", "m"),
        *("--base-url", f"{server.address}/v1"),
    ]
    assert command(perception_intervention.main, *words) == 0
    facts = {str(row["image"]): row for row in rows(world / "facts.jsonl")}
    described = rows(tmp_path / "out.jsonl")
    assert described
    for row in described:
        meta, truth = row["perception_intervention_meta"], facts[str(row["image"])]
        oracle = meta["oracle_description"]
        assert oracle == truth["caption"]
        errors = meta["noisy_description"]["errors"]
        assert [error["kind"] for error in errors] == ["number"] * 2
        right = Caption.model_validate(oracle).to_text()
        assert meta["noisy_description"]["text"] != right


def ask(teacher: TeacherServer, body: Mapping[str, Any], stage: str) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    url = f"{teacher.address}/v1/chat/completions"
    return session.post(url, json=body, headers={"X-EVPV-Stage": stage}, timeout=10)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"type": "image_url"}], "expected messages with pictures"),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}],
            "these pictures are not known",
        ),
    ],
)
def test_what_is_not_known_is_refused(
    teacher: TeacherServer, content: list[Any], reason: str
) -> None:
    body = {"messages": [{"role": "user", "content": content}]}
    reply = ask(teacher, body, "teacher_describe")
    assert reply.status_code == 400
    assert reason in reply.json()["error"]["message"]


# A command with the teacher beside it

CLIENT = """
import requests, sys
reply = requests.post("http://teacher.test/v1/chat/completions", json={"messages": []})
print(reply.status_code, reply.json()["error"]["message"])
sys.exit(7)
"""


def beside(tree: Path, *words: str) -> list[str]:
    module = (sys.executable, "-m", "evpv_prm.diagrams.with_teacher")
    return [*module, "--truth", str(tree / "truth.jsonl"), "--", *words]


def test_the_command_reaches_the_teacher_at_a_fixed_address(tree: Path) -> None:
    done = subprocess.run(
        beside(tree, sys.executable, "-c", CLIENT), capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("400 these pictures are not known")


def test_a_stopped_command_leaves_nothing_behind(tree: Path, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    sleeper = f"import time, pathlib; pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    process = subprocess.Popen(beside(tree, sys.executable, "-c", sleeper))
    while not ready.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
