"""Whether merging and half precision change what a verifier says: the trained tiny one, judging.

An adapter is trained for a moment, so that it moves verdicts. Base and adapter are compared with
the merged model in float32 and in bfloat16, and both with float32 on the CPU.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch.nn import functional

from benchmarks.gpu_check.adapter import add_adapter, merge
from benchmarks.gpu_check.measuring import Measurement
from benchmarks.gpu_check.model import Scale
from evpv_prm.diagrams.architectures import compact_tokenizer
from evpv_prm.diagrams.draw import pixels
from evpv_prm.diagrams.model_inputs import pixel_values, prompt_text
from evpv_prm.diagrams.packing import load_compact, weights_file
from evpv_prm.diagrams.pretraining.tasks import judge
from evpv_prm.diagrams.questions import DATASOURCES, make_problem
from evpv_prm.verdicts import VERDICT_KEY

CPU = torch.device("cpu")
TAUGHT_PROBLEMS = 6
LEARNING_RATE = 3e-4


@dataclass(frozen=True)
class Judgement:
    """A judge's prompt with the reply up to the verdict, as arguments of a forward pass."""

    arguments: dict[str, torch.Tensor]
    choices: list[int]
    """The ids that decide for the verdict 1 and for -1."""
    is_wrong: bool
    """Whether -1 is the truth."""


def measure(scale: Scale, device: torch.device) -> Iterator[Measurement]:
    """Yield the largest differences of logits and of p, and how many verdicts flip."""
    base = load_compact("verifier", weights_file("verifier")).eval()
    adapter = _trained(base, judgements("taught", TAUGHT_PROBLEMS))
    asked = judgements("asked", scale.judged_problems)
    yield Measurement("judge prompts", len(asked))
    trusted = _logits(_adapted(base, adapter, CPU, torch.float32), asked)
    apart = _p(_logits(base, asked), asked) - _p(trusted, asked)
    yield Measurement("largest |Δp| that the adapter makes", _largest(apart))
    for dtype, name in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
        model = _adapted(base, adapter, device, dtype)
        beside = _logits(model, asked)
        merge(model)
        merged = _logits(model, asked)
        yield Measurement(
            f"merged against base + adapter, {name}: largest |Δlogit|", _largest(merged - beside)
        )
        for said, what in ((beside, "base + adapter"), (merged, "merged")):
            p, expected = _p(said, asked), _p(trusted, asked)
            label = f"{what} in {name} against float32 on the CPU"
            yield Measurement(f"{label}: largest |Δp|", _largest(p - expected))
            flipped = (p >= 0.5) != (expected >= 0.5)
            yield Measurement(f"{label}: verdicts that flip", int(flipped.sum()))


def judgements(name: str, problems: int) -> list[Judgement]:
    """Return the judgements of all steps of a solution to each of some problems."""
    tokenizer = compact_tokenizer("verifier")
    image = tokenizer.get_vocab()["<|image_pad|>"]
    rng, found = Random(name), []
    for _ in range(problems):
        exchange = judge(rng, make_problem(rng, rng.choice(DATASOURCES), 0.5))
        pictures = pixel_values("verifier", [pixels(each) for each in exchange.diagrams])
        for prompt, reply in exchange.turns:
            said, key, verdict = reply.partition(f"{VERDICT_KEY}:")
            begun = prompt_text("verifier", prompt.messages) + said + key
            texts = [f"{begun}{each}}}" for each in ("1", "-1")]
            right, wrong = tokenizer(texts, add_special_tokens=False)["input_ids"]
            place = next(
                n for n, (one, other) in enumerate(zip(right, wrong, strict=False)) if one != other
            )
            ids = torch.tensor([right[:place]])
            arguments = {
                "input_ids": ids,
                "attention_mask": torch.ones_like(ids),
                "mm_token_type_ids": (ids == image).int(),
                **pictures,
            }
            choices = [right[place], wrong[place]]
            found.append(Judgement(arguments, choices, is_wrong="wrong" in verdict))
    return found


def _trained(base: Any, taught: Sequence[Judgement]) -> dict[str, torch.Tensor]:
    """Return the weights of an adapter after one step a judgement, on the CPU."""
    model = copy.deepcopy(base)
    torch.manual_seed(0)
    optimiser = torch.optim.AdamW(add_adapter(model, model.model.language_model), LEARNING_RATE)
    for judgement in taught:
        logits = model(**judgement.arguments, logits_to_keep=1).logits[0, :, judgement.choices]
        target = torch.tensor([int(judgement.is_wrong)])
        functional.cross_entropy(logits, target).backward()
        optimiser.step()
        optimiser.zero_grad()
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    return {name: weight for name, weight in model.state_dict().items() if name in trained}


def _adapted(
    base: Any, adapter: dict[str, torch.Tensor], device: torch.device, dtype: torch.dtype
) -> Any:
    model = copy.deepcopy(base).to(device, dtype)
    add_adapter(model, model.model.language_model)
    model.load_state_dict(adapter, strict=False)
    return model


@torch.no_grad()
def _logits(model: Any, asked: Sequence[Judgement]) -> torch.Tensor:
    """Return the logits (judgements, vocabulary) where the verdict is decided."""
    found = []
    for judgement in asked:
        arguments = {name: each.to(model.device) for name, each in judgement.arguments.items()}
        found.append(model(**arguments, logits_to_keep=1).logits[0, -1].float().cpu())
    return torch.stack(found)


def _p(logits: torch.Tensor, asked: Sequence[Judgement]) -> torch.Tensor:
    """Return p of the verdict 1 of each judgement."""
    pairs = logits.gather(1, torch.tensor([each.choices for each in asked]))
    return pairs.softmax(-1)[:, 0]


def _largest(differences: torch.Tensor) -> float:
    return differences.abs().max().item()
