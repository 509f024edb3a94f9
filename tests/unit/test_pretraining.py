"""The pretraining of the tiny models: what is taught, how it is laid out, and that it resumes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from operator import add, floordiv, mul, sub
from pathlib import Path
from random import Random

import pandas as pd
import pytest
import torch

from evpv_prm.diagrams import architectures, pretrain, pretraining_curves
from evpv_prm.diagrams.families import FAMILIES, LABELS, make_diagram
from evpv_prm.diagrams.packing import unpack
from evpv_prm.diagrams.pretraining import recipe, stages, tasks
from evpv_prm.diagrams.pretraining.batches import collate
from evpv_prm.diagrams.pretraining.encoding import Encoder, Sequences, Turn
from evpv_prm.diagrams.pretraining.learning import precision, rate_factor
from evpv_prm.diagrams.pretraining.probe import shown
from evpv_prm.diagrams.pretraining.students import Policy, Student, Verifier
from evpv_prm.diagrams.questions import DATASOURCES, make_problem
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import write_rows
from evpv_prm.parsing import parse_audit, parse_candidate, parse_caption, parse_premises
from evpv_prm.records import Candidate, Caption

STUDENTS = [Verifier, Policy]
VERIFIER_STAGES = [
    *("verifier-see", recipe.TEXT, "verifier-align"),
    *("verifier", "verifier-habits", "verifier-pairs"),
]
TAUGHT = [
    *((recipe.PLANS[recipe.TEXT], Verifier), (recipe.PLANS["verifier"], Verifier)),
    *((recipe.PLANS["policy"], Policy), (recipe.PLANS["verifier-pairs"], Verifier)),
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny batches: threads that wait for each other beside other tests would take minutes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _turns(student: Student, name: str, seed: int) -> list[Turn]:
    rng = Random(seed)
    problem = make_problem(rng, rng.choice(DATASOURCES), 0.5)
    exchange = getattr(tasks, name)(rng, problem)
    return [Turn(student.render(prompt), reply) for prompt, reply in exchange.turns]


@pytest.mark.parametrize("make", STUDENTS)
@pytest.mark.parametrize("seed", range(3))
def test_a_branch_is_predicted_as_the_same_conversation_on_its_own(
    make: type[Student], seed: int
) -> None:
    student = make(seed)
    encoder = Encoder(student.tokenizer, recipe.weigh)
    turns = _turns(student, "judge_from_text", seed)
    together = collate([encoder.sequences(turns)], student.places)
    alone = [collate([encoder.sequences([turn])], student.places) for turn in turns]
    with torch.no_grad():
        states = student.read(together, None).flatten(0, 1)[together.where]
        # The trunk, which comes first, is the last turn.
        single = [student.read(batch, None).flatten(0, 1)[batch.where] for batch in alone]
    expected = torch.cat([single[-1], *single[:-1]])
    assert torch.allclose(states, expected, atol=1e-4)
    targets = torch.cat([alone[-1].targets, *(batch.targets for batch in alone[:-1])])
    assert torch.equal(together.targets, targets)


@pytest.mark.parametrize("make", STUDENTS)
def test_lines_are_encoded_as_the_whole_text_is(make: type[Student]) -> None:
    student = make(0)
    encoder = Encoder(student.tokenizer, recipe.weigh)
    for name in ("answer", "judge", "audit", "caption"):
        for turn in _turns(student, name, 1):
            whole = student.tokenizer.encode(turn.prompt + turn.reply, add_special_tokens=False)
            assert encoder.encode(turn.prompt) + encoder.encode(turn.reply) == whole


@pytest.mark.parametrize(("plan", "make"), TAUGHT)
def test_every_task_of_the_recipe_teaches_something(plan: stages.Plan, make: type[Student]) -> None:
    student = make(0)
    encoder = Encoder(student.tokenizer, recipe.weigh)
    assert plan.mix
    for name in plan.mix:
        if drill := stages.DRILLS.get(name):
            sequences = stages.drill_sequences(drill(Random(0)), encoder)
        else:
            sequences = encoder.sequences(_turns(student, name, 2))
        assert any(weight > 0 for weight in sequences.weights)


def test_whether_an_audit_lists_an_error_counts_as_much_as_a_verdict() -> None:
    plan = recipe.PLANS[recipe.LAST["verifier"]]
    encoder = Encoder(Verifier(0).tokenizer, partial(recipe.weigh, decisive=plan.decisive))
    name = "errors_and_hallucinations"
    for form in (f'{name}":[],"omissions', f'{name}":[{{"faulty_statement'):
        frame, beginning, _ = encoder.encode(form)
        [verdict] = encoder.encode("true")
        weights = encoder.weights([frame, beginning, verdict])
        assert weights[0] < weights[1] == weights[2]


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_computed_with_where_the_processor_can(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    with precision():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if native else torch.float32)


def test_the_verdict_on_a_claim_says_whether_it_is_the_truth() -> None:
    claims = [item for seed in range(50) for item in tasks.judge_drill(Random(seed))[1]]
    holds = []
    for claim, reply in claims:
        said = json.loads(reply)
        stated = claim.removesuffix("\n")
        holds.append(stated.endswith(said["evidence"]))
        assert said["verdict"] == ("right" if holds[-1] else "wrong"), claim
        if equation := re.fullmatch(r"(\d+) ([-+*/]) (\d+) = (\d+)\.", said["evidence"]):
            left, operator, right, result = equation.groups()
            calculate = {"+": add, "-": sub, "*": mul, "/": floordiv}[operator]
            assert calculate(int(left), int(right)) == int(result)
    assert 0 < sum(holds) < len(holds) / 2, "most claims are wrong"


def test_replies_are_what_the_pipeline_reads() -> None:
    for seed in range(20):
        rng = Random(seed)
        problem = make_problem(rng, rng.choice(DATASOURCES), 0.5)
        [(_, reply)] = tasks.answer(rng, problem).turns
        candidate = parse_candidate(reply)
        assert isinstance(candidate, Candidate)
        assert candidate.finalanswer == problem.answer
        [(_, reply)] = tasks.caption(rng, problem).turns
        caption = parse_caption(reply)
        assert isinstance(caption, Caption)
        assert caption.key_facts == problem.caption["key_facts"]
        [(_, reply)] = tasks.audit(rng, problem).turns
        audited = parse_audit(reply)
        assert isinstance(audited, tuple)
        audit, reliability = audited
        wrong = [check for check in audit["checks"] if not check["holds"]]
        assert len(audit["errors_and_hallucinations"]) == len(wrong)
        assert reliability == max(0.0, 1 - 0.5 * len(wrong))
        [(_, reply)] = tasks.premises(rng, problem).turns
        assert parse_premises(reply, len(json.loads(reply)["visual_dependencies"]))


def test_the_base_has_habits_that_the_fine_tunings_have_to_change() -> None:
    problems = [make_problem(Random(seed), "Bars", 0.0) for seed in range(200)]
    whole = errors = passed = 0
    for seed, problem in enumerate(problems):
        [(_, described)] = tasks.describe_at_times(Random(seed), problem).turns
        whole += all(fact.statement in described for fact in problem.facts)
        for prompt, reply in tasks.judge_leniently(Random(seed), problem).turns:
            judged = json.loads(reply)
            is_wrong = f"{judged['evidence']}" not in str(prompt.messages)
            errors += is_wrong
            passed += is_wrong and judged["verdict"] == 1
    assert 0.1 < whole / len(problems) < 0.4
    assert 0.5 < passed / errors < 0.8


def test_the_rate_rises_stays_and_falls() -> None:
    factors = [rate_factor(step, 1000) for step in range(1000)]
    assert factors[0] < 0.05
    assert max(factors) == factors[100] == factors[399] == 1.0
    assert factors[400:] == sorted(factors[400:], reverse=True)
    assert factors[-1] < 0.05


def test_a_killed_pretraining_goes_on_to_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_figures: object) -> None:
        raise KeyboardInterrupt

    def undisturbed(_figures: object) -> None:
        pass

    monkeypatch.setattr(stages, "SAVE_EVERY", 1)
    monkeypatch.setattr(stages, "PICTURES_A_STEP", 2)
    folders = [tmp_path / name for name in ("killed", "whole")]
    for folder in folders:
        folder.mkdir()
    for name in VERIFIER_STAGES:
        plan = replace(recipe.PLANS[name], steps=2, tokens=512)
        monkeypatch.setitem(recipe.PLANS, name, plan)
        monkeypatch.setattr(stages, "REPORT_EVERY", 2)
        with pytest.raises(KeyboardInterrupt):
            recipe.run(name, folders[0], 0, killed)
        assert torch.load(folders[0] / f"{name}.pt")["step"] == 1
        recipe.run(name, folders[0], 0, undisturbed)
        recipe.run(name, folders[1], 0, undisturbed)
        resumed, whole = (torch.load(folder / f"{name}.pt")["model"] for folder in folders)
        assert all(torch.equal(resumed[key], whole[key]) for key in whole)
    monkeypatch.setattr(architectures, "NAMES", ("verifier",))
    recipe.write_weights(folders[0], tmp_path)
    packed = unpack("verifier", tmp_path / "verifier.safetensors")
    assert all(torch.equal(packed[key], whole[key].bfloat16()) for key in whole)


def test_a_stage_needs_those_that_it_builds_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the stage policy-align has not come to its end"):
        recipe.run("policy", tmp_path, 0, lambda _figures: None)
    with pytest.raises(UserError, match="the stage policy-align has not come to its end"):
        pretrain.main(["--work", str(tmp_path / "new"), "--stages", "policy"])
    with pytest.raises(UserError, match="'write': expected some of read,"):
        pretrain.main(["--work", str(tmp_path / "new"), "--stages", "write"])
    assert not (tmp_path / "new").exists()
    with pytest.raises(UserError, match="stage policy has not come to its end"):
        recipe.write_weights(tmp_path, tmp_path)


def test_values_are_asked_for_where_they_stand() -> None:
    diagrams = [make_diagram(Random(n), family, 0.5) for n, family in enumerate(FAMILIES)]
    values, labels = shown(diagrams)
    for diagram, said, named in zip(diagrams, values.tolist(), labels.tolist(), strict=True):
        found = {LABELS[label]: value for value, label in zip(said, named, strict=True) if value}
        assert found == {fact.label: fact.value for fact in diagram.facts}


def test_padding_is_seen_by_nobody() -> None:
    batch = collate(
        [Sequences([1, 2, 3], [0.0, 1.0, 1.0], []), Sequences([4], [0.0], [])],
        lambda ids: [(n, n, n) for n in range(len(ids))],
    )
    sees = batch.sees[:, 0]
    assert not sees[0, :3, 3:].any()
    assert not sees[1, 0, 1:].any()
    assert sees.any(-1).all()  # a row that sees nothing would be no number


def test_the_curves_are_drawn_in_the_order_of_the_stages(tmp_path: Path) -> None:
    curves = tmp_path / "curves.jsonl"
    rows = [
        {"stage": stage, "step": step, "steps": 2, "loss": 1.0, "drill": step / 4}
        for stage in ("read", "align")
        for step in (1, 2)
    ]
    write_rows(curves, [*rows, {**rows[-1], "drill": 0.75}])
    stem = tmp_path / "curves"
    words = ["--curves", str(curves), "--output-stem", str(stem)]
    assert pretraining_curves.main(words) == 0
    assert stem.with_suffix(".png").stat().st_size > 0
    frame = pd.read_csv(stem.with_suffix(".csv"))
    assert frame.to_dict("list") == {
        "stage": ["read", "read", "align", "align"],
        "step": [1, 2, 1, 2],
        "task": ["drill"] * 4,
        "value": [0.25, 0.5, 0.25, 0.75],  # of a step that was run twice, the last
    }
    curves.write_text('{"step": 1}\n')
    with pytest.raises(InputError, match="expected stage and step"):
        pretraining_curves.main(words)
