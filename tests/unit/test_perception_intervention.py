"""Answers with and without what there is to see: who is shown what, and what becomes of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import perception_intervention as stage
from evpv_prm.data.conditions import CONDITIONS
from evpv_prm.engine.base import Failure, Reply, Request, Result
from evpv_prm.jsonl import write_rows
from tests.scripted import Answer, ScriptedEngine
from tests.stages import (
    EVIDENCE_FLAGS,
    draw,
    failing,
    prompt_of,
    rows_of,
    run_stage,
    stored,
    verdict_of,
)

SEED = 11
CAPTION = {
    "caption": "In triangle ABC the side AB is 6 and BC is 8.",
    "key_facts": ["AB = 6", "C lies to the left of D"],
    "uncertain": ["perhaps a ninth side"],
}
ORACLE = (
    "In triangle ABC the side AB is 6 and BC is 8.\nKey facts:\n- AB = 6\n"
    "- C lies to the left of D\nUncertain:\n- perhaps a ninth side"
)
CERTAIN = ORACLE.partition("\nUncertain:")[0]
SECRET = "It used to be six"
Rows = list[dict[str, Any]]


def question(pid: str = "p", image: Any = "a.png", **fields: Any) -> dict[str, Any]:
    row = {"pid": pid, "question": f"Question {pid}?", "answer": "A", "image": image}
    return {**row, "datasource": "D", **fields}


def described_in(request: Request) -> str | None:
    """The description that a prompt holds."""
    _, found, rest = prompt_of(request).partition("\n\nDescription:\n")
    return rest.partition("\n\nSteps:\n")[0] if found else None


def answer(request: Request) -> Result:
    """One model for all parts; steps with "bad" in them are wrong."""
    match request.stage:
        case "teacher_describe":
            return Reply(json.dumps(CAPTION))
        case "noise":
            errors = [
                {"kind": "number", "original": "6", "replacement": "7"},
                {"kind": "number", "original": "8", "replacement": "9"},
                {"kind": "relation", "original": "left", "replacement": "right"},
            ]
            text = described_in(request) or ""
            for error in errors:
                text = text.replace(error["original"], error["replacement"])
            noise = {"errors": errors, "image_description": text, "noise_notes": SECRET}
            return Reply(json.dumps(noise))
        case "solve":
            sight = f"{len(request.images)} pictures, {described_in(request) or 'no text'}"
            reasoning = f"Step 1: {sight.splitlines()[0]} of 3.14 cm.\nStep 2: so\nStep 3: bad"
            return Reply(json.dumps({"reasoning": reasoning, "final": "A"}))
        case "judge":
            steps = prompt_of(request).rpartition("Steps:\n")[2].rpartition("\n\nIs step")[0]
            return verdict_of(request, "bad" not in steps.rpartition("\nStep ")[2])
    raise AssertionError(request.stage)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rows]:
    """Return a function that runs the command on rows and returns those that it writes."""
    draw(tmp_path / "images/a.png", "white")
    draw(tmp_path / "images/b.png", "black")

    def perform(
        rows: Rows, engine: ScriptedEngine, *words: str, store: str = "store", status: int = 0
    ) -> Rows:
        write_rows(tmp_path / "in.jsonl", rows)
        output = tmp_path / "out.jsonl"
        output.unlink(missing_ok=True)
        arguments = [
            "--questions", str(tmp_path / "in.jsonl"), "--images", str(tmp_path / "images"),
            "--output", str(output), "--model", "m", "--seed", str(SEED), "--max-failures", "1",
            *words,
        ]  # fmt: skip
        opened = lambda _: stored(engine, tmp_path / store)  # noqa: E731
        assert run_stage(stage, arguments, opened, monkeypatch) == status
        return rows_of(output) if status == 0 else []

    return perform


def asked(engine: ScriptedEngine, stage_name: str) -> list[Request]:
    return [request for request in engine.answered if request.stage == stage_name]


def outcomes(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = row["perception_intervention_exps"]
    assert list(found) == list(CONDITIONS)
    return found


def errors(row: dict[str, Any]) -> dict[str, str]:
    return {name: one["error"] for name, one in outcomes(row).items() if "error" in one}


def meta(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = row["perception_intervention_meta"]
    return found


# Who is shown what


@pytest.mark.parametrize("noise_by", ["rules", "teacher"])
def test_each_condition_shows_what_it_is_named_after(
    noise_by: str, run: Callable[..., Rows]
) -> None:
    engine = ScriptedEngine(answer)
    (row,) = run([question()], engine, "--noise-by", noise_by)
    noisy = meta(row)["noisy_description"]
    assert noisy["source"] == noise_by
    shown = [(len(one.images), described_in(one)) for one in asked(engine, "solve")]
    assert shown == [(1, None), (1, ORACLE), (0, noisy["text"]), (0, None)]
    prompts = [prompt_of(one) for one in asked(engine, "solve")]
    plain = prompts[3]
    assert prompts[0] == f"\0{plain}"
    assert prompts[1] == f"\0{plain}\n\nDescription:\n{ORACLE}"
    assert prompts[2] == f"{plain}\n\nDescription:\n{noisy['text']}"


@pytest.mark.parametrize("noise_by", ["rules", "teacher"])
def test_nobody_is_told_what_was_falsified(noise_by: str, run: Callable[..., Rows]) -> None:
    """Regression: the solver was shown the teacher's notes of its errors."""
    engine = ScriptedEngine(answer)
    (row,) = run([question()], engine, "--noise-by", noise_by)
    noisy = meta(row)["noisy_description"]
    assert 3 <= len(noisy["errors"]) <= 5
    for error in noisy["errors"]:
        assert set(error) == {"kind", "original", "replacement"}
        assert error["replacement"] in noisy["text"]
    assert noisy["text"] != ORACLE
    assert noisy["text"].endswith("\nUncertain:\n- perhaps a ninth side"), "a doubt is no fact"
    for request in (*asked(engine, "solve"), *asked(engine, "judge")):
        prompt = prompt_of(request)
        assert not any(word in prompt for word in (SECRET, "noise", "replacement", "original"))
    assert SECRET not in json.dumps(row)


