"""The trained tiny models are the same functions in training, in transformers and in vLLM."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import PIL.Image
import PIL.ImageDraw
import pytest

from evpv_prm import prompts
from evpv_prm.config import Model, VllmOptions
from evpv_prm.diagrams import (
    architectures,
    expand_weights,
    internvl,
    model_inputs,
    packing,
    trim_vocabulary,
)
from evpv_prm.diagrams.architectures import NAMES, Name
from evpv_prm.diagrams.draw import pixels
from evpv_prm.diagrams.pretraining import tasks
from evpv_prm.diagrams.pretraining.batches import collate
from evpv_prm.diagrams.pretraining.encoding import Encoder, Sequences
from evpv_prm.diagrams.pretraining.students import Verifier
from evpv_prm.diagrams.questions import DATASOURCES, make_problem
from evpv_prm.engine.base import Image, Request, Sampling
from evpv_prm.errors import UserError

pytestmark = pytest.mark.real

TOKENS = 24
IMAGE_TOKENS = {"policy": "<IMG_CONTEXT>", "verifier": "<|image_pad|>"}
QUESTION = "What is the sum of the red bar and the blue bar?"
TWO_IMAGES = "What is the sum of the red bar in <image 1> and the circle in <image 2>?"
FACTS = "The red bar shows 7. The blue bar shows 4."


class Trained(NamedTuple):
    """A model in all its forms."""

    weights: Path
    compact: Any
    directory: Path


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> Name:
    return request.param


@pytest.fixture(scope="module")
def trained(name: Name, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return built(name, tmp_path_factory.mktemp(name))


def built(name: Name, folder: Path) -> Trained:
    """The trained model, compact and as a directory."""
    weights, directory = packing.weights_file(name), folder / name
    assert expand_weights.main(["--model", name, "--output", str(directory)]) == 0
    return Trained(weights, packing.load_compact(name, weights).eval(), directory)


def random_model(name: Name) -> Any:
    import torch

    model = architectures.compact_model(name, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                spread = weight[0].numel() ** -0.5
                weight.copy_(1.5 * spread * torch.randn(weight.shape, generator=generator))
        model.lm_head.weight[architectures.compact_ids(name).shared_row] = 0  # never the highest
    return model


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of bars of different heights, 112×112."""
    paths = []
    for number in range(8):
        picture = PIL.Image.new("RGB", (112, 112), "white")
        pen = PIL.ImageDraw.Draw(picture)
        for bar, colour in enumerate(("red", "blue", "green")):
            height = 10 + (29 * number + 37 * bar) % 80
            pen.rectangle((10 + 34 * bar, 105 - height, 30 + 34 * bar, 105), fill=colour)
            pen.text((16 + 34 * bar, 90 - height), str(1 + (number + 4 * bar) % 9), fill="black")
        paths.append(tmp_path_factory.getbasetemp() / f"picture{number}.png")
        picture.save(paths[-1])
    return paths


def asked(name: Name) -> list[prompts.Prompt]:
    """Eight prompts with one or two pictures, as the pipeline asks them of a model."""
    if name == "policy":
        questions = [(QUESTION, 1), (TWO_IMAGES, 2), ("What is twice the circle?", 1)]
        solve = [
            prompts.policy(question, images, max_steps=5, max_step_characters=80)
            for question, images in questions
        ]
        return [solve[number % 3] for number in range(8)]
    steps = ["The red bar shows 7.", "7 + 4 = 11."]
    return 2 * [
        prompts.describe(QUESTION, 1, max_characters=200),
        prompts.caption(TWO_IMAGES, 2, max_characters=200),
        prompts.audit(FACTS, "- The red bar shows 4.", 1, max_errors=3, max_characters=80),
        prompts.judge(TWO_IMAGES, FACTS, steps, 2, first=1),
    ]


def shown(prompt: prompts.Prompt, number: int, pictures: list[Path]) -> list[Path]:
    """The pictures of the n-th prompt."""
    return [pictures[(number + index) % len(pictures)] for index in prompt.image_order]


def forward_arguments(
    name: Name, model: Any, prompt: prompts.Prompt, paths: list[Path]
) -> dict[str, Any]:
    """What a compact model's forward pass takes."""
    import torch

    text = model_inputs.prompt_text(name, prompt.messages)
    ids = architectures.compact_tokenizer(name)(text, return_tensors="pt")["input_ids"]
    images = model_inputs.pixel_values(name, [PIL.Image.open(path) for path in paths])
    kinds = (ids == model.config.image_token_id).int()
    of_kinds = {"mm_token_type_ids": kinds} if name == "verifier" else {}
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **of_kinds, **images}


