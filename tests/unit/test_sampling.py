"""The sampling stage: what it asks the policy, and what it makes of the answers."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import policy_inference as stage
from evpv_prm.config import Candidates
from evpv_prm.data.questions import read_questions
from evpv_prm.engine.base import Failure, Reply, Request, Result
from evpv_prm.jsonl import write_rows
from evpv_prm.policy_inference import draw_sampling
from tests.scripted import ScriptedEngine
from tests.stages import draw, prompt_of, rows_of, run_stage, stored

SEED = 5


def question(pid: str, image: Any = "a.png", **fields: Any) -> dict[str, Any]:
    row = {"question": f"Question {pid}?", "answer": "A", "image": image, "datasource": "D"}
    return {"pid": pid, **row, **fields}


def answer(request: Request) -> Result:
    """A policy whose answer is its seed."""
    step = {"steptext": f"sample {request.sample_index}", "visualdependency": "f"}
    reply = {"reasoningprocess": [step], "finalanswer": str(request.sampling.seed)}
    return Reply(json.dumps(reply))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    draw(tmp_path / "images/a.png", "white")
    draw(tmp_path / "images/b.png", "black")
    return tmp_path / "images"


def sample(
    rows: list[dict[str, Any]],
    images: Path,
    engine: ScriptedEngine,
    options: Candidates | None = None,
    seed: int = SEED,
) -> list[dict[str, Any]]:
    write_rows(images.parent / "q.jsonl", rows)
    questions = read_questions(images.parent / "q.jsonl")
    with stored(engine, images.parent / "store") as stored_engine:
        records = stage.sample(questions, images, stored_engine, options or Candidates(), seed)
    return [record.to_row() for record in records]


def responses(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row[f"vlmresponse{n}"] for n in range(1, 100) if f"vlmresponse{n}" in row]


# Seeds and sampling


@given(st.integers(0, 2**31), st.text(min_size=1), st.integers(0, 63))
def test_a_draw_is_repeatable_and_within_its_bounds(seed: int, pid: str, index: int) -> None:
    options = Candidates()
    drawn = draw_sampling(options, seed, pid, index)
    assert drawn == draw_sampling(options, seed, pid, index)
    assert options.temperature_low <= drawn.temperature <= options.temperature_high
    assert options.top_p_low <= drawn.top_p <= options.top_p_high
    assert 0 <= drawn.seed < 2**63
    assert drawn.repetition_penalty == options.repetition_penalty


def test_no_two_candidates_of_a_run_share_a_seed() -> None:
    pids = [f"MathVision-{n}" for n in range(2000)]
    seeds = [
        draw_sampling(Candidates(), SEED, pid, index).seed for pid in pids for index in range(8)
    ]
    assert len(set(seeds)) == len(seeds)
    # Engines count on from a request's seed when they draw several samples.
    firsts = sorted(seeds[::8])
    assert all(later - earlier >= 64 for earlier, later in pairwise(firsts))
    assert seeds[0] % 64 == 0
    assert seeds[:8] == list(range(seeds[0], seeds[0] + 8))


def test_another_run_seed_draws_others() -> None:
    ours = {draw_sampling(Candidates(), 1, "p", index) for index in range(8)}
    theirs = {draw_sampling(Candidates(), 2, "p", index) for index in range(8)}
    assert not ours & theirs
    assert len({s.temperature for s in ours}) > 1
    assert len({s.top_p for s in ours}) > 1


@pytest.mark.parametrize(
    ("options", "field", "expected"),
    [
        ({"temperature_low": 0.25, "temperature_high": 0.25}, "temperature", 0.25),
        ({"top_p_low": 0.5, "top_p_high": 0.5}, "top_p", 0.5),
        ({"repetition_penalty": 1.5}, "repetition_penalty", 1.5),
        ({"presence_penalty": -1.0}, "presence_penalty", -1.0),
        ({"frequency_penalty": 0.125}, "frequency_penalty", 0.125),
        ({"max_tokens": 17}, "max_tokens", 17),
    ],
)
def test_options_reach_the_engine(
    options: dict[str, Any], field: str, expected: float, images: Path
) -> None:
    """Regression: an engine dropped penalties and seeds without a word."""
    engine = ScriptedEngine(answer)
    sample([question("p")], images, engine, Candidates(**options))
    assert {getattr(request.sampling, field) for request in engine.answered} == {expected}
    usual = ScriptedEngine(answer)
    sample([question("p")], images, usual)
    assert {getattr(request.sampling, field) for request in usual.answered} != {expected}


def test_longest_steps_are_part_of_the_form(images: Path) -> None:
    engine = ScriptedEngine(answer)
    sample([question("p")], images, engine, Candidates(max_steps=2, max_step_characters=9))
    schema = engine.answered[0].json_schema
    assert schema is not None
    process = schema["properties"]["reasoningprocess"]
    assert process["maxItems"] == 2
    assert process["items"]["properties"]["steptext"]["maxLength"] == 9


@pytest.mark.parametrize("letters_only", [True, False])
def test_letters_alone_are_allowed_on_request(letters_only: bool, images: Path) -> None:
    engine = ScriptedEngine(answer)
    choice = question("p", question="Which?\n(A) one\n(B) two")
    rows = [choice, question("q", question="How long is AB?")]
    options = Candidates(letters_only=letters_only, num_candidates=1)
    sample(rows, images, engine, options)
    allowed = [r.json_schema["properties"]["finalanswer"] for r in engine.answered]  # type: ignore[index]
    assert (allowed[0] == {"enum": ["A", "B"]}) == letters_only
    assert "enum" not in allowed[1]


# Requests and candidates


def test_every_question_is_asked_for_all_its_candidates(images: Path) -> None:
    engine = ScriptedEngine(answer)
    rows = [question("p"), question("q", ["b.png", "a.png"])]
    sampled = sample(rows, images, engine, Candidates(num_candidates=3))
    assert [request.stage for request in engine.answered] == ["policy"] * 6
    assert [request.sample_index for request in engine.answered] == [0, 1, 2, 0, 1, 2]
    assert [[i.path.name for i in r.images] for r in engine.answered] == [["a.png"]] * 3 + [
        ["b.png", "a.png"]
    ] * 3
    for row, pid in zip(sampled, "pq", strict=True):
        assert len(responses(row)) == 3
        for index, response in enumerate(responses(row)):
            assert response["reasoningprocess"][0]["steptext"] == f"sample {index}"
            drawn = draw_sampling(Candidates(), SEED, pid, index)
            assert response["finalanswer"] == str(drawn.seed)
            assert response["sampling"] == {
                "seed": drawn.seed,
                "temperature": drawn.temperature,
                "top_p": drawn.top_p,
            }


def test_candidates_share_one_prompt(images: Path) -> None:
    """Regression: a number and a time in every prompt kept engines from sharing it."""
    engine = ScriptedEngine(answer)
    sample([question("p")], images, engine)
    assert len({prompt_of(request) for request in engine.answered}) == 1
    assert len(engine.answered) == 8


def test_images_stand_where_the_question_names_them(images: Path) -> None:
    row = question("p", ["a.png", "b.png"], question="Is <image 2> like <image 1>?")
    engine = ScriptedEngine(answer)
    sample([row], images, engine, Candidates(num_candidates=1))
    (request,) = engine.answered
    assert [image.path.name for image in request.images] == ["b.png", "a.png"]
    assert prompt_of(request).endswith("Is \0 like \0?")


def test_a_record_keeps_its_fields(images: Path) -> None:
    row = question("p", ["a.png"], choices=["x", "y"], ID="7", key={"k": None})
    (sampled,) = sample([row], images, ScriptedEngine(answer))
    assert {key: sampled[key] for key in row} == row
    assert set(sampled) - set(row) == {f"vlmresponse{n}" for n in range(1, 9)}


@pytest.mark.parametrize(
    ("result", "kind", "text"),
    [
        (Failure("truncated", "after 9 tokens", '{"reas'), "truncated", '{"reas'),
        (Reply("The answer is A."), "invalid_json", "The answer is A."),
        (Reply('{"finalanswer": "A"}'), "invalid_candidate", '{"finalanswer": "A"}'),
        (
            Reply('{"reasoningprocess": [], "finalanswer": "A"}'),
            "no_steps",
            '{"reasoningprocess": [], "finalanswer": "A"}',
        ),
    ],
)
def test_a_bad_reply_fails_its_candidate_alone(
    result: Result, kind: str, text: str, images: Path
) -> None:
    """Regression: any object was taken for a candidate, and truncated replies were accepted."""
    engine = ScriptedEngine(lambda r: result if r.sample_index == 1 else answer(r))
    (row,) = sample([question("p")], images, engine)
    failed = responses(row)[1]
    assert (failed["error"], failed["rawoutput"]) == (kind, text)
    assert failed["sampling"]["seed"] == draw_sampling(Candidates(), SEED, "p", 1).seed
    assert [index for index, r in enumerate(responses(row)) if "error" in r] == [1]


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("no.png", "missing_image"),
        (["a.png", "no.png"], "missing_image"),
        ("folder", "unreadable_image"),
        ("../secret.png", "image_outside_root"),
    ],
)
def test_a_question_whose_image_cannot_be_used_is_not_asked(
    image: Any, kind: str, images: Path
) -> None:
    (images / "folder").mkdir()
    draw(images.parent / "secret.png")
    engine = ScriptedEngine(answer)
    failed, good = sample([question("p", image), question("q")], images, engine)
    assert failed["error"] == kind
    assert failed["detail"]
    assert responses(failed) == []
    assert len(responses(good)) == 8
    assert not [request for request in engine.answered if "Question p?" in prompt_of(request)]


# Runs


def rows_of_a_shard() -> list[dict[str, Any]]:
    """Three questions, of which two share a picture, and one whose picture is not there."""
    return [question("p"), question("q", "no.png"), question("r"), question("s", "b.png")]


@pytest.mark.parametrize("order_seed", range(4))
def test_the_order_of_the_replies_does_not_matter(order_seed: int, images: Path) -> None:
    """Regression: after a pause, answers moved on to the next question."""
    expected = sample(rows_of_a_shard(), images, ScriptedEngine(answer))
    shuffled = ScriptedEngine(answer, {"engine": "shuffled"}, order_seed=order_seed)
    assert sample(rows_of_a_shard(), images, shuffled) == expected
    assert len(shuffled.answered) == 24


def command(images: Path, output: Path, *words: str) -> list[str]:
    write_rows(images.parent / "q.jsonl", rows_of_a_shard())
    return [
        "--questions", str(images.parent / "q.jsonl"), "--images", str(images),
        "--output", str(output), "--model", "m", "--seed", str(SEED), *words,
    ]  # fmt: skip


@pytest.mark.parametrize(("allowed", "status"), [("0.2", 1), ("0.25", 0), ("0", 1), ("1", 0)])
def test_a_question_that_is_not_asked_counts_with_all_its_candidates(
    allowed: str,
    status: int,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = ScriptedEngine(answer)
    output = tmp_path / "c.jsonl"
    words = command(images, output, "--max-failures", allowed)
    assert run_stage(stage, words, lambda _: stored(engine, tmp_path / "s"), monkeypatch) == status
    assert output.exists() == (status == 0)
    assert ("8 of 32 candidates failed" in capsys.readouterr().err) == (status == 1)


@pytest.mark.parametrize("dies_after", [0, 3, 23])
def test_an_engine_that_dies_loses_only_what_was_in_flight(
    dies_after: int, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: a second run began anew and appended to the first one's output."""
    expected, output = tmp_path / "undisturbed.jsonl", tmp_path / "c.jsonl"
    whole = ScriptedEngine(answer)
    words = command(images, expected, "--max-failures=1")
    assert run_stage(stage, words, lambda _: stored(whole, tmp_path / "u"), monkeypatch) == 0
    assert [row["pid"] for row in rows_of(expected)] == ["p", "q", "r", "s"]

    words = command(images, output, "--max-failures=1")
    dying = ScriptedEngine(answer, order_seed=1, dies_after=dies_after)
    assert run_stage(stage, words, lambda _: stored(dying, tmp_path / "s"), monkeypatch) == 2
    assert not output.exists()
    rest = ScriptedEngine(answer)
    assert run_stage(stage, words, lambda _: stored(rest, tmp_path / "s"), monkeypatch) == 0
    assert output.read_bytes() == expected.read_bytes()
    assert len(dying.answered) + len(rest.answered) == len(whole.answered)

    none = ScriptedEngine(answer, dies_after=0)
    assert run_stage(stage, words, lambda _: stored(none, tmp_path / "s"), monkeypatch) == 0
    assert output.read_bytes() == expected.read_bytes()


def test_more_candidates_ask_for_the_further_ones_alone(images: Path) -> None:
    sample([question("p")], images, ScriptedEngine(answer), Candidates(num_candidates=4))
    engine = ScriptedEngine(answer)
    (row,) = sample([question("p")], images, engine, Candidates(num_candidates=6))
    assert [request.sample_index for request in engine.answered] == [4, 5]
    assert len(responses(row)) == 6
    (fewer,) = sample([row], images, ScriptedEngine(answer), Candidates(num_candidates=2))
    assert len(responses(fewer)) == 2
