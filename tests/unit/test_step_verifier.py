"""The step verifier: what it asks, in which order, and what it makes of the answers."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import step_verifier as stage
from evpv_prm.config_step_level import CaptionDecoding, StepGate, StepJudging, VerdictDecoding
from evpv_prm.data.step_records import StepRecord, read_step_records
from evpv_prm.engine.base import Failure, Reply, Request, Result
from evpv_prm.jsonl import write_rows
from evpv_prm.step_gate import gate_records
from evpv_prm.step_judging import load_solutions
from tests.scripted import ScriptedEngine
from tests.stages import (
    EVIDENCE_FLAGS,
    draw,
    failing,
    labelled,
    prompt_of,
    rows_of,
    run_stage,
    stored,
    verdict_of,
)
from tests.unit.test_step_records import REAL_FILE

SEED = 11
STEPS = ("one sees AB", "two adds", "three bad", "four", "five", "six", "seven")


def steps_of(text: str) -> list[str]:
    """The steps that a judge is shown, the one to judge last."""
    shown = text.rpartition("Steps:\n")[2].rpartition("\n\nIs step")[0]
    return [line.partition(": ")[2] for line in shown.splitlines()]


def answer(request: Request) -> Result:
    """A verifier that holds steps with "bad" in them for wrong, and halves facts with "doubt"."""
    text = prompt_of(request)
    match request.stage:
        case "caption":
            facts = [f"fact {len(text)}"]
            return Reply(json.dumps({"caption": "seen", "key_facts": facts, "uncertain": []}))
        case "split":
            solution = re.findall(r"^Step \d+: (.*)$", text, re.MULTILINE)
            facts = [step if "sees" in step else None for step in solution]
            return Reply(json.dumps({"visual_dependencies": facts}))
        case "audit":
            score = 0.5 if "doubt" in text.rpartition("Checklist:\n")[2] else 1.0
            return Reply(json.dumps({"errors_and_hallucinations": [], "p_score": score}))
    return verdict_of(request, "bad" not in steps_of(text)[-1])


def verify(
    rows: list[dict[str, Any]],
    images: Path,
    engine: ScriptedEngine,
    judging: StepJudging | None = None,
    gate: StepGate | None = None,
    **options: bool,
) -> list[dict[str, Any]]:
    records = [
        StepRecord.model_validate({"pid": str(number), **row}) for number, row in enumerate(rows)
    ]
    solutions = load_solutions(records, images)
    with stored(engine, images.parent / "store") as opened:
        judged = stage.verify(solutions, opened, judging or StepJudging(), SEED, **options)
        if gate is not None:
            judged = gate_records(judged, solutions, opened, gate, SEED)
    return [record.to_row() for record in judged]


def stages(engine: ScriptedEngine) -> list[str]:
    return [request.stage for request in engine.answered]


def judged_prompts(engine: ScriptedEngine) -> list[str]:
    return [prompt_of(request) for request in engine.answered if request.stage == "judge"]


# Requests


def test_all_captions_are_asked_for_first(images: Path) -> None:
    rows = [labelled("a", "b"), labelled("c", question="Other?", image="b.png")]
    engine = ScriptedEngine(answer)
    verify(rows, images, engine)
    assert stages(engine) == ["caption", "caption", "judge", "judge", "judge"]
    caption = engine.answered[0]
    assert "Q?" in prompt_of(caption)
    assert caption.json_schema is not None
    assert caption.json_schema["properties"]["caption"]["maxLength"] == 600


def test_a_direct_judge_sees_no_caption(images: Path) -> None:
    engine = ScriptedEngine(answer)
    (row,) = verify([labelled("a", "bad")], images, engine, direct=True)
    assert stages(engine) == ["judge", "judge"]
    assert all("Description:" not in text for text in judged_prompts(engine))
    assert all(len(request.images) == 1 for request in engine.answered)
    assert row["structured_vision"] is None
    assert row["step_predict"] == [1, -1]
    assert row["failures"] == []


def test_a_judge_sees_the_caption(images: Path) -> None:
    engine = ScriptedEngine(answer)
    (row,) = verify([labelled("a")], images, engine)
    facts = row["structured_vision"]["key_facts"]
    assert facts[0].startswith("fact ")
    assert f"Description:\nseen\nKey facts:\n- {facts[0]}" in judged_prompts(engine)[0]


@pytest.mark.parametrize("direct", [False, True])
def test_all_images_of_a_record_are_shown(images: Path, direct: bool) -> None:
    """Regression: only the first image of a list was used."""
    engine = ScriptedEngine(answer)
    row = labelled("a", image=["images/a.png", "b.png"], question="Is <image 1> <image 2>?")
    verify([row], images, engine, direct=direct)
    assert len(engine.answered) == (1 if direct else 2)
    for request in engine.answered:
        assert [image.path.name for image in request.images] == ["a.png", "b.png"]
        assert prompt_of(request).count("\0") == 2


@pytest.mark.parametrize("block", range(1, 6))
@pytest.mark.parametrize("history", [None, 0, 2])
def test_no_judge_sees_a_later_step(block: int, history: int | None, images: Path) -> None:
    """Regression: judged in blocks, a step had the later ones of its block in sight."""
    engine = ScriptedEngine(answer)
    judging = StepJudging(block_size=block, history_steps=history)
    verify([labelled(*STEPS)], images, engine, judging)
    prompts = judged_prompts(engine)
    assert [steps_of(text)[-1] for text in prompts] == list(STEPS)
    for index, text in enumerate(prompts):
        start = index - index % block
        first = 0 if history is None else max(0, start - history)
        assert steps_of(text) == list(STEPS[first : index + 1])
        assert f"Step {index + 1}: {STEPS[index]}" in text
        assert not [step for step in STEPS[index + 1 :] if step in text]


@pytest.mark.parametrize("history", [None, 0, 2])
def test_within_a_block_each_prompt_begins_with_its_predecessor(
    history: int | None, images: Path
) -> None:
    """All but the closing sentence, which names the step to judge."""
    engine = ScriptedEngine(answer)
    verify([labelled(*STEPS)], images, engine, StepJudging(block_size=3, history_steps=history))
    prompts = judged_prompts(engine)
    for index in (1, 2, 4, 5):
        shared = prompts[index - 1].rpartition("\n\nIs step")[0]
        assert prompts[index].startswith(shared + "\nStep ")
        assert engine.answered[index].images == engine.answered[index + 1].images


def test_the_same_caption_is_asked_for_once(images: Path) -> None:
    rows = [labelled("a"), labelled("b", policy_model="Other"), labelled("c", question="Other?")]
    engine = ScriptedEngine(answer)
    one, two, three = verify(rows, images, engine)
    assert Counter(stages(engine)) == {"caption": 2, "judge": 3}
    assert one["structured_vision"] == two["structured_vision"] != three["structured_vision"]


@pytest.mark.parametrize(
    ("judging", "stage_name", "field", "value"),
    [
        (StepJudging(caption=CaptionDecoding(temperature=0.7)), "caption", "temperature", 0.7),
        (StepJudging(caption=CaptionDecoding(top_p=0.7)), "caption", "top_p", 0.7),
        (StepJudging(caption=CaptionDecoding(max_tokens=7)), "caption", "max_tokens", 7),
        (StepJudging(judge=VerdictDecoding(temperature=0.7)), "judge", "temperature", 0.7),
        (StepJudging(judge=VerdictDecoding(top_p=0.7)), "judge", "top_p", 0.7),
        (StepJudging(judge=VerdictDecoding(max_tokens=7)), "judge", "max_tokens", 7),
    ],
)
def test_each_stage_is_sampled_as_it_is_told(
    judging: StepJudging, stage_name: str, field: str, value: float, images: Path
) -> None:
    usual, changed = ScriptedEngine(answer), ScriptedEngine(answer)
    verify([labelled("a")], images, usual)
    verify([labelled("a")], images, changed, judging)
    # What did not change is served from the store.
    assert stages(changed) == [stage_name]
    assert getattr(changed.answered[0].sampling, field) == value
    assert value not in {getattr(request.sampling, field) for request in usual.answered}


def test_verdicts_are_constrained_and_have_log_probabilities(images: Path) -> None:
    engine = ScriptedEngine(answer)
    verify([labelled("a", "b")], images, engine)
    seeds = [request.sampling.seed for request in engine.answered]
    assert len(set(seeds)) == len(seeds), "one seed for all would make all draw alike"
    for request in engine.answered:
        judged = request.stage == "judge"
        assert (request.choices == ("1", "-1")) == judged
        assert (request.sampling.top_logprobs > 0) == judged


def test_a_longest_caption_is_part_of_the_form(images: Path) -> None:
    engine = ScriptedEngine(answer)
    verify([labelled("a")], images, engine, StepJudging(max_caption_characters=77))
    schema = engine.answered[0].json_schema
    assert schema is not None
    assert schema["properties"]["key_facts"]["items"]["maxLength"] == 77


# Records


def test_the_ground_truth_and_all_other_fields_stay_as_they_are(images: Path) -> None:
    """Regression: predictions were written over the labels."""
    row = labelled("a", "b", own={"x": [1]}, pid="p")
    row["response"] |= {"process_correctness": [0, -1], "more": "kept"}
    before = copy.deepcopy(row)
    (judged,) = verify([row], images, ScriptedEngine(answer))
    assert {name: judged[name] for name in before} == before
    assert judged["step_predict"] == [1, 1]
    assert judged["step_probabilities"] == pytest.approx([0.75, 0.75])
    assert set(judged) - set(before) == {
        "structured_vision",
        "step_predict",
        "step_probabilities",
        "step_evidence",
        "failures",
    }


def test_judging_again_replaces_what_was_written(images: Path) -> None:
    (gated,) = verify([labelled("one sees", pid="p")], images, ScriptedEngine(answer), None, GATE)
    (again,) = verify([gated], images, ScriptedEngine(answer), direct=True)
    (direct,) = verify([labelled("one sees", pid="p")], images, ScriptedEngine(answer), direct=True)
    assert again == direct


@pytest.mark.parametrize("minus", "−–—﹣－")
def test_any_minus_is_a_minus(minus: str, images: Path) -> None:
    """Regression: a typographic minus became a right step."""
    engine = ScriptedEngine(failing(answer, "judge", "", Reply(f"{minus}1")))
    (row,) = verify([labelled("a")], images, engine)
    assert (row["step_predict"], row["failures"]) == ([-1], [])


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
    engine = ScriptedEngine(failing(answer, "judge", "Is step 2 right?", result))
    (row,) = verify([labelled("a", "b", "bad")], images, engine)
    assert row["step_predict"] == [1, None, -1]
    assert row["step_probabilities"][1] is None
    assert row["failures"] == [f"judge[1]:{kind}"]
    assert row["structured_vision"] is not None


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (Failure("truncated", text="half"), "truncated"),
        (Reply("Error: no picture"), "invalid_json"),
        (Reply('{"caption": " ", "key_facts": []}'), "no_caption"),
    ],
)
def test_a_record_whose_caption_failed_is_not_judged(
    result: Result, kind: str, images: Path
) -> None:
    """Regression: a placeholder stood in for the caption, and the record was judged with it."""
    rows = [labelled("a", "b"), labelled("c", question="Other?")]
    engine = ScriptedEngine(failing(answer, "caption", "Q?", result))
    failed, good = verify(rows, images, engine)
    assert stages(engine) == ["caption", "caption", "judge"]
    assert failed["failures"] == [f"caption:{kind}"]
    assert failed["structured_vision"] is None
    assert failed["step_predict"] == failed["step_probabilities"] == [None, None]
    assert good["failures"] == []


def test_a_caption_that_is_unsure_of_nothing_is_no_failure(images: Path) -> None:
    """Regression: a text in place of the list of doubts stopped the run."""
    said = {"caption": "c", "key_facts": ["f"], "uncertain": "none"}
    engine = ScriptedEngine(failing(answer, "caption", "", Reply(json.dumps(said))))
    (row,) = verify([labelled("a")], images, engine)
    assert row["structured_vision"] == {**said, "uncertain": ["none"]}
    assert row["failures"] == []


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("no.png", "missing_image"),
        (["a.png", "no.png"], "missing_image"),
        ("text.png", "unreadable_image"),
        ("../secret.png", "image_outside_root"),
    ],
)
def test_an_image_that_cannot_be_used_is_never_put_to_the_model(
    image: Any, kind: str, direct: bool, images: Path
) -> None:
    """Regression: a question was judged by its text alone when its picture was missing."""
    (images / "text.png").write_text("no picture")
    draw(images.parent / "secret.png")
    engine = ScriptedEngine(answer)
    rows = [labelled("a", "b", image=image, question="Lost?"), labelled("c")]
    failed, good = verify(rows, images, engine, direct=direct)
    assert not [request for request in engine.answered if "Lost?" in prompt_of(request)]
    assert failed["failures"] == [f"question:{kind}"]
    assert failed["step_predict"] == [None, None]
    assert good["failures"] == []


def test_a_record_without_steps_is_written_without_asking(images: Path) -> None:
    engine = ScriptedEngine(answer)
    (row,) = verify([labelled(image="no.png")], images, engine, None, GATE)
    assert engine.answered == []
    assert (row["step_predict"], row["step_probabilities"]) == ([], [])
    assert row["failures"] == ["no_steps"]


@pytest.mark.parametrize("order_seed", range(4))
def test_the_order_of_the_replies_does_not_matter(order_seed: int, images: Path) -> None:
    rows = [
        labelled(*STEPS[n:], question=f"Q{n}?", image=["a.png", "b.png"][: n % 2 + 1])
        for n in range(4)
    ]
    expected = verify(rows, images, ScriptedEngine(answer), None, GATE)
    shuffled = ScriptedEngine(answer, {"engine": "shuffled"}, order_seed=order_seed)
    assert verify(rows, images, shuffled, None, GATE) == expected
    assert len(shuffled.answered) > 20


# The gate

GATE = StepGate()


def test_a_gate_weighs_right_visual_steps_by_the_reliability(images: Path) -> None:
    engine = ScriptedEngine(answer)
    row = labelled("one sees doubt", "two", "bad sees", "one sees doubt")
    (gated,) = verify([row], images, engine, None, GATE)
    assert stages(engine) == ["caption", *["judge"] * 4, "split", "audit"]
    assert gated["visual_dependencies"] == ["one sees doubt", None, "bad sees", "one sees doubt"]
    assert gated["visual_checklist"] == "- one sees doubt\n- bad sees"
    assert gated["visual_step_indices"] == [0, 2, 3]
    assert gated["local_p_score"] == 0.5
    assert gated["visual_checklist_evaluation"]["p_score"] == 0.5
    assert gated["step_predict"] == [1, 1, -1, 1]
    assert gated["final_step_scores"] == [0.5, 1, -1, 0.5]
    assert gated["failures"] == []


def test_a_gate_asks_for_the_facts_of_the_solution_without_the_images(images: Path) -> None:
    engine = ScriptedEngine(answer)
    row = labelled("one sees", "two", image=["a.png", "b.png"])
    (gated,) = verify([row], images, engine, None, GATE)
    split, audit = engine.answered[-2:]
    assert split.images == []
    assert prompt_of(split).endswith("Solution (2 steps):\nStep 1: one sees\nStep 2: two")
    assert split.json_schema is not None
    entries = split.json_schema["properties"]["visual_dependencies"]
    assert (entries["minItems"], entries["maxItems"]) == (2, 2)
    assert [image.path.name for image in audit.images] == ["a.png", "b.png"]
    caption = gated["structured_vision"]
    assert f"Key facts:\n- {caption['key_facts'][0]}" in prompt_of(audit)


def test_an_audit_checks_each_fact_first_where_it_is_told_to(images: Path) -> None:
    engine = ScriptedEngine(answer)
    row = labelled("one sees doubt", "two", "bad sees", "one sees doubt")
    (gated,) = verify([row], images, engine, None, StepGate(audit_checks=True))
    schema = engine.answered[-1].json_schema
    assert schema is not None
    checks = schema["properties"]["checks"]
    assert (checks["minItems"], checks["maxItems"]) == (2, 2)
    assert gated["local_p_score"] == 0.5


def test_a_solution_without_visual_facts_is_not_audited(images: Path) -> None:
    engine = ScriptedEngine(answer)
    (gated,) = verify([labelled("a", "bad")], images, engine, None, GATE)
    assert "audit" not in stages(engine)
    assert gated["visual_checklist"] == "(empty)"
    assert gated["local_p_score"] == 1.0
    assert gated["final_step_scores"] == [1, -1]


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (Failure("timeout"), "timeout"),
        (Reply("nothing visual"), "invalid_json"),
        (Reply("{}"), "invalid_premises"),
        (Reply('{"visual_dependencies": [null]}'), "wrong_count"),
    ],
)
def test_without_facts_no_right_step_has_a_final_score(
    result: Result, kind: str, images: Path
) -> None:
    engine = ScriptedEngine(failing(answer, "split", "", result))
    (gated,) = verify([labelled("one sees", "bad")], images, engine, None, GATE)
    assert gated["failures"] == [f"premises:{kind}"]
    assert gated["visual_dependencies"] is gated["visual_checklist"] is None
    assert gated["local_p_score"] is None
    assert gated["step_predict"] == [1, -1]
    assert gated["final_step_scores"] == [None, -1]


def test_a_failed_audit_is_no_reliability_of_zero(images: Path) -> None:
    engine = ScriptedEngine(failing(answer, "audit", "", Reply('{"p_score": 2}')))
    (gated,) = verify([labelled("one sees", "two", "bad")], images, engine, None, GATE)
    assert gated["failures"] == ["audit:invalid_p_score"]
    assert gated["local_p_score"] is None
    assert gated["final_step_scores"] == [None, 1, -1]
    assert gated["step_predict"] == [1, 1, -1]


def test_a_record_that_was_not_judged_has_no_gate(images: Path) -> None:
    rows = [labelled("one sees"), labelled("one sees", question="Other?"), labelled("x")]
    engine = ScriptedEngine(failing(answer, "caption", "Other?", Failure("timeout")))
    good, failed, also_good = verify(rows, images, engine, None, GATE)
    assert Counter(stages(engine)) == {"caption": 2, "judge": 2, "split": 2, "audit": 1}
    assert failed["failures"] == ["caption:timeout"]
    assert "local_p_score" not in failed
    assert (good["local_p_score"], also_good["local_p_score"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("changed", "stage_name", "sent"),
    [
        ({"premises": {"max_tokens": 7}}, "split", {"max_tokens": 7}),
        ({"premises": {"temperature": 0.7}}, "split", {"temperature": 0.7}),
        ({"premises": {"top_p": 0.7}}, "split", {"top_p": 0.7}),
        ({"audit": {"max_tokens": 7}}, "audit", {"max_tokens": 7}),
        ({"audit": {"temperature": 0.7}}, "audit", {"temperature": 0.7}),
        ({"audit": {"top_p": 0.7}}, "audit", {"top_p": 0.7}),
        ({"max_premise_characters": 77}, "split", '"maxLength": 77'),
        ({"max_audit_characters": 77}, "audit", '"maxLength": 77'),
        ({"max_audit_errors": 3}, "audit", '"maxItems": 3'),
    ],
)
def test_every_option_of_the_gate_reaches_its_request(
    changed: dict[str, Any], stage_name: str, sent: Any, images: Path
) -> None:
    verify([labelled("one sees")], images, ScriptedEngine(answer), None, GATE)
    engine = ScriptedEngine(answer)
    gate = StepGate.model_validate(changed)
    verify([labelled("one sees")], images, engine, None, gate)
    [request] = engine.answered  # the others are in the store
    assert request.stage == stage_name
    if isinstance(sent, str):
        assert sent in json.dumps(request.json_schema)
    else:
        assert sent.items() <= vars(request.sampling).items()


# Runs


def command(images: Path, *words: str) -> list[str]:
    folder = images.parent
    return [
        "--benchmark", str(folder / "v.jsonl"), "--images", str(images),
        "--output", str(folder / "p.jsonl"), "--model", "m", "--seed", str(SEED), *words,
    ]  # fmt: skip


@pytest.fixture
def run(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, list[dict[str, Any]] | None]]:
    """Run the command with an engine; return exit status and what it wrote."""

    def run(engine: ScriptedEngine, *words: str) -> tuple[int, list[dict[str, Any]] | None]:
        output = images.parent / "p.jsonl"
        output.unlink(missing_ok=True)
        opened = stored(engine, images.parent / "store")
        status = run_stage(stage, command(images, *words), lambda _: opened, monkeypatch)
        return status, rows_of(output) if output.exists() else None

    return run


Run = Callable[..., tuple[int, list[dict[str, Any]] | None]]


@pytest.fixture
def benchmark(images: Path) -> list[dict[str, Any]]:
    rows = [labelled("one sees", "bad", question=f"Q{n}?", pid=str(n)) for n in range(4)]
    write_rows(images.parent / "v.jsonl", rows)
    return rows


def test_the_command_writes_what_it_judged(
    benchmark: list[dict[str, Any]], run: Run, images: Path
) -> None:
    expected = verify(benchmark, images, ScriptedEngine(answer, {"engine": "other"}))
    assert run(ScriptedEngine(answer)) == (0, expected)
    again = ScriptedEngine(answer)
    assert run(again) == (0, expected)
    assert again.answered == [], "the same requests again are all in the store"
    assert run(ScriptedEngine(answer), "--limit", "2") == (0, expected[:2])


def test_the_command_judges_with_evidence(
    benchmark: list[dict[str, Any]], run: Run, images: Path
) -> None:
    for mode in (["--direct"], ["--gate"]):
        _, usual = run(ScriptedEngine(answer), *mode)
        engine = ScriptedEngine(answer)
        status, found = run(engine, *mode, *EVIDENCE_FLAGS)
        assert status == 0
        assert found is not None
        assert usual is not None
        truths = ["Truth of step 1", "Truth of step 2"]
        assert found == [{**row, "step_evidence": truths} for row in usual]
        assert {row["step_evidence"][0] for row in usual} == {None}
        lengths = {r.sampling.max_tokens for r in engine.answered if r.stage == "judge"}
        assert lengths == {VerdictDecoding().max_tokens + 44 + len('{"evidence":"","verdict":}')}


def test_the_command_judges_directly_and_with_a_gate(
    benchmark: list[dict[str, Any]], run: Run
) -> None:
    engine = ScriptedEngine(answer)
    status, direct = run(engine, "--direct")
    assert status == 0
    assert set(stages(engine)) == {"judge"}
    status, gated = run(ScriptedEngine(answer), "--gate")
    assert status == 0
    assert direct is not None
    assert gated is not None
    assert all("local_p_score" not in row for row in direct)
    assert all(row["final_step_scores"] == [1, -1] for row in gated)


def test_a_gate_needs_a_caption(
    benchmark: list[dict[str, Any]], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(answer)
    assert run(engine, "--direct", "--gate") == (2, None)
    assert "error: --gate: audits against the caption" in capsys.readouterr().err
    assert engine.answered == []


@pytest.mark.parametrize("words", [[], ["--direct"], ["--gate"]])
def test_a_dead_endpoint_is_no_judgement(
    words: list[str],
    benchmark: list[dict[str, Any]],
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Regression: every step of every record was held for wrong, and the run had succeeded."""
    dead = ScriptedEngine(lambda request: Failure("http_503"))
    assert run(dead, *words) == (1, None)
    assert "error: 4 of 4 solutions failed, more than --max-failures 0.05" in (
        capsys.readouterr().err
    )
    alive = ScriptedEngine(answer)
    status, rows = run(alive, *words)
    assert status == 0
    assert rows is not None
    assert all(row["failures"] == [] for row in rows)


