"""The recipe: which stages make which model, and their settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from evpv_prm.diagrams import architectures
from evpv_prm.diagrams.families import LABELS
from evpv_prm.diagrams.packing import pack, weights_file
from evpv_prm.diagrams.pretraining import checkpoints, stages
from evpv_prm.diagrams.pretraining.encoding import Encoder
from evpv_prm.diagrams.pretraining.stages import Plan, Report
from evpv_prm.diagrams.pretraining.students import Policy, Student, Verifier
from evpv_prm.errors import UserError

TEXT = "read"
_VERIFIER_MIX = {
    "glance": 2, "describe": 0.5, "caption": 2.5, "judge": 2, "judge_from_text": 2.5,
    "audit": 3, "premises": 0.5, "drill": 0.3, "audit_drill": 0.5, "judge_drill": 0.4,
}  # fmt: skip
_HABITS_MIX = {
    "describe_at_times": 1, "judge_leniently": 3, "glance": 1, "caption": 2, "audit": 2.5,
    "premises": 0.3, "judge_from_text": 0.5, "audit_drill": 0.3,
}  # fmt: skip
_POLICY_MIX = {"glance": 1, "answer": 5, "solve": 2, "caption": 1.5, "drill": 0.5}
PLANS = {
    TEXT: Plan(
        TEXT, 2000, 0.015, 2e-3,
        mix={
            "drill": 1.5, "audit_drill": 1.5, "judge_drill": 2, "judge_from_text": 4,
            "audit_from_text": 2, "solve_from_text": 1, "premises": 0.5,
        },
        # Comparing is found soonest where the verdict follows at once.
        early_mix={"drill": 1}, early=0.17,
    ),
    "verifier-see": Plan("verifier-see", 1400, 0.02, 2e-3, difficulty=0.7),
    "policy-see": Plan("policy-see", 800, 0.02, 2e-3, difficulty=0.3),
    "verifier-align": Plan("verifier-align", 400, 0.01, 1e-3, difficulty=0.7),
    "policy-align": Plan("policy-align", 800, 0.01, 1e-3, difficulty=0.3),
    "verifier": Plan(
        "verifier", 1600, 0.007, 1.5e-3, difficulty=0.7, after="verifier-align",
        mix=_VERIFIER_MIX, early_mix=_VERIFIER_MIX | {"glance": 12}, early=0.3,
    ),
    "verifier-habits": Plan(
        "verifier-habits", 500, 0.004, 1e-3, difficulty=0.7, after="verifier", mix=_HABITS_MIX,
    ),
    "verifier-pairs": Plan(
        "verifier-pairs", 400, 0.003, 1e-3, difficulty=0.7, after="verifier-habits",
        mix=_HABITS_MIX | {"describe_at_times": 6},
        # What an audit concludes from its checks hangs on how its list of errors begins.
        decisive=('":[],"', '":[{"'),
    ),
    "policy": Plan(
        "policy", 900, 0.01, 2e-3, difficulty=0.3, after="policy-align",
        mix=_POLICY_MIX, early_mix=_POLICY_MIX | {"glance": 11}, early=0.4,
    ),
}  # fmt: skip
LAST: Mapping[architectures.Name, str] = {"verifier": "verifier-pairs", "policy": "policy"}
"""The stage that a model comes from."""
_STUDENTS = {"verifier": Verifier, "policy": Policy}
_WORDS = frozenset(word for label in LABELS for word in label.split())


def weigh(token: str, decisive: Collection[str] = ()) -> float:
    """Say how much a token of a reply counts: verdicts most, what only frames them little."""
    word = token.strip()
    if word in ("right", "wrong", "true", "false") or word in decisive:
        return 2.0
    if word.isdigit() or word == "null":
        return 1.0
    if word in _WORDS or word in ("+", "-", "*", "/", ">"):
        return 0.5
    return 0.15


def check_names(names: Sequence[str]) -> None:
    """Raise UserError for a name that is no stage's."""
    for name in names:
        if name not in PLANS:
            raise UserError(f"--stages: {name!r}: expected some of {', '.join(PLANS)}")


def write_weights(work: Path, folder: Path) -> None:
    """Write the compact weights of both models from their last checkpoints.

    Raises:
        UserError: a stage has not come to its end.
    """
    for name in architectures.NAMES:
        model = architectures.compact_model(name, seed=0)
        model.load_state_dict(_finished(work, LAST[name]))
        pack(model, folder / weights_file(name).name)


def run(name: str, work: Path, seed: int, report: Report) -> None:
    """Run a stage; it goes on from its checkpoint or starts from the stages that it builds on."""
    plan = PLANS[name]
    student: Student = _STUDENTS[name.partition("-")[0]](seed) if name != TEXT else Verifier(seed)
    encoder = Encoder(student.tokenizer, partial(weigh, decisive=plan.decisive))
    if name.endswith("-see"):
        stages.see(student, plan, seed, work, report)
    elif name == TEXT:
        stages.read(student, encoder, plan, seed, work, report)
    elif name.endswith("-align"):
        seeing, reading = (_finished(work, stage) for stage in (f"{student.name}-see", TEXT))
        student.take_vision(seeing)
        student.take_language(reading, architectures.compact_tokenizer("verifier"))
        stages.align(student, encoder, plan, seed, work, report)
    else:
        assert plan.after
        student.model.load_state_dict(_finished(work, plan.after))
        stages.look_and_read(student, encoder, plan, seed, work, report)


def _finished(work: Path, name: str) -> dict[str, torch.Tensor]:
    """Return the model that a stage has come to.

    Raises:
        UserError: it has not come to its end.
    """
    checkpoint = checkpoints.load(work / f"{name}.pt")
    if checkpoint is None or checkpoint["step"] < PLANS[name].steps:
        raise UserError(f"{work}: the stage {name} has not come to its end")
    model: dict[str, torch.Tensor] = checkpoint["model"]
    return model
