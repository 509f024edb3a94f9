"""The corruption stage: what the judge is asked in every pass, and what is written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import constraint_corruption_ablation as stage
from evpv_prm.config_step_level import ConstraintCorruption, StepJudging
from evpv_prm.data.constraint_records import ConstraintRecord
from evpv_prm.data.step_records import StepRecord, read_step_records
from evpv_prm.engine.base import Failure, Reply, Request, Result
from evpv_prm.jsonl import write_rows
from evpv_prm.records import Caption
from evpv_prm.step_judging import caption_solutions, judge_group, load_solutions, view
from tests.scripted import ScriptedEngine
from tests.stages import (
    EVIDENCE_FLAGS,
    labelled,
    prompt_of,
    rows_of,
    run_stage,
    stored,
    verdict_of,
)

REAL = Path(os.environ.get("EVPV_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
REAL_FILE = REAL / "visualprocessbench/vpb_samples.jsonl"
SEED = 11
RATIOS = ConstraintCorruption().ratios
CAPTION = {
    "caption": "A triangle with a side of 5cm.",
    "key_facts": ["AB is 3.", "AB < CD", "D is left of E", "the angle is 45°"],
    "uncertain": ["the colour"],
}


def record(pid: str = "p", steps: Sequence[str] = ("one", "two bad"), **fields: Any) -> Any:
    return labelled(*steps, **{"pid": pid, "question": f"Question {pid}?", **fields})


def answer(request: Request) -> Result:
    """A verifier that holds every step for right as long as it is told that AB is 3."""
    if request.stage == "caption":
        return Reply(json.dumps(CAPTION))
    return verdict_of(request, "AB is 3." in prompt_of(request))


def judge(
    rows: list[dict[str, Any]], images: Path, engine: ScriptedEngine
) -> list[ConstraintRecord]:
    solutions = load_solutions([StepRecord.model_validate(row) for row in rows], images)
    with stored(engine, images.parent / "store") as stored_engine:
        return stage.judge_corruptions(solutions, stored_engine, StepJudging(), RATIOS, SEED)


@dataclass
class CountingEngine(ScriptedEngine):
    """Keeps the number of requests of each submission."""

    submissions: list[int] = field(default_factory=list)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Result]]:
        self.submissions.append(len(requests))
        return super().generate(requests)


def test_all_passes_are_submitted_together(images: Path) -> None:
    engine = CountingEngine(answer)
    judge([record("p"), record("q", ["x"])], images, engine)
    captions, judgements = engine.submissions
    assert captions == 2
    assert [request.stage for request in engine.answered[:2]] == ["caption", "caption"]
    assert judgements == len({r.key({}) for r in engine.answered if r.stage == "judge"})
    assert {bool(r.images) for r in engine.answered[2:]} == {True, False}


def test_the_baseline_asks_what_the_step_verifier_asks(images: Path) -> None:
    solutions = load_solutions([StepRecord.model_validate(record())], images)
    verifier = ScriptedEngine(answer)
    with stored(verifier, images.parent / "verifier") as engine:
        captions = caption_solutions(solutions, engine, StepJudging(), SEED)
    expected = judge_group(solutions[0], captions[0], view(StepJudging()), SEED)
    engine = ScriptedEngine(answer)
    judge([record()], images, engine)
    asked = {request.key({}) for request in engine.answered}
    assert {request.key({}) for request in (*verifier.answered, *expected)} <= asked


def test_the_judge_sees_the_corrupted_caption_and_nothing_of_its_making(images: Path) -> None:
    """Regression: other experiments marked what they had corrupted in the text for the judge."""
    engine = ScriptedEngine(answer)
    (judged,) = judge([record()], images, engine)
    shown = {prompt_of(request) for request in engine.answered if request.stage == "judge"}
    passes = list(judged.passes())
    assert len(passes) == 2 * 13
    for each in passes:
        caption = each.vision_json
        assert isinstance(caption, Caption)
        part = f"Description:\n{caption.to_text()}\n\nSteps:"
        assert sum(part in text for text in shown) == 2 * len(judged.steps)
    for text in shown:
        assert not any(word in text.lower() for word in ("drop", "flip", "ablat", "corrupt"))
        assert "Uncertain:\n- the colour\n\n" in text


def test_without_the_image_the_judge_sees_the_same_text_alone(images: Path) -> None:
    engine = ScriptedEngine(answer)
    judge([record()], images, engine)
    judged = [request for request in engine.answered if request.stage == "judge"]
    with_image = {prompt_of(r).replace("\0", "") for r in judged if r.images}
    without_image = {prompt_of(r) for r in judged if not r.images}
    assert with_image == without_image
    assert len(judged) == len(with_image) + len(without_image)


def test_every_pass_is_written_with_its_own_judgements(images: Path) -> None:
    (judged,) = judge([record()], images, ScriptedEngine(answer))
    row = judged.to_row()
    assert row["response"] == record()["response"]
    assert row["structured_vision"] == CAPTION
    assert (row["step_predict"], row["failures"]) == ([1, 1], [])
    for name in ("constraint_experiments", "constraint_experiments_without_image"):
        experiments = row[name]
        assert list(experiments) == ["baseline", "drop", "flip"]
        assert experiments["baseline"] == {
            "vision_json": CAPTION,
            "step_predict": [1, 1],
            "step_probabilities": [pytest.approx(0.75)] * 2,
            "failures": [],
        }
        for mode in ("drop", "flip"):
            assert list(experiments[mode]) == ["0.1", "0.2", "0.4", "0.6", "0.8", "1.0"]
            for ratio, each in experiments[mode].items():
                assert (each["meta"]["type"], each["meta"]["ratio"]) == (mode, float(ratio))
                kept = "AB is 3." in each["vision_json"]["key_facts"]
                assert each["step_predict"] == ([1, 1] if kept else [-1, -1])
            assert experiments[mode]["1.0"]["meta"]["realised"] == 1.0
            assert experiments[mode]["1.0"]["step_predict"] == [-1, -1]
    assert ConstraintRecord.model_validate(row) == judged


def test_a_caption_of_which_nothing_is_left_is_not_shown(images: Path) -> None:
    def certain(request: Request) -> Result:
        if request.stage == "caption":
            return Reply(json.dumps({**CAPTION, "uncertain": []}))
        return answer(request)

    engine = ScriptedEngine(certain)
    (judged,) = judge([record()], images, engine)
    emptied = judged.constraint_experiments.drop["1.0"]
    assert emptied.vision_json == Caption(caption="", key_facts=[], uncertain=[])
    assert emptied.step_predict == [-1, -1]
    bare = [r for r in engine.answered if "Description:" not in prompt_of(r)]
    assert [bool(r.images) for r in bare if r.stage == "judge"] == [True, True, False, False]


@pytest.mark.parametrize(
    ("fields", "result", "failures"),
    [
        ({"image": ["gone.png"]}, None, ["question:missing_image"]),
        ({}, Failure("timeout"), ["caption:timeout"]),
        ({}, Reply("nothing"), ["caption:invalid_json"]),
    ],
)
def test_what_cannot_be_described_fails_in_every_pass(
    fields: dict[str, Any], result: Result | None, failures: list[str], images: Path
) -> None:
    engine = ScriptedEngine(lambda request: result or answer(request))
    (judged,) = judge([record(**fields)], images, engine)
    assert [r for r in engine.answered if r.stage == "judge"] == []
    passes = list(judged.passes())
    assert len(passes) == 26
    for each in passes:
        assert each.step_predict == [None, None]
        assert (each.vision_json, each.failures) == (None, failures)
    assert all(each.meta is None for each in judged.constraint_experiments.drop.values())
    assert judged.failures == failures


def test_a_failed_judgement_fails_in_the_passes_that_asked_for_it_alone(images: Path) -> None:
    def failing(request: Request) -> Result:
        text = prompt_of(request)
        if request.stage == "judge" and "AB is 3." not in text and text.endswith("step 2 right? "
            "Answer 1 or -1."):  # fmt: skip
            return Failure("timeout")
        return answer(request)

    (judged,) = judge([record()], images, ScriptedEngine(failing))
    for each in judged.passes():
        kept = each.vision_json is not None and "AB is 3." in each.vision_json.key_facts
        assert each.step_predict == ([1, 1] if kept else [-1, None])
        assert each.failures == ([] if kept else ["judge[1]:timeout"])


def test_a_record_is_judged_alike_wherever_it_stands(images: Path) -> None:
    alone = judge([record("q")], images, ScriptedEngine(answer))
    beside = judge([record("p"), record("q")], images, ScriptedEngine(answer, order_seed=3))
    assert alone[0] == beside[1]
    assert beside[0].constraint_experiments != beside[1].constraint_experiments


def test_real_records_keep_what_they_hold(tmp_path: Path) -> None:
    if not REAL_FILE.is_file():
        pytest.skip(f"{REAL_FILE} not found; set EVPV_REAL_DATA")
    records = read_step_records(REAL_FILE)
    engine = ScriptedEngine(answer)
    with stored(engine, tmp_path) as stored_engine:
        solutions = load_solutions(records, REAL_FILE.parent / "images")
        judged = stage.judge_corruptions(solutions, stored_engine, StepJudging(), RATIOS, SEED)
    for record, before in zip(judged, records, strict=True):
        row = record.to_row()
        assert {name: row[name] for name in before.to_row()} == before.to_row()
        for each in record.passes():
            assert (None in each.step_predict) == (record.failures == ["question:missing_image"])


# The command


def run(
    images: Path, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, ScriptedEngine, Path]:
    write_rows(images.parent / "benchmark.jsonl", rows)
    engine = ScriptedEngine(answer)
    output = images.parent / "out.jsonl"
    flags = [f"--benchmark={images.parent / 'benchmark.jsonl'}", f"--images={images}"]
    flags += [f"--output={output}", "--model=m", *words]
    status = run_stage(stage, flags, lambda _: stored(engine, images.parent / "store"), monkeypatch)
    return status, engine, output


def test_the_command_writes_the_judged_records(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, engine, output = run(
        images, [record(), record("q")], monkeypatch,
        "--ratios", "0.25", "0.5", "--judge-temperature=0.5", "--history-steps=0",
    )  # fmt: skip
    assert status == 0
    rows = rows_of(output)
    assert [row["pid"] for row in rows] == ["p", "q"]
    assert list(rows[0]["constraint_experiments"]["flip"]) == ["0.25", "0.5"]
    judged = [request for request in engine.answered if request.stage == "judge"]
    assert {request.sampling.temperature for request in judged} == {0.5}
    assert not any("Step 1" in prompt_of(r) and "Step 2" in prompt_of(r) for r in judged)


def test_every_pass_is_judged_in_the_form_of_the_judge(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, output = run(images, [record()], monkeypatch)
    (usual,) = rows_of(output)
    status, engine, _ = run(images, [record()], monkeypatch, *EVIDENCE_FLAGS)
    assert status == 0
    (found,) = rows_of(output)
    assert found == {**usual, "step_evidence": ["Truth of step 1", "Truth of step 2"]}
    judged = [request for request in engine.answered if request.stage == "judge"]
    assert all('"evidence"' in prompt_of(request) for request in judged)


def test_a_rerun_asks_nothing_and_writes_the_same(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, output = run(images, [record()], monkeypatch)
    first = output.read_bytes()
    status, engine, _ = run(images, [record()], monkeypatch)
    assert (status, engine.answered, output.read_bytes()) == (0, [], first)


def test_too_many_failed_judgements_are_an_error(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [record(), record("q", image="gone.png")]
    status, _, output = run(images, rows, monkeypatch)
    assert status == 1
    assert "52 of 104 judgements failed" in capsys.readouterr().err
    assert not output.exists()
    assert run(images, rows, monkeypatch, "--max-failures=0.5")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ratios", "0.5", "0.1"], "expected growing ratios"),
        (["--ratios", "0.5", "0.5"], "expected growing ratios"),
        (["--ratios", "0"], "greater than 0"),
        (["--ratios", "1.5"], "less than or equal to 1"),
    ],
)
def test_ratios_are_shares_that_grow(
    words: list[str],
    message: str,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        status, *_ = run(images, [record()], monkeypatch, *words)
    except SystemExit as stop:
        status = int(str(stop.code))
    assert status == 2
    assert message in capsys.readouterr().err


def test_records_whose_passes_do_not_fit_are_refused(images: Path) -> None:
    (judged,) = judge([record()], images, ScriptedEngine(answer))
    row = judged.to_row()
    row["constraint_experiments"]["drop"]["0.4"]["step_predict"] = [1]
    with pytest.raises(ValueError, match="one judgement a step in every pass"):
        ConstraintRecord.model_validate(row)
    row = judged.to_row()
    del row["constraint_experiments_without_image"]["flip"]["0.4"]
    with pytest.raises(ValueError, match="same ratios"):
        ConstraintRecord.model_validate(row)
