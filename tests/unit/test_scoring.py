"""The scoring stage: what it asks, in which order, and what it makes of the answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import evpv_prm_inference as stage
from evpv_prm.config import JudgeDecoding, Scoring
from evpv_prm.engine.base import Failure, Reply, Request, Result
from evpv_prm.engine.store import StoredEngine
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_rows
from evpv_prm.records import CandidateRecord
from evpv_prm.section import Decoding
from tests.scripted import ScriptedEngine
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


def candidate(*steps: tuple[str, str | None], answer: str = "A") -> dict[str, Any]:
    process = [{"steptext": text, "visualdependency": fact} for text, fact in steps]
    return {"reasoningprocess": process, "finalanswer": answer}


def record(pid: str = "p", image: Any = "a.png", **fields: Any) -> dict[str, Any]:
    row = {"pid": pid, "question": f"Question {pid}?", "answer": "A", "image": image}
    return {**row, "datasource": "D", **fields}


def answer(request: Request) -> Result:
    """A verifier that holds steps with "bad" in them for wrong, and halves facts with "doubt"."""
    text = prompt_of(request)
    if request.stage == "describe":
        return Reply(json.dumps({"image_description": f"seen {len(text)}"}))
    if request.stage == "audit":
        checklist = text.rpartition("Checklist:\n")[2]
        score = 0.5 if "doubt" in checklist else 1.0
        return Reply(json.dumps({"errors_and_hallucinations": [], "p_score": score}))
    steps = text.rpartition("Steps:\n")[2].rpartition("\n\nIs step")[0]
    return verdict_of(request, "bad" not in steps.rpartition("\nStep ")[2])


def score(
    rows: list[dict[str, Any]], images: Path, engine: ScriptedEngine, options: Scoring | None = None
) -> list[dict[str, Any]]:
    records = [CandidateRecord.model_validate(row) for row in rows]
    with stored(engine, images.parent / "store") as stored_engine:
        scored = stage.score(records, images, stored_engine, options or Scoring(), SEED)
    return [record.to_row() for record in scored]


def stages(engine: ScriptedEngine) -> list[str]:
    return [request.stage for request in engine.answered]


THREE = candidate(("one", "AB is 3"), ("two", None), ("three bad", "C is red"))


# Requests


def test_all_descriptions_are_asked_for_first(images: Path) -> None:
    rows = [
        record("p", vlmresponse1=THREE, vlmresponse2=candidate(("x", None))),
        record("q", "b.png", vlmresponse1=candidate(("y", "f"))),
    ]
    engine = ScriptedEngine(answer)
    score(rows, images, engine)
    assert stages(engine) == [
        "describe", "describe",
        "audit", "judge", "judge", "judge",
        "judge",
        "audit", "judge",
    ]  # fmt: skip
    assert [r.images[0].path.name for r in engine.answered[:2]] == ["a.png", "b.png"]
    assert "Question p?" in prompt_of(engine.answered[0])
    assert "Question q?" in prompt_of(engine.answered[1])


def test_what_builds_on_a_description_holds_it_and_the_images(images: Path) -> None:
    row = record("p", ["a.png", "b.png"], vlmresponse1=THREE)
    engine = ScriptedEngine(answer)
    (scored,) = score([row], images, engine)
    description = scored["vlmresponse1"]["eval"]["image_description"]
    assert description.startswith("seen ")
    for request in engine.answered[1:]:
        assert description in prompt_of(request)
        assert [image.path.name for image in request.images] == ["a.png", "b.png"]


def test_an_audit_holds_the_checklist_of_its_candidate(images: Path) -> None:
    facts = [("1", " AB is 3 "), ("2", "C is red"), ("3", "AB is 3"), ("4", "null")]
    engine = ScriptedEngine(answer)
    (scored,) = score([record(vlmresponse1=candidate(*facts))], images, engine)
    (audit,) = [request for request in engine.answered if request.stage == "audit"]
    assert prompt_of(audit).endswith("Checklist:\n- AB is 3\n- C is red")
    evaluation = scored["vlmresponse1"]["eval"]
    assert evaluation["visual_checklist"] == "- AB is 3\n- C is red"
    assert evaluation["visual_step_indices"] == [0, 1, 2]


def test_a_candidate_without_visual_facts_is_not_audited(images: Path) -> None:
    engine = ScriptedEngine(answer)
    (scored,) = score([record(vlmresponse1=candidate(("x", None)))], images, engine)
    assert stages(engine) == ["describe", "judge"]
    evaluation = scored["vlmresponse1"]["eval"]
    assert evaluation["visual_checklist"] == "(empty)"
    assert evaluation["local_p_score"] == 1.0
    assert evaluation["visual_checklist_evaluation"] is None
    assert evaluation["final_step_scores"] == [1]
    assert evaluation["failures"] == []


@pytest.mark.parametrize("history", [0, 1, 3, 12])
def test_a_judge_sees_the_last_steps_under_their_own_numbers(history: int, images: Path) -> None:
    """Regression: a shortened history was numbered from 1."""
    row = record(vlmresponse1=candidate(*((f"text {n}", None) for n in range(1, 7))))
    engine = ScriptedEngine(answer)
    score([row], images, engine, Scoring(history_steps=history))
    judged = [prompt_of(request) for request in engine.answered if request.stage == "judge"]
    assert len(judged) == 6
    for number, text in enumerate(judged, start=1):
        shown = [n for n in range(1, 7) if f"Step {n}: text {n}\n" in text]
        assert shown == list(range(max(1, number - history), number + 1))
        assert f"Is step {number} right?" in text


@pytest.mark.parametrize(
    ("options", "stage_name", "expected"),
    [
        (Scoring(describe=Decoding(temperature=0.7)), "describe", {"temperature": 0.7}),
        (Scoring(describe=Decoding(top_p=0.7)), "describe", {"top_p": 0.7}),
        (Scoring(describe=Decoding(max_tokens=7)), "describe", {"max_tokens": 7}),
        (Scoring(audit=Decoding(temperature=0.7)), "audit", {"temperature": 0.7}),
        (Scoring(audit=Decoding(top_p=0.7)), "audit", {"top_p": 0.7}),
        (Scoring(audit=Decoding(max_tokens=7)), "audit", {"max_tokens": 7}),
        (Scoring(judge=JudgeDecoding(temperature=0.7)), "judge", {"temperature": 0.7}),
        (Scoring(judge=JudgeDecoding(top_p=0.7)), "judge", {"top_p": 0.7}),
        (Scoring(judge=JudgeDecoding(max_tokens=7)), "judge", {"max_tokens": 7}),
    ],
)
def test_each_stage_is_sampled_as_it_is_told(
    options: Scoring, stage_name: str, expected: dict[str, Any], images: Path
) -> None:
    """Regression: judgements were sampled like descriptions."""
    default, changed = ScriptedEngine(answer), ScriptedEngine(answer)
    row = record(vlmresponse1=candidate(("x", "f")))
    score([row], images, default)
    score([row], images, changed, options)
    told = [request for request in changed.answered if request.stage == stage_name]
    assert told
    for request in told:
        usual = next(r for r in default.answered if r.stage == stage_name)
        assert request.sampling == replace(usual.sampling, **expected)
    # What did not change is served from the store.
    assert stages(changed) == [stage_name] * len(told)


def test_longest_description_and_audit_are_part_of_the_form(images: Path) -> None:
    engine = ScriptedEngine(answer)
    row = record(vlmresponse1=candidate(("x", "f")))
    options = Scoring(max_description_characters=77, max_audit_errors=3, max_audit_characters=55)
    score([row], images, engine, options)
    describe, audit, _ = engine.answered
    assert describe.json_schema is not None
    assert audit.json_schema is not None
    assert describe.json_schema["properties"]["image_description"]["maxLength"] == 77
    assert audit.json_schema["properties"]["errors_and_hallucinations"]["maxItems"] == 3
    assert audit.json_schema["properties"]["omissions"]["items"]["maxLength"] == 55


def test_requests_are_seeded_and_verdicts_have_log_probabilities(images: Path) -> None:
    """Regression: judgements were drawn without a seed."""
    engine = ScriptedEngine(answer)
    score([record(vlmresponse1=THREE)], images, engine)
    seeds = [request.sampling.seed for request in engine.answered]
    assert len(set(seeds)) == len(seeds), "one seed for all would make all draw alike"
    again = ScriptedEngine(answer)
    score([record(vlmresponse1=THREE)], images, again)
    assert again.answered == [], "the same requests again are all in the store"
    for request in engine.answered:
        judged = request.stage == "judge"
        assert (request.sampling.top_logprobs > 0) == judged
        assert (request.choices == ("1", "-1")) == judged
        assert (request.json_schema is None) == judged


def test_the_same_question_is_asked_once(images: Path) -> None:
    same = candidate(("x", "f"), ("y", None))
    rows = [
        record("p", question="Same?", vlmresponse1=same, vlmresponse2=same),
        record("q", question="Same?", vlmresponse1=same),
    ]
    engine = ScriptedEngine(answer)
    first, second = score(rows, images, engine)
    assert Counter(stages(engine)) == {"describe": 1, "audit": 1, "judge": 2}
    assert first["vlmresponse1"] == first["vlmresponse2"] == second["vlmresponse1"]


def test_two_questions_about_one_image_have_a_description_each(images: Path) -> None:
    """Regression: the description of an image's first question was used for the others."""
    rows = [record(pid, vlmresponse1=candidate(("x", None))) for pid in ("p", "longer")]
    engine = ScriptedEngine(answer)
    scored = score(rows, images, engine)
    assert len(scored) == 2
    descriptions = {row["vlmresponse1"]["eval"]["image_description"] for row in scored}
    assert len(descriptions) == 2


