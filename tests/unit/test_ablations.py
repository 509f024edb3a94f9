"""The ablation suite: what its configurations ask, and what becomes of the replies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import vpbench_ablation_runner as runner
from evpv_prm.ablation_requests import cases, judge_cases
from evpv_prm.ablations import NAMES, SUITE, corrupted, find, is_compared
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.config_step_level import StepJudging
from evpv_prm.data.ablated_records import AblatedRecord
from evpv_prm.data.step_records import StepRecord
from evpv_prm.engine.base import Failure, Reply, Request, Result
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_rows
from evpv_prm.records import Caption
from evpv_prm.step_judging import load_solutions
from tests.scripted import ScriptedEngine
from tests.stages import EVIDENCE_FLAGS, judged_step, prompt_of, rows_of, run_stage, verdict_of

SEED = 20260130
STEPS = 12
SAID = {
    "caption": "A triangle.",
    "key_facts": ["AB is 3", "BC is 4", "AC is 5", "B is right"],
    "uncertain": [],
}
REFERENCE_NAMES = [
    "baseline", "no_structured_vision", "vision_prompt_short", "vision_corrupt_empty",
    "vision_corrupt_drop_facts", "vision_corrupt_shuffle_facts", "vision_corrupt_caption_only",
    "vision_corrupt_noise_caption", "vision_temp_0_0", "vision_temp_0_5", "vision_top_p_0_7",
    "judge_text_only_keep_visionjson", "judge_text_only_no_visionjson",
    "judge_no_visionjson_with_image", "judge_prefix_lenient", "judge_prefix_novision",
    "judge_temp_0_2", "judge_temp_0_5", "history_none", "history_last1", "history_last2",
    "history_last4", "history_last8", "parse_fail_to_1", "parse_fail_random", "multi_image_none",
    "combo_no_visionjson_text_only", "combo_vision_corrupt_dropfacts_text_only",
    "combo_history_none_no_visionjson", "combo_judge_temp_0_5_history_last2",
]  # fmt: skip

Answer = Callable[[Request], Result]
Runs = Callable[..., int]


def record(pid: str = "p", image: Any = "a.png", steps: int = STEPS) -> dict[str, Any]:
    labels = [(1, 0, -1)[index % 3] for index in range(steps)]
    texts = [f"{pid} says {index}." for index in range(steps)]
    row = {"pid": pid, "image": image, "question": f"Question {pid}?", "answer": "A"}
    response = {"steps": texts, "process_correctness": labels}
    return {**row, "response": response, "policy_model": "P", "data_source": "D"}


def answer(request: Request) -> Result:
    """A verifier that rambles about every third step when nothing constrains it."""
    if request.stage == "caption":
        return Reply(json.dumps(SAID))
    number = judged_step(request)
    if not is_constrained(request) and number % 3 == 0:
        return Failure("truncated", text="Well, let") if number % 2 else Reply("maybe")
    return verdict_of(request, number % 4 != 0)


def is_constrained(request: Request) -> bool:
    return request.choices is not None or request.json_schema is not None


def judge(
    rows: Sequence[dict[str, Any]],
    images: Path,
    engine: ScriptedEngine,
    names: Sequence[str] = NAMES,
    seeds: Sequence[int] = (SEED,),
    reply: JudgeReply = VERDICT_ALONE,
) -> list[AblatedRecord]:
    solutions = load_solutions([StepRecord.model_validate(row) for row in rows], images)
    asked = cases(solutions, [find(name) for name in names], seeds)
    store = ResponseStore(images.parent / "store", engine.identity)
    with StoredEngine(store, lambda: engine) as stored:
        return judge_cases(asked, stored, StepJudging(), reply)[0]


def keys_of(name: str, images: Path, rows: Sequence[dict[str, Any]]) -> frozenset[str]:
    """The requests of one configuration, asked alone."""
    engine = ScriptedEngine(answer)
    folder = images.parent / name
    judge(rows, _linked(images, folder), engine, [name])
    return frozenset(request.key(engine.identity) for request in engine.answered)


def _linked(images: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / "images").symlink_to(images)
    return folder / "images"


# The suite


def test_every_name_of_the_reference_stands_for_one_configuration() -> None:
    assert len(REFERENCE_NAMES) == 30
    found = {find(name).name for name in REFERENCE_NAMES}
    assert len(found) == 28
    assert sum(is_compared(find(name)) for name in found) == 27
    assert found | {"free_decoding", "judge_other_form"} == set(NAMES)
    assert len(NAMES) == len(set(NAMES))


def test_the_reference_s_copies_are_aliases() -> None:
    assert find("judge_no_visionjson_with_image") is find("no_structured_vision")
    assert find("combo_no_visionjson_text_only") is find("judge_text_only_no_visionjson")


def test_no_two_configurations_ask_the_same_and_do_the_same_with_it(images: Path) -> None:
    """Regression: of thirty configurations four were copies of others."""
    rows = [record()]
    asked = {ablation.name: keys_of(ablation.name, images, rows) for ablation in SUITE}
    policies = {ablation.name: ablation.on_parse_failure for ablation in SUITE}
    for one, other in combinations(NAMES, 2):
        assert (asked[one], policies[one]) != (asked[other], policies[other]), (one, other)
    free = ("free_decoding", "parse_fail_to_1", "parse_fail_random")
    assert len({asked[name] for name in free}) == 1
    assert len({policies[name] for name in free}) == 3


def test_a_comparison_changes_nothing_that_it_is_not_about() -> None:
    for ablation in SUITE:
        if ablation.compared_with is None:
            assert ablation.changes == {}
            continue
        reference = find(ablation.compared_with).changes
        assert reference.items() < ablation.changes.items(), ablation.name


def test_the_list_names_every_configuration_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        runner.main(["--list"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(NAMES)
    (row,) = [line for line in lines if line.startswith("parse_fail_to_1")]
    assert "on parse failure: right" in row
    assert "free_decoding" in row


# Corruptions of the caption

facts = st.lists(st.text("ab", max_size=2), max_size=6)


@given(facts, st.text())
def test_shuffled_facts_are_a_permutation_and_never_the_same(facts: list[str], pid: str) -> None:
    caption = Caption(caption="c", key_facts=facts, uncertain=["u"])
    shuffled = corrupted(caption, "shuffle_facts", pid)
    assert sorted(shuffled.key_facts) == sorted(facts)
    assert (shuffled.key_facts == facts) == (len(set(facts)) < 2)
    assert (shuffled.caption, shuffled.uncertain) == ("c", ["u"])
    assert shuffled == corrupted(caption, "shuffle_facts", pid)


def test_the_permutation_is_the_same_on_every_machine() -> None:
    caption = Caption(caption="c", key_facts=["1", "2", "3", "4"])
    orders = {
        pid: "".join(corrupted(caption, "shuffle_facts", pid).key_facts) for pid in ("p", "q", "r")
    }
    assert orders == {"p": "1432", "q": "3124", "r": "4123"}


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("baseline", "A triangle.\nKey facts:\n- AB is 3\n- BC is 4\nUncertain:\n- its size"),
        ("vision_corrupt_empty", ""),
        ("vision_corrupt_drop_facts", "A triangle.\nKey facts:\n- none\nUncertain:\n- its size"),
        (
            "vision_corrupt_shuffle_facts",
            "A triangle.\nKey facts:\n- BC is 4\n- AB is 3\nUncertain:\n- its size",
        ),
        ("vision_corrupt_caption_only", "A triangle."),
        (
            "vision_corrupt_noise_caption",
            "A photograph of a busy street with parked cars under a cloudy sky.\nKey facts:\n"
            "- AB is 3\n- BC is 4\nUncertain:\n- its size",
        ),
        ("multi_image_none", "There is no picture."),
    ],
)
def test_the_judge_reads_the_changed_caption_and_no_mark(
    name: str, description: str, images: Path
) -> None:
    """Regression: a mark "ablated_…" in the caption told the judge what was done to it."""
    said = {"caption": "A triangle.", "key_facts": ["AB is 3", "BC is 4"], "uncertain": "its size"}

    def respond(request: Request) -> Result:
        return Reply(json.dumps(said)) if request.stage == "caption" else answer(request)

    engine = ScriptedEngine(respond)
    (judged,) = judge([record(steps=1)], images, engine, [name])
    text = prompt_of(engine.answered[-1])
    assert f"\n\nDescription:\n{description}\n\nSteps:\n" in text
    assert judged.structured_vision is not None
    assert judged.structured_vision.to_text() == description
    assert not re.search(r"ablat|corrupt|shuffl", text, re.IGNORECASE)


# What the judge is shown


def seen(name: str, images: Path, steps: int = STEPS) -> list[Request]:
    engine = ScriptedEngine(answer)
    judge([record(steps=steps)], images, engine, [name])
    return [request for request in engine.answered if request.stage == "judge"]


@pytest.mark.parametrize(
    ("name", "history"),
    [("history_none", 0), ("history_last1", 1), ("history_last2", 2), ("history_last4", 4),
     ("history_last8", 8), ("combo_judge_temp_0_5_history_last2", 2), ("baseline", STEPS)],
)  # fmt: skip
def test_a_history_is_the_last_steps_under_their_own_numbers(
    name: str, history: int, images: Path
) -> None:
    """Regression: a shortened history was numbered from 1 again."""
    for index, request in enumerate(seen(name, images)):
        shown = re.findall(r"^Step (\d+): p says (\d+)\.$", prompt_of(request), re.MULTILINE)
        first = max(0, index - history)
        assert shown == [(str(n + 1), str(n)) for n in range(first, index + 1)]


@pytest.mark.parametrize(
    ("name", "image", "description", "rules"),
    [
        ("baseline", True, True, "You check a solution step by step. Below are the question, a"),
        ("no_structured_vision", True, False, "the question, a trusted description"),
        ("judge_text_only_keep_visionjson", False, True, "the question, a trusted description"),
        ("judge_text_only_no_visionjson", False, False, "Rely on these texts"),
        ("judge_prefix_novision", True, False, "Rely on these texts"),
        ("judge_prefix_lenient", True, True, "benefit of the doubt"),
        ("multi_image_none", False, True, "the question, a trusted description"),
        ("combo_vision_corrupt_dropfacts_text_only", False, True, "a trusted description"),
        ("combo_history_none_no_visionjson", True, False, "a trusted description"),
    ],
)
def test_what_the_judge_is_shown(
    name: str, image: bool, description: bool, rules: str, images: Path
) -> None:
    for request in seen(name, images, steps=2):
        text = prompt_of(request)
        assert bool(request.images) == text.startswith("\0") == image
        assert ("\nDescription:\n" in text) == description
        assert rules in text


@pytest.mark.parametrize(
    ("name", "stage", "temperature", "top_p"),
    [
        ("baseline", "caption", 0.2, 0.9),
        ("vision_temp_0_0", "caption", 0.0, 1.0),
        ("vision_temp_0_5", "caption", 0.5, 0.9),
        ("vision_top_p_0_7", "caption", 0.2, 0.7),
        ("baseline", "judge", 0.0, 1.0),
        ("judge_temp_0_2", "judge", 0.2, 1.0),
        ("judge_temp_0_5", "judge", 0.5, 0.9),
        ("combo_judge_temp_0_5_history_last2", "judge", 0.5, 0.9),
    ],
)
def test_how_replies_are_sampled(
    name: str, stage: str, temperature: float, top_p: float, images: Path
) -> None:
    engine = ScriptedEngine(answer)
    judge([record()], images, engine, [name])
    sampled = {
        (r.sampling.temperature, r.sampling.top_p) for r in engine.answered if r.stage == stage
    }
    assert sampled == {(temperature, top_p)}


# Replies without verdict


def test_a_parse_failure_becomes_what_the_policy_says(images: Path) -> None:
    """Regression: the parser never failed, so that its policies were copies of the baseline."""
    engine = ScriptedEngine(answer)
    names = ["baseline", "free_decoding", "parse_fail_to_1", "parse_fail_random"]
    usual, free, right, random = judge([record()], images, engine, names)
    unparsed = [2, 5, 8, 11]
    assert usual.failures == []
    assert [i for i, verdict in enumerate(free.step_predict) if verdict is None] == unparsed
    assert free.failures == [
        "judge[2]:truncated", "judge[5]:invalid_verdict", "judge[8]:truncated",
        "judge[11]:invalid_verdict",
    ]  # fmt: skip
    for imputed in (right, random):
        assert imputed.ablation_meta.imputed_steps == unparsed
        assert imputed.failures == []
        for index, verdict in enumerate(imputed.step_predict):
            if index in unparsed:
                assert verdict in (1, -1)
                assert imputed.step_probabilities[index] is None
            else:
                assert verdict == free.step_predict[index]
                assert imputed.step_probabilities[index] == pytest.approx(0.75)
    assert [right.step_predict[index] for index in unparsed] == [1, 1, 1, 1]


def test_random_verdicts_follow_from_seed_and_step_alone(images: Path) -> None:
    engine = ScriptedEngine(lambda r: answer(r) if r.stage == "caption" else Reply("maybe"))
    rows = [record(f"p{n}") for n in range(40)]
    one = judge(rows, images, engine, ["parse_fail_random"], [1, 2])
    again = judge(rows, images, engine, ["parse_fail_random"], [1, 2])
    assert [r.step_predict for r in one] == [r.step_predict for r in again]
    verdicts = [verdict for r in one for verdict in r.step_predict]
    assert 0.45 < verdicts.count(1) / len(verdicts) < 0.55
    assert one[0].step_predict != one[1].step_predict


def test_an_engine_s_failure_stays_one_under_every_policy(images: Path) -> None:
    def respond(request: Request) -> Result:
        return answer(request) if request.stage == "caption" else Failure("timeout")

    names = ["parse_fail_to_1", "parse_fail_random"]
    for judged in judge([record(steps=1)], images, ScriptedEngine(respond), names):
        assert judged.step_predict == [None]
        assert judged.failures == ["judge[0]:timeout"]


# The form of the reply


@pytest.mark.parametrize("form", ["verdict", "evidence_then_verdict"])
def test_one_configuration_has_the_other_form_and_says_which(form: Any, images: Path) -> None:
    reply = JudgeReply(judge_form=form)
    engine = ScriptedEngine(answer)
    found = judge([record()], images, engine, reply=reply)
    for judged in found:
        is_other = judged.ablation_name == "judge_other_form"
        has_evidence = reply.has_evidence != is_other
        silent = {i for i, verdict in enumerate(judged.step_predict) if verdict is None}
        silent |= set(judged.ablation_meta.imputed_steps if has_evidence else range(STEPS))
        said = [f"Truth of step {i + 1}" for i in range(STEPS)]
        assert judged.step_evidence == [None if i in silent else s for i, s in enumerate(said)]
        settings = judged.ablation_meta.model_extra or {}
        assert settings.get("judge_form") == (reply.other.judge_form if is_other else None)
    by_name = {judged.ablation_name: judged for judged in found}
    other = find("judge_other_form")
    settings = by_name["judge_other_form"].ablation_meta.model_extra or {}
    assert other.differs_in(settings) == f"judge form: {reply.other.judge_form}"
    assert other.differs_in() == "judge form: other"
    usual, changed = by_name["baseline"], by_name["judge_other_form"]
    assert changed.step_predict == usual.step_predict
    assert changed.step_probabilities == pytest.approx(usual.step_probabilities)


def test_a_free_reply_without_verdict_is_a_parse_failure_in_either_form(images: Path) -> None:
    names = ["free_decoding", "parse_fail_to_1", "parse_fail_random"]
    found = {}
    for form in ("verdict", "evidence_then_verdict"):
        reply = JudgeReply.model_validate({"judge_form": form})
        engine = ScriptedEngine(answer)
        found[form] = judge([record()], images, engine, names, reply=reply)
        assert not any(is_constrained(r) for r in engine.answered if r.stage == "judge")
    for plain, evidence in zip(*found.values(), strict=True):
        assert evidence.step_predict == plain.step_predict
        assert evidence.failures == plain.failures
        assert evidence.ablation_meta.imputed_steps == plain.ablation_meta.imputed_steps


# What cannot be judged


def test_the_labels_stay_as_they_are(images: Path) -> None:
    """Regression: predictions were written over the labels."""
    rows = [record(), record("q", ["a.png", "b.png"], 3)]
    for judged in judge(rows, images, ScriptedEngine(answer)):
        (row,) = [row for row in rows if row["pid"] == judged.pid]
        written = judged.to_row()
        assert {name: written[name] for name in row} == row


def test_doubts_given_as_a_text_stop_nothing(images: Path) -> None:
    """Regression: `"uncertain": "none"` ended the suite at the same line on every run."""

    def respond(request: Request) -> Result:
        if request.stage == "caption":
            return Reply(json.dumps({**SAID, "uncertain": "none"}))
        return answer(request)

    for judged in judge([record(steps=2)], images, ScriptedEngine(respond)):
        assert None not in judged.step_predict or not find(judged.ablation_name).is_constrained


def test_a_caption_that_fails_fails_only_who_reads_it(images: Path) -> None:
    def respond(request: Request) -> Result:
        return Failure("timeout") if request.stage == "caption" else answer(request)

    for judged in judge([record(steps=2)], images, ScriptedEngine(respond)):
        if find(judged.ablation_name).needs_caption:
            assert judged.failures == ["caption:timeout"]
            assert judged.step_predict == [None, None]
        else:
            assert judged.failures == []


# The command


@pytest.fixture
def run(images: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Return a function that runs the command on two records with a given engine, or none."""
    write_rows(images.parent / "v1.jsonl", [record()])
    write_rows(images.parent / "v2.jsonl", [record("q", "b.png", 3)])

    def command(engine: ScriptedEngine | None, *words: str, output: str = "out") -> int:
        folder = images.parent

        def open_engine(arguments: Any) -> StoredEngine:
            store = ResponseStore(arguments.store, ScriptedEngine(answer).identity)
            assert arguments.stored_only == (engine is None)
            return StoredEngine(store, None if engine is None else lambda: engine)

        files = ["--benchmark", str(folder / "v1.jsonl"), str(folder / "v2.jsonl")]
        places = ["--images", str(images), "--output", str(folder / output)]
        store = ["--store", str(folder / "store"), "--model", "m", "--seed", str(SEED)]
        stored_only = ["--stored-only"] if engine is None else []
        return run_stage(
            runner, [*files, *places, *store, *stored_only, *words], open_engine, monkeypatch
        )

    return command