def said(name: Name, trained: Trained, arguments: dict[str, Any]) -> str:
    """What the compact model answers, greedily."""
    tokenizer = architectures.compact_tokenizer(name)
    ids = trained.compact.generate(
        **arguments,
        max_new_tokens=TOKENS,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )[0, arguments["input_ids"].shape[1] :]
    assert architectures.compact_ids(name).shared_row not in ids
    return tokenizer.decode(ids, skip_special_tokens=True)


def test_vllm_says_what_transformers_says_and_counts_the_same_tokens(name, trained, pictures):
    from evpv_prm.engine.vllm import VllmEngine

    options = VllmOptions(
        dtype="float32", max_model_len=1024, enforce_eager=True, trust_remote_code=name == "policy"
    )
    questions = asked(name)
    arguments = [
        forward_arguments(name, trained.compact, prompt, shown(prompt, number, pictures))
        for number, prompt in enumerate(questions)
    ]
    expected = [said(name, trained, each) for each in arguments]
    # One prompt about two pictures each time: the model sees them.
    assert len(set(expected)) > len({str(prompt.messages) for prompt in questions})
    greedy = Sampling(temperature=0.0, top_p=1.0, max_tokens=TOKENS, seed=0)
    engine = VllmEngine(Model(model=str(trained.directory), concurrency=8, vllm=options))
    requests = [
        Request(
            "policy",
            prompt.messages,
            [Image(path) for path in shown(prompt, number, pictures)],
            greedy,
        )
        for number, prompt in enumerate(questions)
    ]
    try:
        replies = dict(engine.generate(requests))
        prompt_tokens = [len(engine._prompts.render(one)["prompt_token_ids"]) for one in requests]
    finally:
        engine.close()
    texts = [replies[number].text for number in range(len(questions))]
    # vLLM holds back the bytes of a character that never becomes whole.
    assert [text.rstrip("\ufffd") for text in texts] == [t.rstrip("\ufffd") for t in expected]
    assert prompt_tokens == [each["input_ids"].numel() for each in arguments]
    for prompt, each in zip(questions, arguments, strict=True):
        of_images = (each["input_ids"] == trained.compact.config.image_token_id).sum()
        assert of_images == 16 * len(prompt.image_order)


def test_an_audit_that_rejects_a_fact_lists_an_error_and_else_none():
    import torch

    student = Verifier(0)
    student.model.load_state_dict(packing.unpack("verifier", packing.weights_file("verifier")))
    student.model.eval()
    encoder = Encoder(student.tokenizer, lambda _token: 1.0)
    (none,), (some,) = (encoder.encode(form) for form in ('":[],"', '":[{"'))
    right = []
    for seed in range(30):
        rng = Random(seed)
        exchange = tasks.audit(rng, make_problem(rng, rng.choice(DATASOURCES), 0.5))
        [(prompt, reply)] = exchange.turns
        said, mark, _ = reply.partition('"errors_and_hallucinations')
        ids = encoder.encode(student.render(prompt)) + encoder.encode(said + mark)
        batch = collate([Sequences(ids, [0.0] * (len(ids) - 1) + [1.0], [])], student.places)
        with torch.no_grad():
            seen = student.look([pixels(diagram) for diagram in exchange.diagrams])
            logits = student.head(student.read(batch, seen)[0, len(ids) - 1])
        right.append(('"holds":false' in reply, bool(logits[some] > logits[none])))
    # Else the gate would idle although the audit has found what is wrong.
    assert sum(rejects == lists for rejects, lists in right) >= 28
    assert {rejects for rejects, _ in right} == {False, True}


def test_the_expanded_verifier_is_the_compact_one_to_transformers(pictures, tmp_path):
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    name: Name = "verifier"
    _, compact, directory = built(name, tmp_path)
    expanded = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(directory)
    ids = architectures.compact_ids(name)
    for number, prompt in enumerate(asked(name)[:2]):
        paths = shown(prompt, number, pictures)
        arguments = forward_arguments(name, compact, prompt, paths)
        inputs = processor(
            text=[
                processor.apply_chat_template(
                    prompt.messages, add_generation_prompt=True, tokenize=False
                )
            ],
            images=[PIL.Image.open(path) for path in paths],
            return_tensors="pt",
        )
        real = inputs["input_ids"][0].tolist()
        assert real.count(expanded.config.image_token_id) == 16 * len(paths)
        assert [ids.compact_id(token) for token in real] == arguments["input_ids"][0].tolist()
        with torch.no_grad():
            ours, theirs = compact(**arguments).logits[0, -1], expanded(**inputs).logits[0, -1]
        used = [ids.real_id(token) for token in range(ids.shared_row)]
        torch.testing.assert_close(theirs[used], ours[: ids.shared_row], atol=1e-4, rtol=1e-4)
        # The shared row weighs as much as all the rows that it stands for.
        ours[ids.shared_row] += ids.shared_logit_offset
        torch.testing.assert_close(theirs.logsumexp(0), ours.logsumexp(0), atol=1e-4, rtol=1e-4)