def test_the_teacher_sees_the_images_and_what_is_certain(run: Callable[..., Rows]) -> None:
    engine = ScriptedEngine(answer)
    run([question("p", ["a.png", "b.png"])], engine, "--noise-by", "teacher")
    (describe,), (noise,) = asked(engine, "teacher_describe"), asked(engine, "noise")
    assert "Question p?" in prompt_of(describe)
    assert described_in(noise) == CERTAIN
    for request in (describe, noise):
        assert [image.path.name for image in request.images] == ["a.png", "b.png"]


def test_errors_of_rules_follow_from_seed_and_question(run: Callable[..., Rows]) -> None:
    rows = [question("p"), question("q")]
    first, second = (
        run(rows, ScriptedEngine(answer), store="one"),
        run(rows, ScriptedEngine(answer), store="two"),
    )
    assert first == second
    assert meta(first[0])["noisy_description"] != meta(first[1])["noisy_description"]
    few = run(rows, ScriptedEngine(answer), "--min-errors", "1", "--max-errors", "1")
    assert [len(meta(row)["noisy_description"]["errors"]) for row in few] == [1, 1]


def test_all_images_of_a_question_are_shown(run: Callable[..., Rows]) -> None:
    """Regression: a list of images ended the run."""
    engine = ScriptedEngine(answer)
    row = question("p", ["a.png", "b.png"], question="Is <image 2> like <image 1>?")
    run([row], engine)
    for request in engine.answered:
        prompt = prompt_of(request)
        assert "Is [image 2] like [image 1]?" in prompt
        if request.images:
            assert prompt.startswith("[image 1]:\0[image 2]:\0")
            assert [image.path.name for image in request.images] == ["a.png", "b.png"]
    assert Counter(len(one.images) for one in asked(engine, "solve")) == {2: 2, 0: 2}