# Evaluations


def test_a_right_visual_step_is_worth_the_reliability(images: Path) -> None:
    steps = (("one", "doubtful"), ("two", None), ("bad", "f"), ("bad", None))
    (scored,) = score([record(vlmresponse1=candidate(*steps))], images, ScriptedEngine(answer))
    evaluation = scored["vlmresponse1"]["eval"]
    assert evaluation["local_p_score"] == 0.5
    assert evaluation["raw_step_scores"] == [1, 1, -1, -1]
    assert evaluation["final_step_scores"] == [0.5, 1, -1, -1]
    assert evaluation["step_probabilities"] == pytest.approx([0.75] * 4)
    assert evaluation["visual_checklist_evaluation"]["p_score"] == 0.5
    assert evaluation["failures"] == []


def test_a_record_keeps_its_fields_and_gains_the_description(images: Path) -> None:
    failed = {"error": "timeout", "rawoutput": ""}
    row = record(own={"x": 1}, vlmresponse1=THREE, vlmresponse2=failed)
    (scored,) = score([row], images, ScriptedEngine(answer))
    assert {key: scored[key] for key in row if key != "vlmresponse1"} == {
        key: value for key, value in row.items() if key != "vlmresponse1"
    }
    response = dict(scored["vlmresponse1"])
    evaluation = response.pop("eval")
    assert response == THREE
    assert scored["__golden_image_description__"] == evaluation["image_description"]
    raw = json.loads(scored["__golden_image_description_raw__"])
    assert raw == {"image_description": evaluation["image_description"]}
    assert set(scored) - set(row) == {
        "__golden_image_description__",
        "__golden_image_description_raw__",
    }


