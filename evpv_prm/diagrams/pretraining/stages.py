"""The stages of a pretraining: reading pictures, looking up in texts, and both together."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from evpv_prm.diagrams.draw import pixels
from evpv_prm.diagrams.families import FAMILIES, LABELS, make_diagram
from evpv_prm.diagrams.model_inputs import Picture
from evpv_prm.diagrams.pretraining import checkpoints, tasks
from evpv_prm.diagrams.pretraining.batches import Batch, collate
from evpv_prm.diagrams.pretraining.encoding import Encoder, Sequences, Turn
from evpv_prm.diagrams.pretraining.learning import Optimisers, precision, rate_factor, reply_loss
from evpv_prm.diagrams.pretraining.probe import NOTHING, Probe, shown
from evpv_prm.diagrams.pretraining.students import Student, is_circuit, is_language
from evpv_prm.diagrams.questions import DATASOURCES, make_problem
from evpv_prm.diagrams.scene import Diagram
from evpv_prm.prompts.form import images_first

PICTURES_A_STEP = 96
TOKENS = 16
"""Of a picture, in both models."""
SAVE_EVERY, REPORT_EVERY = 200, 50
DRILLS = {"drill": tasks.drill, "audit_drill": tasks.audit_drill, "judge_drill": tasks.judge_drill}
IMPORTANT = 1.0
"""Weight from which a token says something: a value or a verdict."""

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Plan:
    """How long a stage lasts, how fast it learns and how hard its pictures are."""

    name: str
    steps: int
    matrix_rate: float
    other_rate: float
    difficulty: float = 0.0
    mix: Mapping[str, float] | None = None
    tokens: int = 4096
    early_mix: Mapping[str, float] | None = None
    early: float = 0.0
    """The share of the steps, from the first, that draw from `early_mix`."""
    after: str | None = None
    """The stage whose model it goes on with."""
    decisive: Collection[str] = ()
    """Tokens of a reply that count as much as a verdict."""


def see(student: Student, plan: Plan, seed: int, folder: Path, report: Report) -> None:
    """Teach a vision model to read pictures as hard as the plan says."""
    torch.manual_seed(seed)
    probe = Probe(student.width)
    learnt = [*student.named_vision(), *((f"probe.{n}", p) for n, p in probe.named_parameters())]
    progress = _Progress(plan, folder, report, student.model, learnt, {"probe": probe})
    for step in progress.steps():
        rng = Random(f"{seed} pretraining {plan.name} {step}")
        diagrams = _draw(rng, plan)
        values, labels = shown(diagrams)
        with precision():
            said_values, said_labels = probe(student.look([pixels(d) for d in diagrams]))
        is_value = values != NOTHING
        value_losses = functional.cross_entropy(
            said_values.transpose(1, 2), values, reduction="none"
        )
        # As much for the few tokens with a value as for all the others.
        loss = (
            value_losses[is_value].mean()
            + value_losses[~is_value].mean()
            + functional.cross_entropy(said_labels.transpose(1, 2), labels)
        )
        hits = (said_values.argmax(-1) == values).float()
        figures = {
            "value": hits[is_value].mean(),
            "nothing": hits[~is_value].mean(),
            "label": (said_labels.argmax(-1) == labels)[is_value].float().mean(),
        }
        progress.step(loss, figures)


def _draw(rng: Random, plan: Plan) -> list[Diagram]:
    return [
        make_diagram(rng, rng.choice(FAMILIES), rng.random() * plan.difficulty)
        for _ in range(PICTURES_A_STEP)
    ]


def align(
    student: Student, encoder: Encoder, plan: Plan, seed: int, folder: Path, report: Report
) -> None:
    """Teach a vision model a code that the language model can read.

    The language model, which has learnt to look up in texts, stays as it is. Behind its first
    layer, a token where a value stands is to be what the digit is in "The LABEL shows VALUE.", and
    a linear map is to find the label in it. Left to find such a code by itself, a language model
    takes many times as long to begin to look.
    """
    torch.manual_seed(seed)
    probe = Probe(student.width)
    learnt = [*student.named_vision(), *((f"probe.{n}", p) for n, p in probe.named_parameters())]
    progress = _Progress(plan, folder, report, student.model, learnt, {"probe": probe})
    codes = _codes(student, encoder)
    prompt = encoder.encode(student.render(images_first(1, "")))
    end = len(prompt) - prompt[::-1].index(student.image_id)
    before = Sequences(prompt[:end], [0.0] * (end - 1) + [1.0], [])
    for step in progress.steps():
        rng = Random(f"{seed} pretraining {plan.name} {step}")
        diagrams = _draw(rng, plan)
        values, labels = shown(diagrams)
        is_value = values != NOTHING
        batch = collate([before] * len(diagrams), student.places)
        with precision():
            seen = student.look([pixels(d) for d in diagrams])
            states = student.first_layer(batch, seen)[:, end - TOKENS : end]
            _, said = probe(states[is_value])
        states = states[is_value].float()
        wanted = codes[labels[is_value], values[is_value] - 1]
        distances = (states - wanted).pow(2).sum(-1) / wanted.pow(2).sum(-1)
        label_loss = functional.cross_entropy(said, labels[is_value])
        figures = {
            "likeness": functional.cosine_similarity(states, wanted, dim=-1).mean(),
            "label": (said.argmax(-1) == labels[is_value]).float().mean(),
        }
        progress.step(distances.mean() + 0.5 * label_loss, figures)


@torch.no_grad()
def _codes(student: Student, encoder: Encoder) -> torch.Tensor:
    """Return the state behind the first layer of every label's every value: (labels, 9, width)."""
    texts = [f"The {label} shows {value}" for label in LABELS for value in range(1, 10)]
    sequences = [Sequences(ids, [1.0] * len(ids), []) for ids in map(encoder.encode, texts)]
    batch = collate(sequences, student.places)
    states = student.first_layer(batch, None)
    last = torch.tensor([len(sequence) - 1 for sequence in sequences])
    return states[torch.arange(len(texts)), last].view(len(LABELS), 9, -1)


