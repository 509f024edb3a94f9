"""The vLLM engine on what the published models bring: their vocabulary, picture sizes, slow code.

Each model has its engine core in a process of its own, as it is on a GPU; that of the slow
tokenizer is in this process, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from evpv_prm import parsing, prompts
from evpv_prm.config import Model, VllmOptions
from evpv_prm.config_judge import JudgeReply
from evpv_prm.engine.base import Image, Reply, Request
from evpv_prm.engine.vllm import VllmEngine
from evpv_prm.prompts import Prompt
from evpv_prm.records import Candidate
from evpv_prm.verdicts import VERDICT_KEY, Judgement, parse_judgement, verdict_probability
from tests.real.asking import put_core_in_own_process, request
from tests.real.shapes import internvl, qwen

pytestmark = pytest.mark.real

EVIDENCE = JudgeReply(judge_form="evidence_then_verdict", max_evidence_characters=16)


@dataclass(frozen=True)
class Shape:
    """A model, and what a picture of a size (width, height) is to it."""

    model: str
    options: dict[str, Any]
    large: tuple[int, int]
    large_tokens: int
    small: tuple[int, int]
    small_tokens: int


QWEN = Shape(
    "qwen", {"mm_processor_kwargs": {"max_pixels": 802_816}}, (1000, 1000), 1024, (56, 56), 4
)
INTERNVL = Shape(
    "internvl",
    {"trust_remote_code": True},
    (1200, 900),
    (internvl.MAX_TILES + 1) * internvl.TILE_TOKENS,  # and the thumbnail
    (100, 100),
    internvl.TILE_TOKENS,
)


@dataclass(frozen=True)
class Served:
    """A model that is served, and its pictures."""

    shape: Shape
    engine: VllmEngine
    large: Image
    small: Image

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        results = dict(self.engine.generate(requests))
        replies = [results[index] for index in range(len(requests))]
        assert all(isinstance(reply, Reply) for reply in replies), replies
        return [reply for reply in replies if isinstance(reply, Reply)]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both models."""
    folder = tmp_path_factory.mktemp("published")
    qwen.build(folder / "qwen")
    internvl.build(folder / "internvl")
    return folder


@pytest.fixture(
    scope="module",
    params=[(INTERNVL, False), (INTERNVL, True), (QWEN, True)],
    ids=["internvl", "internvl-own-process", "qwen-own-process"],
)
def served(
    request: pytest.FixtureRequest, published: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    shape, own_process = request.param
    folder = tmp_path_factory.mktemp("pictures")
    pictures = []
    for name, size in {"large": shape.large, "small": shape.small}.items():
        PIL.Image.linear_gradient("L").resize(size).save(folder / f"{name}.png")
        pictures.append(Image(folder / f"{name}.png"))
    options = VllmOptions(
        dtype="float32", max_model_len=8192, enforce_eager=True, cpu_kv_cache_gib=1, **shape.options
    )
    model = Model(model=str(published / shape.model), concurrency=4, vllm=options)
    with pytest.MonkeyPatch.context() as patch:
        if own_process:
            put_core_in_own_process(patch)
        engine = VllmEngine(model)
        yield Served(shape, engine, *pictures)
        engine.close()


def judge(steps: Sequence[str], reply: JudgeReply | None = None) -> Prompt:
    form = {} if reply is None else {"reply": reply}
    return prompts.judge("How long is AC?", "A segment AC.", steps, 1, first=1, **form)


STEPS = ["AB is 5.", "BC is 7.", "So AC is 12."]
JUDGED = [STEPS[:count] for count in range(1, len(STEPS) + 1)]


def test_every_stage_is_answered(served: Served) -> None:
    describe = prompts.describe("How long is AC?", 1, max_characters=16)
    audit = prompts.audit("A segment.", "- AC is 12", 1, max_errors=1, max_characters=16)
    solve = prompts.policy("How long is AC?", 1, max_steps=1, max_step_characters=16)
    description, audited, candidate = served.answer(
        [request(prompt, served.large) for prompt in (describe, audit, solve)]
    )
    assert isinstance(parsing.parse_description(description.text), str)
    assert isinstance(parsing.parse_audit(audited.text), tuple)
    assert isinstance(parsing.parse_candidate(candidate.text), Candidate)


def test_a_picture_has_as_many_tokens_as_published(served: Served) -> None:
    asked = [request(judge(STEPS[:1]), picture) for picture in (served.large, served.small)]
    large, small = (reply.usage.prompt for reply in served.answer(asked))
    assert large - small == served.shape.large_tokens - served.shape.small_tokens


def test_a_verdict_is_decided_by_the_first_tokens_of_both(served: Served) -> None:
    asked = [request(judge(steps), served.large, top_logprobs=20) for steps in JUDGED]
    for reply in served.answer(asked):
        assert isinstance(parse_judgement(reply.text, JudgeReply()), Judgement)
        assert reply.logprobs is not None
        first = {token: math.exp(value) for token, value in reply.logprobs[0].items()}
        assert set(first) == {"1", "-"}
        p = first["1"] / (first["1"] + first["-"])
        assert verdict_probability(reply.logprobs) == pytest.approx(p, abs=1e-6)
        assert 0.1 < p < 0.9  # random weights prefer neither


def test_the_verdict_behind_the_evidence_has_a_probability(served: Served) -> None:
    asked = [
        request(judge(steps, EVIDENCE), served.large, top_logprobs=20, seed=seed)
        for seed, steps in enumerate(JUDGED * 2)
    ]
    for reply in served.answer(asked):
        assert isinstance(parse_judgement(reply.text, EVIDENCE), Judgement)
        kept = reply.with_logprobs_from(VERDICT_KEY)
        p = verdict_probability(kept.logprobs)
        assert p == verdict_probability(reply.logprobs)
        assert p is not None
        assert 0.1 < p < 0.9  # random weights prefer neither


def test_the_vocabulary_is_the_published_one(published: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(published / "qwen")
    texts = {"-": [12], "1": [16], "-1": [12, 16], '{"': [4913], '":-': [52_052]}
    assert {text: tokenizer.encode(text) for text in texts} == texts
    assert tokenizer.convert_tokens_to_ids("<|image_pad|>") == 151_655


def test_the_slow_tokenizer_loads_with_the_models_code_alone(published: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(published / "internvl", trust_remote_code=True)
    assert not tokenizer.is_fast
    with pytest.raises(ValueError, match="trust_remote_code"):
        AutoTokenizer.from_pretrained(published / "internvl", trust_remote_code=False)