def test_steps_are_judged_with_the_oracle_and_without_an_image_that_was_not_shown(
    run: Callable[..., Rows],
) -> None:
    """Regression: the judge never saw the description, and always saw the image."""
    engine = ScriptedEngine(answer)
    run([question()], engine)
    judged = asked(engine, "judge")
    assert len(judged) == 4 * 3
    assert {described_in(request) for request in judged} == {ORACLE}
    assert [len(request.images) for request in judged] == [1] * 6 + [0] * 6


def test_steps_can_be_judged_with_what_the_condition_showed(run: Callable[..., Rows]) -> None:
    engine = ScriptedEngine(answer)
    (row,) = run([question()], engine, "--judged-with", "condition")
    noisy = meta(row)["noisy_description"]["text"]
    judged = asked(engine, "judge")[::3]
    assert [described_in(request) for request in judged] == [None, ORACLE, noisy, None]
    assert [len(request.images) for request in judged] == [1, 1, 0, 0]
    assert ["these texts" in prompt_of(request) for request in judged] == [False] * 3 + [True]


def test_the_judge_s_evidence_stands_beside_its_verdicts(run: Callable[..., Rows]) -> None:
    (usual,) = run([question()], ScriptedEngine(answer))
    (row,) = run([question()], ScriptedEngine(answer), *EVIDENCE_FLAGS)
    truths = [f"Truth of step {n}" for n in (1, 2, 3)]
    for name, found in outcomes(row).items():
        plain = outcomes(usual)[name]["prm_eval"]
        assert found["prm_eval"] == {**plain, "step_evidence": truths}


def test_the_judge_numbers_the_steps_itself(run: Callable[..., Rows]) -> None:
    engine = ScriptedEngine(answer)
    (row,) = run([question()], engine, "--history-steps", "1")
    first, second, third = asked(engine, "judge")[:3]
    sight = "1 pictures, no text of 3.14 cm."
    assert f"Steps:\nStep 1: {sight}\n\nIs step 1 right?" in prompt_of(first)
    assert f"Steps:\nStep 1: {sight}\nStep 2: so\n\nIs step 2" in prompt_of(second)
    assert "Steps:\nStep 2: so\nStep 3: bad\n\nIs step 3 right?" in prompt_of(third)
    evaluation = outcomes(row)["cond1"]["prm_eval"]
    assert evaluation == {
        "steps": [f"Step 1: {sight}", "Step 2: so", "Step 3: bad"],
        "step_scores": [1, 1, -1],
        "step_probabilities": pytest.approx([0.75] * 3),
        "step_evidence": [None] * 3,
        "failures": [],
    }


@pytest.mark.parametrize(
    ("flag", "stage_name", "expected"),
    [
        (flag, stage_name, expected)
        for flag, stage_name in (
            ("oracle", "teacher_describe"),
            ("noise", "noise"),
            ("solver", "solve"),
            ("judge", "judge"),
        )
        for expected in ({"temperature": 0.7}, {"top_p": 0.6}, {"max_tokens": 77})
    ],
)
def test_sampling_reaches_the_engine(
    flag: str, stage_name: str, expected: dict[str, Any], run: Callable[..., Rows]
) -> None:
    """Regression: the solver's options were dropped on the way."""
    [(name, value)] = expected.items()
    usual, told = ScriptedEngine(answer), ScriptedEngine(answer)
    run([question()], usual, "--noise-by", "teacher")
    words = ("--noise-by", "teacher", f"--{flag}-{name.replace('_', '-')}", str(value))
    run([question()], told, *words)
    changed = asked(told, stage_name)
    assert {getattr(request.sampling, name) for request in changed} == {value}
    assert {request.stage for request in told.answered} == {stage_name}, "the rest is stored"
    assert value not in {getattr(r.sampling, name) for r in asked(usual, stage_name)}


