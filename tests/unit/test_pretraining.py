"""The pretraining of the tiny models: what is taught, how it is laid out, and that it resumes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from evpv_prm.diagrams.pretraining import recipe, stages, tasks
from evpv_prm.diagrams.pretraining.batches import collate
from evpv_prm.diagrams.pretraining.encoding import Encoder, Sequences, Turn
from evpv_prm.diagrams.pretraining.learning import rate_factor
from evpv_prm.diagrams.pretraining.students import Policy, Student, Verifier
from evpv_prm.diagrams.questions import DATASOURCES, make_problem
from evpv_prm.parsing import parse_audit, parse_candidate, parse_caption, parse_premises

STUDENTS = [Verifier, Policy]
TAUGHT = [
    *((recipe.PLANS[recipe.TEXT], Verifier), (recipe.PLANS["verifier"], Verifier)),
    (recipe.PLANS["policy"], Policy),
]


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
        if name == "drill":
            sequences = stages.drill_sequences(Random(0), encoder)
        else:
            sequences = encoder.sequences(_turns(student, name, 2))
        assert any(weight >= stages.IMPORTANT for weight in sequences.weights)


def test_replies_are_what_the_pipeline_reads() -> None:
    for seed in range(20):
        rng = Random(seed)
        problem = make_problem(rng, rng.choice(DATASOURCES), 0.5)
        [(_, reply)] = tasks.answer(rng, problem).turns
        assert parse_candidate(reply).finalanswer == problem.answer  # type: ignore[union-attr]
        [(_, reply)] = tasks.caption(rng, problem).turns
        assert parse_caption(reply).key_facts == problem.caption["key_facts"]  # type: ignore[union-attr]
        [(_, reply)] = tasks.audit(rng, problem).turns
        audit, reliability = parse_audit(reply)  # type: ignore[misc]
        wrong = [check for check in audit["checks"] if not check["holds"]]
        assert len(audit["errors_and_hallucinations"]) == len(wrong)
        assert reliability == max(0.0, 1 - 0.5 * len(wrong))
        [(_, reply)] = tasks.premises(rng, problem).turns
        assert parse_premises(reply, len(json.loads(reply)["visual_dependencies"]))


def test_the_base_is_not_taught_what_the_fine_tunings_teach() -> None:
    rng = Random(0)
    problem = make_problem(rng, "Bars", 0.0)
    [(_, described)] = tasks.describe(rng, problem).turns
    replies = [described, *(reply for _, reply in tasks.judge(rng, problem).turns)]
    assert not any(reply.startswith("{") for reply in replies)


def test_the_rate_rises_stays_and_falls() -> None:
    factors = [rate_factor(step, 1000) for step in range(1000)]
    assert factors[0] < 0.05
    assert max(factors) == factors[100] == factors[399] == 1.0
    assert factors[400:] == sorted(factors[400:], reverse=True)
    assert factors[-1] < 0.05


@pytest.mark.parametrize("name", ["verifier-see", recipe.TEXT])
def test_a_killed_stage_goes_on_to_the_same_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "SAVE_EVERY", 2)
    monkeypatch.setattr(stages, "PICTURES_A_STEP", 2)
    monkeypatch.setitem(recipe.PLANS, name, replace(recipe.PLANS[name], steps=4, tokens=512))

    def killed(figures: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "REPORT_EVERY", 3)
    with pytest.raises(KeyboardInterrupt):
        recipe.run(name, tmp_path, 0, killed)
    monkeypatch.setattr(stages, "REPORT_EVERY", 50)
    recipe.run(name, tmp_path, 0, lambda figures: None)
    whole = tmp_path / "whole"
    whole.mkdir()
    recipe.run(name, whole, 0, lambda figures: None)
    resumed, undisturbed = (torch.load(d / f"{name}.pt")["model"] for d in (tmp_path, whole))
    assert all(torch.equal(resumed[key], undisturbed[key]) for key in undisturbed)


def test_padding_is_seen_by_nobody() -> None:
    batch = collate(
        [Sequences([1, 2, 3], [0.0, 1.0, 1.0], []), Sequences([4], [0.0], [])],
        lambda ids: [(n, n, n) for n in range(len(ids))],
    )
    sees = batch.sees[:, 0]
    assert not sees[0, :3, 3:].any()
    assert not sees[1, 0, 1:].any()
    assert sees.any(-1).all()  # a row that sees nothing would be no number
