"""The `api` engine against vLLM's own OpenAI-compatible server with a tiny Qwen2.5-VL."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image as PillowImage

from evpv_prm.engine.api import ApiEngine
from evpv_prm.engine.base import IMAGE, Image, Reply, Request, Result, Sampling, text
from evpv_prm.errors import UserError
from tests.models import api_model

pytestmark = pytest.mark.real

START_S = 300
MODEL = "tiny"
SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"enum": ["right", "wrong"]}, "step": {"enum": [1, 2, 3]}},
    "required": ["verdict", "step"],
    "additionalProperties": False,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the server ended:\n{log.read_text()[-3000:]}"
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(1)
    pytest.fail(f"the server did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def base_url(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log"
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(models / "qwen25vl"), "--served-model-name", MODEL),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--max-model-len", "4096", "--enforce-eager"),
        *("--limit-mm-per-prompt", '{"image": 2}', "--block-size", "32"),
        *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
        "--enable-prompt-tokens-details",
    ]
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "2",
    }
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            wait_until_ready(server, port, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(timeout=60)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Image]:
    folder = tmp_path_factory.mktemp("images")
    PillowImage.new("RGB", (112, 84), "red").save(folder / "red.png")
    PillowImage.new("RGB", (84, 112), "blue").save(folder / "named_wrongly.png", format="JPEG")
    return [Image(folder / "red.png"), Image(folder / "named_wrongly.png")]


def ask(base_url: str, *asked: Request, structured_outputs: str = "vllm") -> list[Result]:
    options = api_model(
        base_url=base_url,
        model=MODEL,
        api_key_env=None,
        structured_outputs=structured_outputs,
        logprobs=True,
    )
    engine = ApiEngine(options)
    try:
        results = dict(engine.generate(asked))
    finally:
        engine.close()
    return [results[index] for index in range(len(asked))]


def request(prompt: str, *images: Image, seed: int = 0, **fields: object) -> Request:
    sampling = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 64, "top_logprobs": 0}
    sampling |= {name: fields.pop(name) for name in list(fields) if name in sampling}
    content = [*(IMAGE for _ in images), text(prompt)]
    return Request(
        stage="judge",
        messages=[{"role": "user", "content": content}],
        images=images,
        sampling=Sampling(seed=seed, **sampling),
        **fields,
    )


def test_choices_come_with_log_probabilities(base_url: str, pictures: list[Image]) -> None:
    asked = request("Right?", pictures[0], choices=["1", "0"], top_logprobs=5, max_tokens=1)
    asked_for_more = request("Right?", pictures[0], choices=["1", "-1"], top_logprobs=5)
    verdict, long_verdict = ask(base_url, asked, asked_for_more)
    for result in (verdict, long_verdict):
        assert isinstance(result, Reply), result
        assert result.text in ("1", "0", "-1")
        assert result.logprobs
        assert all(5 <= len(position) <= 6 for position in result.logprobs)
        assert all(value <= 0 for position in result.logprobs for value in position.values())


@pytest.mark.parametrize("structured_outputs", ["vllm", "openai"])
def test_a_json_schema_is_kept(base_url: str, structured_outputs: str) -> None:
    asked = [request("Judge.", seed=seed, json_schema=SCHEMA) for seed in range(4)]
    for result in ask(base_url, *asked, structured_outputs=structured_outputs):
        assert isinstance(result, Reply), result
        verdict = json.loads(result.text)
        assert verdict["verdict"] in ("right", "wrong")
        assert verdict["step"] in (1, 2, 3)


def test_a_seed_repeats_and_another_differs(base_url: str, pictures: list[Image]) -> None:
    words = [f"{word}{number}" for word in ("one", "two", "three") for number in range(30)]
    asked = [
        request("Any word.", pictures[0], seed=s, choices=words) for s in (*range(6), *range(6))
    ]
    replies = [result.text for result in ask(base_url, *asked)]
    assert replies[:6] == replies[6:]
    assert len(set(replies)) > 1


def test_two_images_are_read_and_counted(base_url: str, pictures: list[Image]) -> None:
    prompt = "What differs between the two? " * 20
    one, two, again = (
        ask(base_url, request(prompt, *shown, choices=["size", "colour"]))[0]
        for shown in (pictures[:1], pictures, pictures)
    )
    for result in (one, two, again):
        assert isinstance(result, Reply), result
        assert result.usage.completion > 0
    assert two.usage.prompt > one.usage.prompt
    assert two.usage.prompt == again.usage.prompt
    assert again.usage.cached > 0


def test_a_wrong_model_name_is_one_clear_error(base_url: str) -> None:
    options = api_model(base_url=base_url, model="no-such-model", api_key_env=None)
    engine = ApiEngine(options)
    with pytest.raises(UserError, match="no-such-model") as raised:
        list(engine.generate([request("Hello?")] * 3))
    engine.close()
    assert "\n" not in str(raised.value)
    assert "404" in str(raised.value)
