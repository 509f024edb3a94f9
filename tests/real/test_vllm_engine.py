"""The vLLM engine on a tiny verifier: forms, probabilities, seeds, the caches, errors.

Each test runs twice: with vLLM's core in this process, as on a CPU, and in one of its own, as on a
GPU.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest

from evpv_prm import prompts
from evpv_prm.config import Model, VllmOptions
from evpv_prm.config_judge import JudgeReply
from evpv_prm.engine.base import Failure, Image, Reply, Request, Result
from evpv_prm.engine.vllm import VllmEngine
from evpv_prm.engine.vllm_prompts import chat
from evpv_prm.errors import UserError
from evpv_prm.prompts import Prompt
from evpv_prm.verdicts import VERDICT_KEY, parse_judgement, verdict_probability
from tests.real.asking import put_core_in_own_process, request

pytestmark = pytest.mark.real

CONTEXT = 2048


@pytest.fixture(scope="module", params=["core in this process", "core in its own"])
def engine(models: Path, request: pytest.FixtureRequest) -> Iterator[VllmEngine]:
    options = VllmOptions(dtype="float32", max_model_len=CONTEXT, enforce_eager=True)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "core in its own":
            put_core_in_own_process(patch)
        made = VllmEngine(Model(model=str(models / "qwen25vl"), concurrency=4, vllm=options))
    yield made
    made.close()


@pytest.fixture
def picture(images: Path) -> Image:
    return Image(next(images.rglob("*.png")))


def answer(engine: VllmEngine, requests: Sequence[Request]) -> list[Result]:
    results = dict(engine.generate(requests))
    assert sorted(results) == list(range(len(requests)))
    return [results[index] for index in range(len(requests))]


def judge(steps: Sequence[str]) -> Prompt:
    return prompts.judge("How long is AB?", "A segment AB of length 4.", steps, 1, first=1)


def test_a_verdict_comes_with_its_untempered_probability(
    engine: VllmEngine, picture: Image
) -> None:
    asked = [
        request(judge(["AB is 4."]), picture, top_logprobs=20, temperature=t) for t in (1.0, 0.1)
    ]
    replies = answer(engine, asked)
    for reply in replies:
        assert isinstance(reply, Reply)
        assert reply.text in prompts.VERDICTS
        assert reply.logprobs is not None
        assert [set(position) for position in reply.logprobs] == [{"1", "-"}]
        # Of all tokens, not of these two alone: a model that would rather say something else shows.
        assert sum(map(math.exp, reply.logprobs[0].values())) < 0.5
    warm, cold = (verdict_probability(r.logprobs) for r in replies if isinstance(r, Reply))
    assert warm == pytest.approx(cold, abs=1e-5)


def test_the_probability_behind_evidence_is_that_of_the_verdicts_token(
    engine: VllmEngine, picture: Image
) -> None:
    form = JudgeReply(judge_form="evidence_then_verdict", max_evidence_characters=24)
    steps = [["AB is 4."], ["AB is 4.", "So it is 8."], ["-1", "1"]]
    asked = [
        request(prompt, picture, top_logprobs=20, seed=seed)
        for seed, shown in enumerate(steps * 4)
        for prompt in [prompts.judge("AB?", "A segment AB of 4.", shown, 1, first=1, reply=form)]
    ]
    verdicts = set()
    for reply in answer(engine, asked):
        assert isinstance(reply, Reply), reply
        said = json.loads(reply.text)
        assert json.dumps(said, separators=(",", ":"), ensure_ascii=False) == reply.text
        assert list(said) == ["evidence", "verdict"]
        assert parse_judgement(reply.text, form) == (said["verdict"], said["evidence"].strip())
        verdicts.add(said["verdict"])
        assert reply.logprobs is not None
        taken = [next(iter(position)) for position in reply.logprobs]
        # The token after the key's colon decides, as this tokenizer divides the text.
        (place,) = [n for n in range(len(taken)) if "".join(taken[:n]).endswith('"verdict":')]
        choice = {token: math.exp(value) for token, value in reply.logprobs[place].items()}
        assert sum(choice.values()) == pytest.approx(1, abs=1e-4)
        expected = choice["1"] / (choice["1"] + sum(p for t, p in choice.items() if t[0] == "-"))
        assert verdict_probability(reply.logprobs) == pytest.approx(expected, abs=1e-6)
        kept = reply.with_logprobs_from(VERDICT_KEY)
        assert verdict_probability(kept.logprobs) == pytest.approx(expected, abs=1e-6)
        assert len(kept.logprobs or ()) < 12
    assert verdicts == {1, -1}


def test_json_replies_parse_strictly_and_keep_their_bounds(
    engine: VllmEngine, picture: Image
) -> None:
    prompt = prompts.audit("A segment.", "- AB is 4", 1, max_errors=1, max_characters=40)
    results = answer(engine, [request(prompt, picture, seed=s, max_tokens=1500) for s in range(6)])
    for reply in results:
        assert isinstance(reply, Reply), reply
        audit = json.loads(reply.text)
        assert list(audit) == ["errors_and_hallucinations", "omissions", "p_score"]
        assert len(audit["errors_and_hallucinations"]) <= 1
        assert audit["p_score"] in prompts.P_SCORES


def test_replies_depend_on_the_seed_and_not_on_the_batch(
    engine: VllmEngine, picture: Image
) -> None:
    prompt = prompts.describe("How long is AB?", 1, max_characters=60)
    asked = [request(prompt, picture, seed=s) for s in range(5)]
    together = answer(engine, asked)
    alone = [answer(engine, [one])[0] for one in asked]
    texts = [result.text for result in together]
    assert texts == [result.text for result in alone]
    assert len(set(texts)) > 1


def test_steps_of_one_solution_share_their_beginning(engine: VllmEngine, picture: Image) -> None:
    steps = [f"Step {n} adds {n} to the length." for n in range(1, 7)]
    answer(engine, [request(judge(steps[:1]), picture)])
    replies = answer(engine, [request(judge(steps[:n]), picture) for n in range(2, 7)])
    used = [reply.usage for reply in replies if isinstance(reply, Reply)]
    assert sum(each.cached for each in used) / sum(each.prompt for each in used) > 0.8


def test_a_reply_cut_short_is_a_failure(engine: VllmEngine, picture: Image) -> None:
    prompt = prompts.describe("How long is AB?", 1, max_characters=500)
    (result,) = answer(engine, [request(prompt, picture, max_tokens=5)])
    assert isinstance(result, Failure)
    assert result.kind == "truncated"


def test_a_prompt_beyond_the_context_fails_alone(engine: VllmEngine, picture: Image) -> None:
    long = request(judge(["word " * CONTEXT]), picture)
    short = request(judge(["AB is 4."]), picture)
    refused, reply = answer(engine, [long, short])
    assert isinstance(refused, Failure)
    assert refused.kind == "prompt_refused"
    assert "\n" not in refused.detail
    assert isinstance(reply, Reply)


def test_a_refused_prompt_spares_the_requests_that_show_its_picture(
    engine: VllmEngine, tmp_path: Path
) -> None:
    # vLLM takes a picture as sent once its prompt has been rendered, refused or not.
    PIL.Image.new("RGB", (336, 336), "teal").save(tmp_path / "new.png")
    picture = Image(tmp_path / "new.png")
    (message,) = judge(["AB is 4."]).messages
    written = len(engine._prompts._tokens(message["content"][-1]["text"]))
    # The text alone would fit.
    steps = [["1" * (CONTEXT - written - 60)], ["AB is 4."], ["AB is 4.", "So it is 8."]]
    refused, *replies = answer(engine, [request(judge(each), picture) for each in steps])
    assert isinstance(refused, Failure)
    assert refused.kind == "prompt_refused"
    assert "decoder prompt" in refused.detail
    assert [type(reply) for reply in replies] == [Reply, Reply]
    assert all(reply.text in prompts.VERDICTS for reply in replies)


def test_a_picture_that_the_core_has_lost_is_sent_again(engine: VllmEngine, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (336, 336), "olive").save(tmp_path / "lost.png")
    asked = [request(judge([f"AB is {n}."]), Image(tmp_path / "lost.png")) for n in range(4)]
    answer(engine, asked[:1])
    core = engine._llm.llm_engine.engine_core
    core.reset_mm_cache()  # the core's side alone
    core.reset_prefix_cache()
    core.reset_encoder_cache()
    assert [type(result) for result in answer(engine, asked[1:])] == [Reply] * 3


def test_a_request_that_the_core_gives_up_is_a_failure(
    engine: VllmEngine, picture: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = engine._llm.llm_engine.step

    def gives_up() -> list[object]:
        outputs = step()
        for output in outputs:
            output.outputs[0].finish_reason = "error"
            output.outputs[0].text = ""
        return outputs

    monkeypatch.setattr(engine._llm.llm_engine, "step", gives_up)
    (result,) = answer(engine, [request(judge(["AB is 4."]), picture)])
    assert isinstance(result, Failure)
    assert result.kind == "engine_error"


def test_prompts_have_the_tokens_that_vllm_gives_them(
    engine: VllmEngine, picture: Image, images: Path
) -> None:
    other = Image(max(images.rglob("*.png")))
    steps = ["The bar shows 7.\n\nSo\tit  is", "x = 3\n- 4 <b>", "數 \n 1", "é\nÉ", "a\n\n\nB"]
    for shown in ([picture], [other], [picture, other], []):
        for count in range(1, len(steps) + 1):
            prompt = prompts.judge("What?", "A bar.", steps[:count], len(shown), first=1)
            asked = replace(request(prompt, picture), images=shown)
            ours = engine._prompts.render(asked)
            theirs = engine._llm._preprocess_chat_one(chat(asked))
            for field in ("type", "prompt", "prompt_token_ids"):
                assert ours[field] == theirs[field]
            for field in ("mm_hashes", "mm_placeholders"):
                assert ours.get(field) == theirs.get(field)
        assert not shown or answer(engine, [asked])[0].usage.prompt == len(ours["prompt_token_ids"])


def test_abandoned_requests_leave_the_engine_usable(engine: VllmEngine, picture: Image) -> None:
    asked = [request(judge([f"AB is {n}."]), picture) for n in range(12)]
    replies = engine.generate(asked)
    next(replies)
    replies.close()
    assert isinstance(answer(engine, [replace(asked[0], sample_index=1)])[0], Reply)


@pytest.mark.parametrize("content", [None, "not a model"])
def test_a_model_that_cannot_be_loaded_is_one_clear_line(
    tmp_path: Path, content: str | None
) -> None:
    folder = tmp_path / "model"
    if content:
        folder.mkdir()
        (folder / "config.json").write_text(content)
    with pytest.raises(UserError) as raised:
        VllmEngine(Model(model=str(folder)))
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_keeps_the_core_from_starting_is_in_the_error(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_core_in_own_process(monkeypatch)
    folder = tmp_path / "model"
    shutil.copytree(models / "qwen25vl", folder)
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    options = VllmOptions(dtype="float32", max_model_len=CONTEXT, enforce_eager=True)
    with pytest.raises(UserError, match="weights") as raised:
        VllmEngine(Model(model=str(folder), vllm=options))
    assert "\n" not in str(raised.value)