def test_the_solver_is_sampled_as_the_reference_means_it(run: Callable[..., Rows]) -> None:
    engine = ScriptedEngine(answer)
    run([question()], engine)
    for request in asked(engine, "solve"):
        sampling = request.sampling
        assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.2, 0.9, 2048)
    seeds = [request.sampling.seed for request in engine.answered]
    assert len(set(seeds)) == len(seeds)


def test_the_forms_of_the_replies(run: Callable[..., Rows]) -> None:
    engine = ScriptedEngine(answer)
    words = ("--max-reasoning-characters", "55", "--max-caption-characters", "66")
    row = question(question="Which?\nChoices:\n(A) one\n(B) two")
    run([row], engine, *words, "--letters-only")
    (describe,) = asked(engine, "teacher_describe")
    assert describe.json_schema is not None
    assert describe.json_schema["properties"]["caption"]["maxLength"] == 66
    for request in asked(engine, "solve"):
        assert request.json_schema is not None
        form = request.json_schema["properties"]
        assert form["reasoning"]["maxLength"] == 55
        assert form["final"] == {"enum": ["A", "B"]}
    assert all(request.choices == ("1", "-1") for request in asked(engine, "judge"))


# What fails


@pytest.mark.parametrize("noise_by", ["rules", "teacher"])
def test_a_failed_description_is_no_other_condition(
    noise_by: str, run: Callable[..., Rows]
) -> None:
    """Regression: without the teacher, conditions 2 and 3 were 1 and 4 under other names."""
    engine = ScriptedEngine(failing(answer, "teacher_describe", "Question p?", Failure("timeout")))
    failed, good = run([question("p"), question("q")], engine, "--noise-by", noise_by)
    assert errors(failed) == {"cond2": "describe:timeout", "cond3": "describe:timeout"}
    assert meta(failed) == {
        "oracle_description": None,
        "noisy_description": None,
        "failures": ["describe:timeout"],
    }
    assert len([r for r in asked(engine, "solve") if "Question p?" in prompt_of(r)]) == 2
    for name in ("cond1", "cond4"):
        evaluation = outcomes(failed)[name]["prm_eval"]
        assert evaluation["failures"] == ["describe:timeout"], "the judge has no oracle"
        assert evaluation["step_scores"] == [None] * 3
    assert errors(good) == {}


def test_without_oracle_the_answers_can_be_judged_by_what_was_shown(
    run: Callable[..., Rows],
) -> None:
    engine = ScriptedEngine(failing(answer, "teacher_describe", "", Failure("timeout")))
    (row,) = run([question()], engine, "--judged-with", "condition")
    judged = [outcomes(row)[name]["prm_eval"]["step_scores"] for name in ("cond1", "cond4")]
    assert judged == [[1, 1, -1]] * 2


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (Failure("http_500"), "http_500"),
        (Reply("no JSON"), "invalid_json"),
        (Reply('{"errors": [], "image_description": "x"}'), "invalid_noise"),
    ],
)
def test_a_failed_noise_fails_its_condition_alone(
    result: Result, kind: str, run: Callable[..., Rows]
) -> None:
    engine = ScriptedEngine(failing(answer, "noise", "", result))
    (row,) = run([question()], engine, "--noise-by", "teacher", "--attempts", "2")
    assert errors(row) == {"cond3": f"noise:{kind}"}
    assert meta(row)["failures"] == [f"noise:{kind}"]
    assert meta(row)["oracle_description"] == CAPTION
    assert len(asked(engine, "noise")) == (2 if isinstance(result, Reply) else 1)