def evaluations(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row[key]["eval"] for key in row if key.startswith("vlmresponse") and "eval" in row[key]]


@pytest.mark.parametrize(
    ("result", "kind", "raw"),
    [
        (Failure("truncated", "after 9 tokens", "half"), "truncated", "half"),
        (Reply("Error: no picture"), "invalid_json", "Error: no picture"),
        (Reply('{"image_description": " "}'), "no_description", '{"image_description": " "}'),
    ],
)
def test_a_failed_description_fails_the_question_alone(
    result: Result, kind: str, raw: str, images: Path
) -> None:
    """Regression: the text of an error was used as the picture's description."""
    rows = [record("p", vlmresponse1=THREE, vlmresponse2=THREE), record("q", vlmresponse1=THREE)]
    engine = ScriptedEngine(failing(answer, "describe", "Question p?", result))
    failed, good = score(rows, images, engine)
    assert len([r for r in engine.answered if "Question p?" in prompt_of(r)]) == 1
    for evaluation in evaluations(failed):
        assert evaluation["failures"] == [f"describe:{kind}"]
        assert evaluation["image_description"] is None
        assert evaluation["local_p_score"] is None
        assert evaluation["raw_step_scores"] == [None] * 3
        assert evaluation["final_step_scores"] == [None] * 3
    assert len(evaluations(failed)) == 2
    assert failed["__golden_image_description__"] is None
    assert failed["__golden_image_description_raw__"] == raw
    (evaluation,) = evaluations(good)
    assert evaluation["failures"] == []


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (Failure("timeout"), "timeout"),
        (Reply("p_score: 0.5"), "invalid_json"),
        (Reply('{"p_score": 1.5}'), "invalid_p_score"),
        (Reply("{}"), "invalid_p_score"),
    ],
)
def test_a_failed_audit_is_no_reliability_of_zero(result: Result, kind: str, images: Path) -> None:
    """Regression: an audit that could not be read counted as p = 0."""
    row = record(
        vlmresponse1=candidate(("one", "bent"), ("two", None), ("bad", "f")), vlmresponse2=THREE
    )
    engine = ScriptedEngine(failing(answer, "audit", "bent", result))
    failed, good = evaluations(score([row], images, engine)[0])
    assert failed["failures"] == [f"audit:{kind}"]
    assert failed["local_p_score"] is None
    assert failed["visual_checklist_evaluation"] is None
    assert failed["raw_step_scores"] == [1, 1, -1]
    assert failed["final_step_scores"] == [None, 1, -1]
    assert good["failures"] == []
    assert good["local_p_score"] == 1.0


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (Failure("http_500"), "http_500"),
        (Reply("Step 2 is right"), "invalid_verdict"),
        (Reply(""), "invalid_verdict"),
        (Reply("0.1"), "invalid_verdict"),
    ],
)
def test_a_failed_judgement_is_no_label(result: Result, kind: str, images: Path) -> None:
    """Regression: replies that were no verdict became right or wrong steps."""
    row = record(vlmresponse1=THREE, vlmresponse2=candidate(("other", "f"), ("more", None)))
    engine = ScriptedEngine(failing(answer, "judge", "Step 2: two", result))
    row_scored = score([row], images, engine, Scoring(history_steps=0))[0]
    failed, good = evaluations(row_scored)
    assert failed["failures"] == [f"judge[1]:{kind}"]
    assert failed["raw_step_scores"] == [1, None, -1]
    assert failed["final_step_scores"] == [1.0, None, -1]
    assert failed["step_probabilities"][1] is None
    assert good["failures"] == []
    assert good["raw_step_scores"] == [1, 1]