def read(
    student: Student, encoder: Encoder, plan: Plan, seed: int, folder: Path, report: Report
) -> None:
    """Teach a language model to look up, to calculate and to judge, in texts alone."""
    learnt = list(student.named_language())
    progress = _Progress(plan, folder, report, student.model, learnt, {}, is_circuit)
    for step in progress.steps():
        rng = Random(f"{seed} pretraining {plan.name} {step}")
        name = _draw_task(rng, plan, step)
        example = partial(_text_sequences, rng, name, student, encoder)
        batch = collate(_fill(plan.tokens, example), student.places)
        progress.step(*_loss(student, batch, [], name))


def _text_sequences(rng: Random, name: str, student: Student, encoder: Encoder) -> Sequences:
    if drill := DRILLS.get(name):
        return drill_sequences(drill(rng), encoder)
    problem = make_problem(rng, rng.choice(DATASOURCES), 0.0)
    return _sequences(student, encoder, getattr(tasks, name)(rng, problem))


def drill_sequences(drill: tasks.Drill, encoder: Encoder) -> Sequences:
    """Return a drill as one sequence in which the replies are taught."""
    facts, claims = drill
    ids = encoder.encode(f"{facts}\n")
    weights = [0.0] * len(ids)
    for claim, reply in claims:
        given = encoder.encode(claim)
        taught = encoder.encode(f"{reply}\n")
        ids += given + taught
        weights += [0.0] * len(given) + encoder.weights(taught)
    return Sequences(ids, weights, [])


def look_and_read(
    student: Student, encoder: Encoder, plan: Plan, seed: int, folder: Path, report: Report
) -> None:
    """Teach a model its tasks.

    The vision model learns slowly: it reads well, and would follow the errors of a language model
    that does not yet look.
    """
    learnt = [*student.named_language(), *student.named_vision()]
    progress = _Progress(plan, folder, report, student.model, learnt, {}, _learns_slowly)
    for step in progress.steps():
        rng = Random(f"{seed} pretraining {plan.name} {step}")
        name = _draw_task(rng, plan, step)
        diagrams: list[Diagram] = []
        example = partial(_seen_sequences, rng, name, student, encoder, plan.difficulty, diagrams)
        batch = collate(_fill(plan.tokens, example), student.places)
        pictures = [pixels(diagram) for diagram in diagrams]
        progress.step(*_loss(student, batch, pictures, name))