def test_asking_for_all_once_serves_every_configuration(run: Runs, tmp_path: Path) -> None:
    engine = ScriptedEngine(answer)
    assert run(engine, "--ask-all") == 0
    report = json.loads((tmp_path / "out").read_text())
    total, counts = report["engine"], report["configurations"]
    distinct = {request.key(engine.identity) for request in engine.answered}
    assert list(counts) == list(NAMES)
    assert total["requested"] == sum(count["requests"] for count in counts.values())
    assert total["distinct"] == len(distinct) == len(engine.answered)
    assert total["distinct"] == sum(count["new"] for count in counts.values())
    assert total["paid"] + total["failed"] == total["distinct"]
    assert counts["baseline"] == {"requests": 17, "distinct": 17, "new": 17}
    assert counts["vision_corrupt_empty"] == {"requests": 15, "distinct": 15, "new": 15}
    assert counts["history_last8"]["new"] == 3
    assert counts["parse_fail_random"]["new"] == 0

    assert run(None, "--all", output="all") == 0
    for name in NAMES:
        rows = rows_of(tmp_path / "all" / f"{name}.jsonl")
        assert [row["pid"] for row in rows] == ["p", "q"]
        assert {row["ablation_name"] for row in rows} == {name}
    alone = ScriptedEngine(answer)
    assert run(alone, "--configuration", "history_last2", "--store", str(tmp_path / "own")) == 0
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "all" / "history_last2.jsonl")