def test_a_verdict_without_log_probabilities_has_no_probability(images: Path) -> None:
    engine = ScriptedEngine(lambda r: Reply("1") if r.stage == "judge" else answer(r))
    (scored,) = score([record(vlmresponse1=candidate(("x", None)))], images, engine)
    (evaluation,) = evaluations(scored)
    assert evaluation["raw_step_scores"] == [1]
    assert evaluation["step_probabilities"] == [None]
    assert evaluation["failures"] == []


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("no.png", "missing_image"),
        (["a.png", "no.png"], "missing_image"),
        ("folder", "unreadable_image"),
        ("text.png", "unreadable_image"),
        ("../secret.png", "image_outside_root"),
    ],
)
def test_an_image_that_cannot_be_used_is_never_put_to_the_model(
    image: Any, kind: str, images: Path
) -> None:
    """Regression: the text of an error was judged in place of a picture."""
    (images / "folder").mkdir()
    (images / "text.png").write_text("no picture")
    draw(images.parent / "secret.png")
    engine = ScriptedEngine(answer)
    rows = [record("p", image, vlmresponse1=THREE), record("q", vlmresponse1=THREE)]
    failed, good = score(rows, images, engine)
    assert not [r for r in engine.answered if "Question p?" in prompt_of(r)]
    assert [e["failures"] for e in evaluations(failed)] == [[f"describe:{kind}"]]
    assert [e["failures"] for e in evaluations(good)] == [[]]


def test_records_without_candidates_pass_unchanged(images: Path) -> None:
    rows = [
        record("p", "no.png", error="missing_image", detail="no.png does not exist"),
        record("q", vlmresponse1={"error": "timeout"}, vlmresponse2={"error": "no_steps"}),
    ]
    engine = ScriptedEngine(answer)
    assert score(rows, images, engine) == rows
    assert engine.answered == []


def test_a_candidate_without_steps_is_scored_without_a_judge(images: Path) -> None:
    engine = ScriptedEngine(answer)
    (scored,) = score([record(vlmresponse1=candidate())], images, engine)
    (evaluation,) = evaluations(scored)
    assert (evaluation["raw_step_scores"], evaluation["failures"]) == ([], [])
    assert stages(engine) == ["describe"]


def test_scoring_again_replaces_the_scores(images: Path) -> None:
    row = record(vlmresponse1=candidate(("x", "f")))
    (once,) = score([row], images, ScriptedEngine(answer))
    (twice,) = score([once], images, ScriptedEngine(answer))
    assert twice == once


