"""The tiny models are real ones: transformers and vLLM load them and answer about pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evpv_prm import prompts
from evpv_prm.config import Model, VllmOptions
from evpv_prm.diagrams import tiny_internvl, tiny_qwen25vl
from evpv_prm.diagrams.world import TEST, make_world
from evpv_prm.engine.base import Image, Reply, Request, Sampling

pytestmark = pytest.mark.real

BUILDERS = {"qwen25vl": tiny_qwen25vl.main, "internvl": tiny_internvl.main}
EXERCISES = make_world(2, 0, TEST, difficulty=0.5)
ONE_IMAGE, TWO_IMAGES = EXERCISES[0], EXERCISES[-1]


@pytest.fixture(scope="module")
def processor(models):
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(models / "qwen25vl")


@pytest.mark.parametrize("name", BUILDERS)
def test_the_same_seed_builds_the_same_bytes(models, name, tmp_path):
    BUILDERS[name](["--output", str(tmp_path / "again")])
    BUILDERS[name](["--output", str(tmp_path / "other"), "--seed", "1"])
    first, again, other = (
        {path.name: path.read_bytes() for path in directory.iterdir()}
        for directory in (models / name, tmp_path / "again", tmp_path / "other")
    )
    assert first == again
    assert {file for file in first if first[file] != other[file]} == {"model.safetensors"}
    assert sum(map(len, first.values())) < 16e6


def test_qwen_has_the_published_special_token_ids(processor):
    published = {"<|endoftext|>": 151643, "<|vision_start|>": 151652, "<|image_pad|>": 151655}
    vocabulary = processor.tokenizer.get_vocab()
    assert published.items() <= vocabulary.items()
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))


def test_qwen_expands_a_picture_to_its_tokens_and_transformers_runs_it(models, images, processor):
    import PIL.Image
    import torch
    from transformers import AutoModelForImageTextToText

    picture = PIL.Image.open(images / ONE_IMAGE.images[0])
    content = [{"type": "image", "image": picture}, {"type": "text", "text": "What is it?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    tokens = (inputs["input_ids"] == 151655).sum().item()
    assert tokens == (picture.width // 28) * (picture.height // 28)
    model = AutoModelForImageTextToText.from_pretrained(models / "qwen25vl", dtype=torch.float32)
    with torch.no_grad():
        assert model(**inputs).logits.isfinite().all()


def test_qwen_shrinks_pictures_to_the_tokens_asked_for(tmp_path):
    import PIL.Image
    from transformers import AutoProcessor

    tiny_qwen25vl.main(["--output", str(tmp_path / "m"), "--max-image-tokens", "1024"])
    image_processor = AutoProcessor.from_pretrained(tmp_path / "m").image_processor
    grid = image_processor(PIL.Image.new("RGB", (2000, 2000)))["image_grid_thw"][0]
    assert 960 <= grid[1] * grid[2] // 4 <= 1024


@pytest.mark.parametrize("text", ["", "Ā", "\x00", "AB = 4°, π ≈ 3.14\n中文：", "<|im_end|>"])
def test_text_survives_the_tokenizer_and_filler_tokens_never_occur(processor, text):
    ids = processor.tokenizer.encode(text)
    assert processor.tokenizer.decode(ids) == text
    assert all(token < 1024 or token >= 151643 for token in ids)


def request(exercise, images: Path, prompt: prompts.Prompt, seed: int) -> Request:
    pictures = [Image(images / path) for path in exercise.images]
    return Request(
        "policy",
        prompt.messages,
        [pictures[index] for index in prompt.image_order],
        Sampling(temperature=1.0, top_p=0.9, max_tokens=1200, seed=seed),
        choices=prompt.choices,
        json_schema=prompt.json_schema,
    )


@pytest.mark.parametrize("name", BUILDERS)
def test_vllm_answers_about_one_and_two_pictures_in_the_form_asked_for(models, images, name):
    from evpv_prm.engine.vllm import VllmEngine

    model = Model(
        model=str(models / name),
        concurrency=8,
        vllm=VllmOptions(
            dtype="float32", max_model_len=4096, enforce_eager=True, trust_remote_code=True
        ),
    )
    requests = []
    for seed, exercise in enumerate([ONE_IMAGE, TWO_IMAGES] * 4):
        question, number = exercise.problem.question, len(exercise.images)
        solve = prompts.policy(question, number, max_steps=3, max_step_characters=60)
        judge = prompts.judge(question, "Two labels.", ["It is 4."], number, first=1)
        requests += [request(exercise, images, prompt, seed) for prompt in (solve, judge)]
    engine = VllmEngine(model)
    try:
        replies = dict(engine.generate(requests))
    finally:
        engine.close()
    assert sorted(replies) == list(range(len(requests)))
    for index, asked in enumerate(requests):
        reply = replies[index]
        assert isinstance(reply, Reply), reply
        assert reply.usage.prompt >= 16 * len(asked.images)
        if asked.choices:
            assert reply.text in asked.choices
        else:
            solution = json.loads(reply.text)
            assert 1 <= len(solution["reasoningprocess"]) <= 3
            assert all(1 <= len(step["steptext"]) <= 60 for step in solution["reasoningprocess"])
            assert solution["finalanswer"]


def test_a_directory_that_is_no_model_is_not_replaced(tmp_path):
    from evpv_prm.errors import UserError

    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        tiny_internvl.main(["--output", str(tmp_path)])
    assert (tmp_path / "thesis.txt").read_text() == "mine"