def test_the_command_judges_in_the_form_that_it_is_told(run: Runs, tmp_path: Path) -> None:
    for name, flags, has_evidence in (
        ("baseline", EVIDENCE_FLAGS, True),
        ("judge_other_form", EVIDENCE_FLAGS, False),
        ("judge_other_form", (), True),
    ):
        assert run(ScriptedEngine(answer), "--configuration", name, *flags) == 0
        (row, _) = rows_of(tmp_path / "out")
        assert (row["step_evidence"][0] == "Truth of step 1") == has_evidence


def test_captions_come_first_and_each_wave_is_one_call(run: Runs) -> None:
    calls: list[set[str]] = []

    class Counting(ScriptedEngine):
        def generate(self, requests: Sequence[Request]) -> Any:
            calls.append({request.stage for request in requests})
            return super().generate(requests)

    assert run(Counting(answer), "--ask-all") == 0
    assert calls == [{"caption"}, {"judge"}]


def test_configurations_share_captions(run: Runs) -> None:
    """Regression: every configuration drew captions of its own."""
    engine = ScriptedEngine(answer)
    assert run(engine, "--ask-all") == 0
    captions = [request for request in engine.answered if request.stage == "caption"]
    assert len(captions) == 2 * 5


def test_repetitions_draw_other_captions(run: Runs, tmp_path: Path) -> None:
    engine = ScriptedEngine(answer)
    assert run(engine, "--configuration", "baseline", "--repetitions", "3") == 0
    rows = rows_of(tmp_path / "out")
    assert [row["ablation_meta"]["seed"] for row in rows] == [SEED, SEED + 1, SEED + 2] * 2
    assert len(engine.answered) == 3 * 17