def test_the_trimmed_verifier_is_the_expanded_one(pictures, tmp_path):
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    name: Name = "verifier"
    directory, trimmed = built(name, tmp_path).directory, tmp_path / "trimmed"
    assert trim_vocabulary.main(["--model", str(directory), "--output", str(trimmed)]) == 0
    ids = architectures.compact_ids(name)
    prompt, found = asked(name)[0], []
    for folder in (directory, trimmed):
        processor = AutoProcessor.from_pretrained(folder)
        text = processor.apply_chat_template(
            prompt.messages, add_generation_prompt=True, tokenize=False
        )
        image = PIL.Image.open(pictures[0])
        inputs = processor(text=[text], images=[image], return_tensors="pt")
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        with torch.no_grad():
            found.append((inputs["input_ids"][0].tolist(), model(**inputs).logits[0, -1]))
    (real, expected), (short, logits) = found
    assert [ids.compact_id(token) for token in real] == short
    used = [ids.real_id(token) for token in range(ids.shared_row)]
    torch.testing.assert_close(logits[: ids.shared_row], expected[used], atol=1e-4, rtol=1e-4)
    assert len(logits) < 1200


def test_another_model_is_not_trimmed(models, tmp_path):
    for folder, problem in ((models / "qwen25vl", "verifier"), (tmp_path, "config.json")):
        with pytest.raises(UserError, match=problem):
            trim_vocabulary.main(["--model", str(folder), "--output", str(tmp_path / "trimmed")])
    assert not (tmp_path / "trimmed").exists()


def test_ms_swift_shows_the_verifier_sixteen_tokens_a_picture(pictures, tmp_path):
    from swift import get_processor, get_template

    from evpv_prm.training.command import TEMPLATE
    from evpv_prm.training.image_tokens import image_token_problem

    processor = get_processor(str(built("verifier", tmp_path).directory), model_type=TEMPLATE)
    template = get_template(processor, template_type=TEMPLATE)
    template.set_mode("train")
    for images in (1, 2):
        sample = template.encode(
            {
                "messages": [
                    {"role": "user", "content": "<image>" * images + QUESTION},
                    {"role": "assistant", "content": FACTS},
                ],
                "images": [str(path) for path in pictures[:images]],
            }
        )
        image_pad = processor.tokenizer.get_vocab()[IMAGE_TOKENS["verifier"]]
        assert list(sample["input_ids"]).count(image_pad) == 16 * images
        assert image_token_problem(sample, image_pad, merge_size=2) is None


def test_packing_keeps_every_weight_and_expanding_every_used_row(name, trained, tmp_path):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    packing.pack(trained.compact, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == trained.weights.read_bytes()
    compact = packing.unpack(name, trained.weights)
    expected = architectures.expanded(name, compact)
    ids = architectures.compact_ids(name)
    used = [ids.real_id(token) for token in range(ids.shared_row)]
    unused = sorted(set(range(ids.real_rows)) - set(used))
    for key in (architectures.EMBEDDINGS, architectures.OUTPUT_ROWS):
        assert torch.equal(expected[key][used], compact[key][: ids.shared_row])
    assert not expected[architectures.EMBEDDINGS][unused].any()
    shared = compact[architectures.OUTPUT_ROWS][ids.shared_row]
    assert torch.equal(expected[architectures.OUTPUT_ROWS][unused], shared.expand(len(unused), -1))
    if name == "policy":
        expected = internvl.published_layout(expected)
        written = load_file(trained.directory / "model.safetensors")
    else:  # transformers saves it under the published names, which it takes back when it loads
        model = AutoModelForImageTextToText.from_pretrained(trained.directory, dtype="bfloat16")
        written = model.state_dict()
    assert written.keys() == expected.keys()
    assert all(torch.equal(written[key], tensor) for key, tensor in expected.items())


def test_weights_of_another_model_or_tokenizer_are_refused(tmp_path, monkeypatch):
    packing.pack(random_model("policy"), tmp_path / "policy.safetensors")
    with pytest.raises(
        UserError, match=r"policy\.safetensors: expected .*Qwen2_5_VL.* not of .*InternVL"
    ):
        packing.unpack("verifier", tmp_path / "policy.safetensors")
    monkeypatch.setattr(packing, "tokenizer_digest", lambda: "another")
    with pytest.raises(UserError, match="another"):
        packing.unpack("policy", tmp_path / "policy.safetensors")
    with pytest.raises(UserError, match="no such file"):
        packing.unpack("policy", tmp_path / "missing.safetensors")
