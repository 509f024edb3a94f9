"""The teacher's descriptions of questions' images, and the same with errors in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evpv_prm import parsing, prompts
from evpv_prm.config_intervention import Describing
from evpv_prm.data.corruptions import Corruption, corrupt_throughout, parse_noise
from evpv_prm.data.images import load_images
from evpv_prm.data.intervention_records import (
    EXPERIMENTS,
    META,
    DescribedQuestion,
    Meta,
    NoisyDescription,
)
from evpv_prm.engine.base import Failure, Image
from evpv_prm.engine.store import StoredEngine
from evpv_prm.records import Caption, Question
from evpv_prm.teacher import ask_until_valid
from evpv_prm.verifier import request


@dataclass
class Item:
    """A question on its way; `failures` says why what is None could not be had."""

    question: Question
    images: Sequence[Image]
    failures: list[str] = field(default_factory=list)
    oracle: Caption | None = None
    noisy: NoisyDescription | None = None


def describe(
    questions: Sequence[Question],
    root: Path,
    engine: StoredEngine,
    options: Describing,
    seed: int,
) -> list[DescribedQuestion]:
    """Return the first `options.limit` questions with the teacher's description and a wrong one.

    Two waves: the descriptions, then the errors, if it is the teacher who makes them. Nothing is
    asked about images that cannot be used.
    """
    items = [_load(question, root) for question in questions[: options.limit]]
    _ask_oracle([item for item in items if item.images], engine, options, seed)
    described = [item for item in items if item.oracle is not None]
    if options.noise_by == "teacher":
        spoilt = _spoil_by_teacher(described, engine, options, seed)
    else:
        spoilt = [_spoil_by_rules(item, options, seed) for item in described]
    for item, corruption in zip(described, spoilt, strict=True):
        if isinstance(corruption, Failure):
            item.failures.append(f"noise:{corruption.kind}")
        else:
            item.noisy = _noisy(item, corruption, options)
    return [_finish(item) for item in items]


def _load(question: Question, root: Path) -> Item:
    images = load_images(root, question.images)
    if isinstance(images, Failure):
        return Item(question, [], [f"question:{images.kind}"])
    return Item(question, images)


def _ask_oracle(
    items: Sequence[Item], engine: StoredEngine, options: Describing, seed: int
) -> None:
    requests = []
    for item in items:
        prompt = prompts.caption(
            item.question.question,
            len(item.images),
            max_characters=options.max_caption_characters,
        )
        requests.append(request("teacher_describe", prompt, item.images, options.oracle, seed))

    def check(_index: int, text: str) -> Caption | Failure:
        return parsing.parse_caption(text)

    captions = ask_until_valid(engine, requests, check, options.attempts, "teacher describes")
    for item, caption in zip(items, captions, strict=True):
        if isinstance(caption, Failure):
            item.failures.append(f"describe:{caption.kind}")
        else:
            item.oracle = caption


def _certain(item: Item) -> str:
    """Return what the oracle is sure of, as it is read: there is no error in a doubt."""
    assert item.oracle is not None
    return item.oracle.model_copy(update={"uncertain": []}).to_text()


def _spoil_by_rules(item: Item, options: Describing, seed: int) -> Corruption | Failure:
    spoilt = corrupt_throughout(
        _certain(item), item.question.pid, seed, options.max_errors, options.min_errors
    )
    return spoilt or Failure("nothing_to_corrupt")


def _spoil_by_teacher(
    items: Sequence[Item], engine: StoredEngine, options: Describing, seed: int
) -> list[Corruption | Failure]:
    limits = {"max_errors": options.max_errors, "min_errors": options.min_errors}
    requests = []
    for item in items:
        prompt = prompts.noise(_certain(item), len(item.images), **limits)
        requests.append(request("noise", prompt, item.images, options.noise, seed))

    def check(index: int, text: str) -> Corruption | Failure:
        return parse_noise(text, _certain(items[index]), **limits)

    return ask_until_valid(engine, requests, check, options.attempts, "teacher errs")


def _noisy(item: Item, corruption: Corruption, options: Describing) -> NoisyDescription:
    """Put the doubts behind the text with errors, where the oracle has them."""
    assert item.oracle is not None
    spoilt = Caption(caption=corruption.text, key_facts=[], uncertain=item.oracle.uncertain)
    errors = [error.to_json() for error in corruption.errors]
    return NoisyDescription(text=spoilt.to_text(), source=options.noise_by, errors=errors)


def _finish(item: Item) -> DescribedQuestion:
    meta = Meta(
        oracle_description=item.oracle, noisy_description=item.noisy, failures=item.failures
    )
    row = {key: value for key, value in item.question.to_row().items() if key != EXPERIMENTS}
    return DescribedQuestion.model_validate({**row, META: meta})