def test_a_description_without_anything_to_change_is_a_failure(run: Callable[..., Rows]) -> None:
    bare = Reply(json.dumps({"caption": "a picture", "key_facts": []}))
    (row,) = run([question()], ScriptedEngine(failing(answer, "teacher_describe", "", bare)))
    assert errors(row) == {"cond3": "noise:nothing_to_corrupt"}


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (Failure("truncated", "after 9 tokens", "half"), "truncated"),
        (Reply("The answer is A"), "invalid_json"),
        (Reply('{"reasoning": "r"}'), "invalid_solution"),
        (Reply('{"reasoning": " ", "final": "A"}'), "no_steps"),
        (Reply('{"reasoning": "r", "final": " "}'), "no_answer"),
    ],
)
def test_a_failed_answer_is_recorded_and_not_judged(
    result: Result, kind: str, run: Callable[..., Rows]
) -> None:
    engine = ScriptedEngine(failing(answer, "solve", "\0", result))
    (row,) = run([question()], engine)
    assert errors(row) == {"cond1": f"solve:{kind}", "cond2": f"solve:{kind}"}
    assert outcomes(row)["cond1"]["rawoutput"] == result.text
    assert len(asked(engine, "judge")) == 2 * 3


def test_a_failed_judgement_is_no_label(run: Callable[..., Rows]) -> None:
    engine = ScriptedEngine(failing(answer, "judge", "Is step 2 right", Reply("well")))
    (row,) = run([question()], engine)
    for outcome in outcomes(row).values():
        assert outcome["prm_eval"]["step_scores"] == [1, None, -1]
        assert outcome["prm_eval"]["step_probabilities"][1] is None
        assert outcome["prm_eval"]["failures"] == ["judge[1]:invalid_verdict"]


@pytest.mark.parametrize("image", ["no.png", ["a.png", "no.png"]])
def test_a_question_whose_image_is_missing_is_never_asked(
    image: Any, run: Callable[..., Rows]
) -> None:
    engine = ScriptedEngine(answer)
    failed, good = run([question("p", image), question("q")], engine)
    assert errors(failed) == dict.fromkeys(CONDITIONS, "question:missing_image")
    assert errors(good) == {}
    assert not [request for request in engine.answered if "Question p?" in prompt_of(request)]