def test_a_limit_takes_solutions_of_each_file_at_even_distances(run: Runs, tmp_path: Path) -> None:
    write_rows(tmp_path / "v1.jsonl", [record(f"p{n}") for n in range(5)])
    assert run(ScriptedEngine(answer), "--configuration", "baseline", "--limit", "2") == 0
    assert [row["pid"] for row in rows_of(tmp_path / "out")] == ["p0", "p2", "q"]


def test_an_alias_is_the_configuration_itself(run: Runs, tmp_path: Path) -> None:
    alias = "judge_no_visionjson_with_image"
    assert run(ScriptedEngine(answer), "--configuration", alias) == 0
    assert {row["ablation_name"] for row in rows_of(tmp_path / "out")} == {"no_structured_vision"}


def test_what_was_never_asked_is_a_failure_of_a_run_without_engine(
    run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(None, "--configuration", "no_structured_vision") == 1
    assert "2 of 2 solutions of no_structured_vision failed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    words = ("--configuration", "no_structured_vision", "--max-failures", "1")
    assert run(None, *words) == 0
    (row, _) = rows_of(tmp_path / "out")
    assert row["failures"][0] == "judge[0]:not_asked"


def test_one_configuration_that_fails_fails_the_run_for_all(
    run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that counted all together would leave a configuration nothing but failures."""

    def respond(request: Request) -> Result:
        return (
            Failure("timeout") if "benefit of the doubt" in prompt_of(request) else answer(request)
        )

    assert run(ScriptedEngine(respond), "--ask-all") == 1
    assert "solutions of judge_prefix_lenient failed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    engine = ScriptedEngine(answer)
    assert run(engine, "--ask-all") == 0
    assert all(
        "benefit of the doubt" in prompt_of(r) or not is_constrained(r) for r in engine.answered
    )


@pytest.mark.parametrize("dies_after", [3, 40, 200])
def test_a_killed_run_pays_only_for_what_is_missing(
    run: Runs, dies_after: int, tmp_path: Path
) -> None:
    whole, first, second = (
        ScriptedEngine(
            lambda r: Reply(json.dumps(SAID)) if r.stage == "caption" else verdict_of(r, True),
            **fields,
        )
        for fields in ({}, {"dies_after": dies_after}, {})
    )
    assert run(whole, "--ask-all", "--store", str(tmp_path / "own"), output="whole") == 0
    assert run(first, "--ask-all") == 2
    assert not (tmp_path / "out").exists()
    assert run(second, "--ask-all") == 0
    paid = [request.key(whole.identity) for request in (*first.answered, *second.answered)]
    assert len(first.answered) == dies_after
    assert sorted(paid) == sorted(request.key(whole.identity) for request in whole.answered)


def test_an_unknown_configuration_is_one_line(
    run: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ScriptedEngine(answer), "--configuration", "no_such") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: no ablation configuration 'no_such'; --list prints the names of all"
    with pytest.raises(UserError):
        find("no_such")
