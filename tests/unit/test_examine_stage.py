"""Examining a model of the trainings: what is asked, and what becomes of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import examine_stage as stage
from evpv_prm.engine.base import Failure, Reply, Request, Result
from evpv_prm.jsonl import write_rows
from tests.scripted import Answer, ScriptedEngine
from tests.stages import failing, labelled, prompt_of, rows_of, run_stage, stored

SOLUTIONS = [labelled("one", "two bad", pid=str(number)) for number in range(4)]
QUESTIONS = [
    {
        "id": f"Bars-{number}", "question": f"Q{number}?", "answer": "9", "image": "a.png",
        "datasource": "Bars", "image_sha256": ["0"],
        "facts": [
            {"name": "red bar", "value": 7, "statement": "The red bar shows 7."},
            {"name": "blue bar", "value": number, "statement": f"The blue bar shows {number}."},
        ],
    }
    for number in range(4)
]  # fmt: skip

Examine = Callable[..., int]


def answer(request: Request) -> Result:
    """A model that sees a blue 2 everywhere, and calls every step right."""
    match request.stage:
        case "describe":
            said = "The red bar shows 7. The blue bar shows 2."
            return Reply(json.dumps({"image_description": said}))
        case "caption":
            return Reply(json.dumps({"caption": "seen", "key_facts": [], "uncertain": []}))
    return Reply("1", None)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(answer)


@pytest.fixture
def examine(
    images: Path, tmp_path: Path, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> Examine:
    write_rows(tmp_path / "v.jsonl", SOLUTIONS)
    write_rows(tmp_path / "f.jsonl", QUESTIONS)

    def perform(*words: str, answers: Answer = answer) -> int:
        engine.answer = answers
        arguments = [
            *("--benchmark", str(tmp_path / "v.jsonl"), "--images", str(images)),
            *("--output", str(tmp_path / "out"), "--model", "m", *words),
        ]
        return run_stage(
            stage, arguments, lambda _: stored(engine, tmp_path / "store"), monkeypatch
        )

    return perform


def facts(tmp_path: Path, folder: str = "images") -> list[str]:
    return ["--facts", str(tmp_path / "f.jsonl"), "--facts-images", str(tmp_path / folder)]


def written(tmp_path: Path, name: str) -> list[dict[str, Any]]:
    return rows_of(tmp_path / "out" / f"{name}.jsonl")


def test_descriptions_and_judgements_are_written(examine: Examine, tmp_path: Path) -> None:
    assert examine(*facts(tmp_path)) == 0
    described = written(tmp_path, "descriptions")
    assert [row["pid"] for row in described] == [f"Bars-{number}" for number in range(4)]
    assert [row["facts_right"] for row in described] == [[True, number == 2] for number in range(4)]
    assert {row["image_description"] for row in described} == {
        "The red bar shows 7. The blue bar shows 2."
    }
    judged = written(tmp_path, "solutions")
    assert [row["step_predict"] for row in judged] == [[1, 1]] * 4
    assert all(row["structured_vision"]["caption"] == "seen" for row in judged)


def test_without_facts_the_steps_alone_are_judged(
    examine: Examine, engine: ScriptedEngine, tmp_path: Path
) -> None:
    assert examine(*facts(tmp_path)) == 0
    assert examine() == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["solutions.jsonl"]
    assert examine("--facts", "f.jsonl") == 2


def test_a_limit_spreads_over_the_files(
    examine: Examine, engine: ScriptedEngine, tmp_path: Path
) -> None:
    assert examine(*facts(tmp_path), "--limit", "2", "--describe-max-tokens", "7") == 0
    assert [row["pid"] for row in written(tmp_path, "descriptions")] == ["Bars-0", "Bars-2"]
    assert [row["pid"] for row in written(tmp_path, "solutions")] == ["0", "2"]
    asked = [request for request in engine.answered if request.stage == "describe"]
    assert {request.sampling.max_tokens for request in asked} == {7}
    assert stage.spread("abcdefgh", 3) == ["a", "c", "f"]
    assert stage.spread("ab", 3) == stage.spread("ab", None) == ["a", "b"]


def test_what_fails_is_counted_and_states_nothing(examine: Examine, tmp_path: Path) -> None:
    answers = failing(answer, "describe", "Q1?", Failure("truncated"))
    assert examine(*facts(tmp_path), answers=answers) == 1
    assert not (tmp_path / "out").exists()
    assert examine(*facts(tmp_path), "--max-failures=1", answers=answers) == 0
    row = written(tmp_path, "descriptions")[1]
    assert (row["image_description"], row["facts_right"]) == (None, [False, False])
    assert row["failures"] == ["describe:truncated"]


def test_an_image_that_is_missing_is_no_request(
    examine: Examine, engine: ScriptedEngine, tmp_path: Path
) -> None:
    assert examine(*facts(tmp_path, "nowhere"), "--max-failures=1") == 0
    row = written(tmp_path, "descriptions")[0]
    assert row["failures"] == ["question:missing_image"]
    assert {request.stage for request in engine.answered} == {"caption", "judge"}


def test_a_question_is_described_as_candidates_are_scored(
    examine: Examine, engine: ScriptedEngine, tmp_path: Path
) -> None:
    assert examine(*facts(tmp_path)) == 0
    asked = [prompt_of(request) for request in engine.answered if request.stage == "describe"]
    assert len(asked) == len(set(asked)) == 4
    assert "Q0?" in asked[0]