def _seen_sequences(
    rng: Random,
    name: str,
    student: Student,
    encoder: Encoder,
    difficulty: float,
    diagrams: list[Diagram],
) -> Sequences:
    """Return an example about fresh pictures; those that it shows join `diagrams`."""
    if drill := DRILLS.get(name):
        return drill_sequences(drill(rng), encoder)
    problem = make_problem(rng, rng.choice(DATASOURCES), rng.random() * difficulty)
    exchange: tasks.Exchange = getattr(tasks, name)(rng, problem)
    diagrams += exchange.diagrams
    return _sequences(student, encoder, exchange)


def _sequences(student: Student, encoder: Encoder, exchange: tasks.Exchange) -> Sequences:
    turns = [Turn(student.render(prompt), reply) for prompt, reply in exchange.turns]
    return encoder.sequences(turns)


def _fill(tokens: int, example: Callable[[], Sequences]) -> list[Sequences]:
    """Return examples until the padded batch holds so many tokens."""
    batch = [example()]
    while (len(batch) + 1) * max(map(len, batch)) <= tokens:
        batch.append(example())
    return batch


def _draw_task(rng: Random, plan: Plan, step: int) -> str:
    mix = plan.early_mix if step < plan.early * plan.steps else plan.mix
    assert mix
    return rng.choices(list(mix), list(mix.values()))[0]


def _loss(
    student: Student,
    batch: Batch,
    pictures: Sequence[Picture],
    name: str,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    with precision():
        states = student.read(batch, student.look(pictures) if pictures else None)
        loss, hits = reply_loss(states, student.head, batch, student.unused)
    # A reply without values counts as a whole.
    important = batch.weights >= min(IMPORTANT, float(batch.weights.max()))
    verdicts = batch.weights > IMPORTANT
    figures = {name: hits[important].float().mean()}
    if verdicts.any():
        figures[f"{name}:verdict"] = hits[verdicts].float().mean()
    return loss, figures


def _learns_slowly(name: str) -> bool:
    return is_circuit(name) or not is_language(name)


class _Progress:
    """One stage: goes on from its checkpoint, steps, saves, reports running means."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        report: Report,
        model: nn.Module,
        learnt: Sequence[tuple[str, nn.Parameter]],
        beside: Mapping[str, nn.Module],
        is_gentle: Callable[[str], bool] = lambda _name: False,
    ) -> None:
        self._plan, self._report = plan, report
        self._path = folder / f"{plan.name}.pt"
        self._modules = {"model": model, **beside}
        model.requires_grad_(False)
        for _, parameter in learnt:
            parameter.requires_grad_(True)
        self._optimisers = Optimisers(learnt, plan.matrix_rate, plan.other_rate, is_gentle)
        self._means: dict[str, float] = {}
        self._step = 0
        if state := checkpoints.load(self._path):
            self._step = state["step"]
            for name, module in self._modules.items():
                module.load_state_dict(state[name])
            self._optimisers.restore(state["optimisers"])

    def steps(self) -> range:
        """Return the steps that are left."""
        self._started = time.monotonic()
        self._first = self._step
        return range(self._step, self._plan.steps)

    def step(self, loss: torch.Tensor, figures: Mapping[str, torch.Tensor]) -> None:
        """Learn from a loss."""
        self._optimisers.step(loss, rate_factor(self._step, self._plan.steps))
        self._step += 1
        for name, figure in {"loss": loss, **figures}.items():
            value = float(figure.detach())
            self._means[name] = 0.95 * self._means.get(name, value) + 0.05 * value
        is_last = self._step == self._plan.steps
        if self._step % REPORT_EVERY == 0 or is_last:
            taken = time.monotonic() - self._started
            self._report(
                {
                    "stage": self._plan.name,
                    "step": self._step,
                    "steps": self._plan.steps,
                    "seconds_a_step": round(taken / (self._step - self._first), 3),
                    **{name: round(value, 4) for name, value in self._means.items()},
                }
            )
        if self._step % SAVE_EVERY == 0 or is_last:
            state: dict[str, Any] = {
                name: module.state_dict() for name, module in self._modules.items()
            }
            state |= {"step": self._step, "optimisers": self._optimisers.state()}
            checkpoints.save(self._path, state)