@pytest.mark.parametrize(("allowed", "status"), [("0.2", 1), ("0.25", 0)])
def test_failures_of_the_gate_are_counted_apart(
    allowed: str,
    status: int,
    benchmark: list[dict[str, Any]],
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = ScriptedEngine(failing(answer, "split", "Q1?", Failure("timeout")))
    found, rows = run(engine, "--gate", "--max-failures", allowed)
    assert (found, rows is None) == (status, bool(status))
    assert ("1 of 4 gates failed" in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize("dies_after", [0, 2, 4, 7, 11])
def test_an_engine_that_dies_loses_only_what_was_in_flight(
    dies_after: int, benchmark: list[dict[str, Any]], run: Run
) -> None:
    dying = ScriptedEngine(answer, order_seed=1, dies_after=dies_after)
    assert run(dying) == (2, None)
    rest = ScriptedEngine(answer, order_seed=2)
    assert run(rest)[0] == 0
    assert len(dying.answered) + len(rest.answered) == 4 + 8


def test_real_records_are_judged_as_far_as_their_images_are_there(images: Path) -> None:
    if not REAL_FILE.is_file():
        pytest.skip(f"{REAL_FILE} not found; set EVPV_REAL_DATA")
    rows = [record.to_row() for record in read_step_records(REAL_FILE)]
    engine = ScriptedEngine(answer)
    with stored(engine, images.parent / "store") as opened:
        records = read_step_records(REAL_FILE)
        solutions = load_solutions(records, REAL_FILE.parent / "images")
        judged = stage.verify(solutions, opened, StepJudging(block_size=5), SEED)
        judged = gate_records(judged, solutions, opened, GATE, SEED)
    assert [record.failures for record in judged] == [
        [],
        [],
        ["question:missing_image"],
        ["question:missing_image"],
    ]
    assert [len(record.step_predict) for record in judged] == [6, 5, 8, 6]
    assert [record.response.model_dump() for record in judged] == [row["response"] for row in rows]
    assert Counter(stages(engine))["judge"] == 11