# Evidence and checks


def test_a_judge_gives_its_evidence_and_then_the_verdict(
    shard: list[dict[str, Any]], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(answer)
    words = command(images, tmp_path / "s.jsonl", *EVIDENCE_FLAGS, "--judge-max-tokens", "8")
    assert run_stage(stage, words, lambda _: stored(engine, tmp_path / "s"), monkeypatch) == 0
    found = [e for row in rows_of(tmp_path / "s.jsonl") for e in evaluations(row)]
    plain = [e for row in score(shard, images, ScriptedEngine(answer)) for e in evaluations(row)]
    for evaluation, usual in zip(found, plain, strict=True):
        steps = len(usual["raw_step_scores"])
        truths = [f"Truth of step {n}" for n in range(1, steps + 1)]
        assert evaluation == {**usual, "step_evidence": truths}
        assert usual["step_evidence"] == [None] * steps
    judged = [request for request in engine.answered if request.stage == "judge"]
    assert {request.choices for request in judged} == {None}
    for request in judged:
        assert request.json_schema is not None
        assert request.json_schema["properties"]["evidence"]["maxLength"] == 44
        # room for the evidence and what surrounds it
        assert request.sampling.max_tokens == 8 + 44 + len('{"evidence":"","verdict":}')


def test_of_a_long_reply_the_store_keeps_what_tells_the_verdict(
    shard: list[dict[str, Any]], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = command(images, tmp_path / "s.jsonl", *EVIDENCE_FLAGS)
    engine = ScriptedEngine(answer)
    assert run_stage(stage, words, lambda _: stored(engine, tmp_path / "s"), monkeypatch) == 0
    first = rows_of(tmp_path / "s.jsonl")
    lines = [json.loads(line) for f in tmp_path.rglob("s/*/*.jsonl") for line in f.open()]
    kept = [line["l"] for line in lines if "verdict" in line["t"]]
    assert kept
    for positions in kept:
        assert "".join(next(iter(position)) for position in positions).startswith('"verdict":')
        assert all("?" not in position for position in positions), "next to impossible"
    assert run_stage(stage, words, lambda _: stored(engine, tmp_path / "s"), monkeypatch) == 0
    assert rows_of(tmp_path / "s.jsonl") == first


def test_an_audit_checks_each_fact_first_where_it_is_told_to(images: Path) -> None:
    facts = [("1", " AB is 3 "), ("2", "C is red"), ("3", "AB is 3"), ("4", "null")]
    checks = [{"evidence": "AB is 4", "holds": False}, {"evidence": "C is red", "holds": True}]

    def respond(request: Request) -> Result:
        if request.stage != "audit":
            return answer(request)
        assert request.json_schema is not None
        asked = request.json_schema["properties"]["checks"]
        assert (asked["minItems"], asked["maxItems"]) == (2, 2)
        reply = {"checks": checks, "errors_and_hallucinations": [], "omissions": [], "p_score": 0.5}
        return Reply(json.dumps(reply))

    engine = ScriptedEngine(respond)
    row = record(vlmresponse1=candidate(*facts))
    (scored,) = score([row], images, engine, Scoring(audit_checks=True))
    (evaluation,) = evaluations(scored)
    assert evaluation["visual_checklist_evaluation"]["checks"] == checks
    assert evaluation["local_p_score"] == 0.5


# Runs


@pytest.fixture
def shard(images: Path) -> list[dict[str, Any]]:
    rows = [
        record(
            str(n),
            ["a.png", "b.png"] if n % 3 == 0 else "ab"[n % 2] + ".png",
            vlmresponse1=candidate((f"s{n}", f"fact {n}"), ("bad", None), ("t", "doubt")),
            vlmresponse2=candidate((f"u{n}", None), (f"v{n}", "doubt" if n % 2 else "sure")),
            vlmresponse3={"error": "truncated", "rawoutput": "half"},
        )
        for n in range(5)
    ]
    write_rows(images.parent / "candidates.jsonl", rows)
    return rows


@pytest.mark.parametrize("order_seed", range(6))
def test_the_order_of_the_replies_does_not_matter(
    order_seed: int, shard: list[dict[str, Any]], images: Path
) -> None:
    expected = score(shard, images, ScriptedEngine(answer))
    shuffled = ScriptedEngine(answer, {"engine": "shuffled"}, order_seed=order_seed)
    assert score(shard, images, shuffled) == expected
    assert len(shuffled.answered) > 20


def command(images: Path, output: Path, *words: str) -> list[str]:
    return [
        "--candidates", str(images.parent / "candidates.jsonl"), "--images", str(images),
        "--output", str(output), "--model", "m", "--seed", str(SEED), *words,
    ]  # fmt: skip


def test_a_second_run_opens_no_engine_and_writes_the_same(
    shard: list[dict[str, Any]], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(answer)
    words = command(images, tmp_path / "first.jsonl")
    assert run_stage(stage, words, lambda _: stored(engine, tmp_path / "s"), monkeypatch) == 0
    assert engine.closed

    closed = ScriptedEngine(answer)
    words = command(images, tmp_path / "second.jsonl")
    assert run_stage(stage, words, lambda _: stored(closed, tmp_path / "s"), monkeypatch) == 0
    assert closed.answered == []
    assert (tmp_path / "second.jsonl").read_bytes() == (tmp_path / "first.jsonl").read_bytes()
    assert rows_of(tmp_path / "first.jsonl") == score(shard, images, ScriptedEngine(answer))


@pytest.mark.parametrize("dies_after", [0, 1, 4, 5, 6, 17, 29])
def test_an_engine_that_dies_loses_only_what_was_in_flight(
    dies_after: int,
    shard: list[dict[str, Any]],
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = tmp_path / "undisturbed.jsonl"
    whole = ScriptedEngine(answer)
    words = command(images, expected)
    assert run_stage(stage, words, lambda _: stored(whole, tmp_path / "u"), monkeypatch) == 0

    output = tmp_path / "scored.jsonl"
    words = command(images, output)
    dying = ScriptedEngine(answer, order_seed=1, dies_after=dies_after)
    capsys.readouterr()
    assert run_stage(stage, words, lambda _: stored(dying, tmp_path / "s"), monkeypatch) == 2
    assert "error: the script ends here" in capsys.readouterr().err
    assert not output.exists()

    rest = ScriptedEngine(answer, order_seed=2)
    assert run_stage(stage, words, lambda _: stored(rest, tmp_path / "s"), monkeypatch) == 0
    assert output.read_bytes() == expected.read_bytes()
    assert len(dying.answered) + len(rest.answered) == len(whole.answered)


def test_failures_are_tried_again_and_only_they(shard: list[dict[str, Any]], images: Path) -> None:
    engine = ScriptedEngine(failing(answer, "judge", "Step 1: s3", Failure("timeout")))
    assert score(shard, images, engine)[3]["vlmresponse1"]["eval"]["failures"] != []
    retried = ScriptedEngine(answer)
    rows = score(shard, images, retried)
    assert all(e["failures"] == [] for row in rows for e in evaluations(row))
    assert all("Step 1: s3" in prompt_of(request) for request in retried.answered)


@pytest.mark.parametrize(("allowed", "status"), [("0.09", 1), ("0.1", 0), ("1", 0), ("0", 1)])
def test_too_many_failures_are_an_exit_status_and_no_output(
    allowed: str,
    status: int,
    shard: list[dict[str, Any]],
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One of the ten candidates fails; those that the policy could not make do not count."""
    engine = ScriptedEngine(failing(answer, "audit", "- fact 2", Failure("timeout")))
    output = tmp_path / "scored.jsonl"
    words = command(images, output, "--max-failures", allowed)
    opened: Callable[[Any], StoredEngine] = lambda _: stored(engine, tmp_path / "s")  # noqa: E731
    assert run_stage(stage, words, opened, monkeypatch) == status
    assert output.exists() == (status == 0)
    assert ("1 of 10 candidates failed" in capsys.readouterr().err) == (status == 1)


def test_changing_one_question_asks_for_nothing_else(
    shard: list[dict[str, Any]], images: Path
) -> None:
    score(shard, images, ScriptedEngine(answer))
    shard[2]["question"] = "Another question?"
    engine = ScriptedEngine(answer)
    score(shard, images, engine)
    assert Counter(stages(engine))["describe"] == 1
    assert all(
        "Another question?" in prompt_of(request) or request.stage == "audit"
        for request in engine.answered
    )
    assert len(engine.answered) == 1 + 2 + 5


def test_an_error_of_the_engine_is_the_users(images: Path) -> None:
    engine = ScriptedEngine(answer, dies_after=0)
    with pytest.raises(UserError, match="the script ends here"):
        score([record(vlmresponse1=THREE)], images, engine)