@pytest.mark.parametrize(("allowed", "status"), [("0.24", 1), ("0.25", 0)])
def test_too_many_failures_are_an_exit_status_and_no_output(
    allowed: str, status: int, run: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(failing(answer, "solve", CERTAIN, Failure("timeout")))
    run([question("p"), question("q")], engine, "--max-failures", allowed, status=status)
    assert ("2 of 8 answers failed" in capsys.readouterr().err) == (status == 1)


# Stages and runs

ROWS = [question("p", own={"x": 1}), question("q", "b.png"), question("r", ["a.png", "b.png"])]


@pytest.mark.parametrize("noise_by", ["rules", "teacher"])
@pytest.mark.parametrize(
    "respond",
    [
        answer,
        failing(answer, "teacher_describe", "Question q?", Failure("timeout")),
        failing(answer, "solve", "Question q?", Failure("truncated")),
        failing(answer, "judge", "Question r?", Reply("?")),
    ],
)
def test_stage_by_stage_is_all_at_once(
    noise_by: str, respond: Answer, run: Callable[..., Rows]
) -> None:
    rows, words = [*ROWS, question("s", "no.png")], ("--noise-by", noise_by)
    whole = run(rows, ScriptedEngine(respond), *words, store="whole")
    parts: Rows = rows
    seen = []
    for name in ("describe", "solve", "judge"):
        engine = ScriptedEngine(respond, {"engine": name})
        parts = run(parts, engine, "--stage", name, *words, store=name)
        seen.append({request.stage for request in engine.answered})
    assert parts == whole
    teacher = {"teacher_describe"} | ({"noise"} if noise_by == "teacher" else set())
    assert seen == [teacher, {"solve"}, {"judge"}]


def test_a_record_keeps_its_fields_and_holds_no_envelope(run: Callable[..., Rows]) -> None:
    rows = run(ROWS, ScriptedEngine(answer))
    for row, before in zip(rows, ROWS, strict=True):
        assert {key: row[key] for key in before} == before
        assert set(row) - set(before) == {
            "perception_intervention_exps",
            "perception_intervention_meta",
        }
        assert set(outcomes(row)["cond1"]) == {"reasoning", "final", "prm_eval"}
        assert set(meta(row)) == {"oracle_description", "noisy_description", "failures"}


def test_describing_again_drops_answers_of_before(run: Callable[..., Rows]) -> None:
    once = run(ROWS, ScriptedEngine(answer))
    again = run(once, ScriptedEngine(answer), "--stage", "describe")
    assert not any("perception_intervention_exps" in row for row in again)


def test_a_limit_takes_the_first(run: Callable[..., Rows]) -> None:
    rows = run(ROWS, ScriptedEngine(answer), "--limit", "2")
    assert [row["pid"] for row in rows] == ["p", "q"]


@pytest.mark.parametrize("dies_after", [0, 2, 4, 9, 30])
def test_a_run_that_was_killed_goes_on_where_it_stopped(
    dies_after: int, run: Callable[..., Rows]
) -> None:
    whole = ScriptedEngine(answer)
    expected = run(ROWS, whole, "--noise-by", "teacher", store="whole")
    dying = ScriptedEngine(answer, order_seed=1, dies_after=dies_after)
    run(ROWS, dying, "--noise-by", "teacher", status=2)
    rest = ScriptedEngine(answer, order_seed=2)
    assert run(ROWS, rest, "--noise-by", "teacher") == expected
    assert len(dying.answered) + len(rest.answered) == len(whole.answered)
    last = ScriptedEngine(answer)
    assert run(ROWS, last, "--noise-by", "teacher") == expected
    assert last.answered == []


def test_blank_lines_neither_repeat_nor_skip_a_question(
    run: Callable[..., Rows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: blank lines were counted as records when a run went on."""
    run(ROWS[:1], ScriptedEngine(answer))
    file = tmp_path / "blank.jsonl"
    file.write_text("\n" + "\n\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    words = ["--questions", str(file), "--images", str(tmp_path / "images"), "--model", "m"]
    words += ["--output", str(tmp_path / "out.jsonl")]
    opened = lambda _: stored(ScriptedEngine(answer), tmp_path / "store")  # noqa: E731
    assert run_stage(stage, words, opened, monkeypatch) == 0
    assert [row["pid"] for row in rows_of(tmp_path / "out.jsonl")] == ["p", "q", "r"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("solve", {}, "in.jsonl:1: perception_intervention_meta: Field required"),
        ("judge", {"perception_intervention_meta": {}}, "in.jsonl:1: perception_intervention_meta"),
        (
            "solve",
            {
                "perception_intervention_meta": {
                    "oracle_description": None,
                    "noisy_description": None,
                    "failures": [],
                }
            },
            "expected both descriptions, or a failure that says why not",
        ),
    ],
)
def test_a_stage_refuses_what_is_not_the_output_of_the_one_before(
    name: str,
    change: dict[str, Any],
    message: str,
    run: Callable[..., Rows],
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = ScriptedEngine(answer)
    run([{**question(), **change}], engine, "--stage", name, status=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert engine.answered == []


def test_a_missing_condition_is_named(
    run: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = run([question()], ScriptedEngine(answer), "--stage", "describe")
    capsys.readouterr()
    row["perception_intervention_exps"] = {"cond1": {"reasoning": "r", "final": "A"}}
    run([row], ScriptedEngine(answer), "--stage", "judge", status=2)
    assert "expected cond2, cond3, cond4 too" in capsys.readouterr().err


def test_few_errors_may_not_be_more_than_many(
    run: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    run([question()], ScriptedEngine(answer), "--min-errors", "6", status=2)
    assert "min_errors (6) must not exceed max_errors (5)" in capsys.readouterr().err
