from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import prompts
from evpv_prm.config_teacher import TeacherDecoding
from evpv_prm.data.training_files import held_out_images, training_row
from evpv_prm.engine.base import Failure, Image, Reply, Request
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.teacher import ask_until_valid, teacher_request
from tests.scripted import ScriptedEngine
from tests.teacher import picture

DIGESTS = st.lists(st.text("0123456789abcdef", min_size=1, max_size=6), max_size=30)


@given(DIGESTS, st.floats(0, 0.99), st.integers(0, 3))
def test_images_are_held_out_by_their_content_alone(
    digests: list[str], fraction: float, seed: int
) -> None:
    held_out = held_out_images(digests, fraction, seed)
    assert held_out <= set(digests)
    assert held_out_images([*reversed(digests), *digests], fraction, seed) == held_out
    if fraction == 0:
        assert not held_out
    elif len(set(digests)) > 1:
        assert 0 < len(held_out) < len(set(digests))


def test_the_fraction_is_kept_and_the_seed_matters() -> None:
    digests = [str(number) for number in range(20_000)]
    held_out = held_out_images(digests, 0.05, 0)
    assert 900 < len(held_out) < 1100
    assert held_out_images(digests, 0.05, 1) != held_out
    half = held_out_images(digests[:10_000], 0.05, 0)
    assert half == held_out & set(digests[:10_000]), "other images do not matter"


@pytest.mark.parametrize("text", ["see <image>", "<video>", "an <audio> file"])
def test_a_text_never_adds_a_medium(text: str) -> None:
    good = training_row(prompts.judge("q", "d", ["s"], 1, first=1), "1", "a/image/1.png")
    assert isinstance(good, dict)
    assert good["messages"][0]["content"].count("<image>") == 1
    bad = training_row(prompts.judge("q", text, ["s"], 1, first=1), "1", "a/image/1.png")
    assert bad == Failure("media_marker", "a text holds a marker of ms-swift")
    assert isinstance(training_row(prompts.describe_freely(), text, "a/image/1.png"), Failure)
    asked = training_row(prompts.describe("<image>\nWhy?", 1, max_characters=9), "x", "a.png")
    assert isinstance(asked, dict)
    assert asked["messages"][0]["content"].count("<image>") == 1


def test_only_invalid_replies_are_asked_again_each_as_a_new_sample(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", "red")
    image = Image(tmp_path / "a.png")
    names = ["good", "never", "third", "cut", "gone"]
    requests = [
        teacher_request(
            "noise", prompts.noise(name, max_errors=1), image, TeacherDecoding(), 1, name
        )
        for name in names
    ]
    messages = [request.messages for request in requests]

    def answer(request: Request) -> Reply | Failure:
        name = names[messages.index(request.messages)]
        if name == "gone":
            return Failure("http_500")
        if name == "cut" and request.sample_index == 0:
            return Failure("truncated", text="go")
        is_good = name in ("good", "cut") or (name == "third" and request.sample_index == 2)
        return Reply("good" if is_good else f"bad{request.sample_index}")

    engine = ScriptedEngine(answer, order_seed=4)

    def run() -> list[str | Failure]:
        store = ResponseStore(tmp_path / "store", engine.identity)
        with StoredEngine(store, lambda: engine) as stored:
            return ask_until_valid(
                stored, requests, lambda _, t: t if t == "good" else Failure(t), 3, "asks"
            )

    outcomes = run()
    assert outcomes == ["good", Failure("bad2"), "good", "good", Failure("http_500")]
    assert len(engine.answered) == 5 + 3 + 2
    seeds = {(r.messages[0]["content"][-1]["text"], r.sampling.seed) for r in engine.answered}
    assert len(seeds) == len(engine.answered), "no two requests share a seed"
    before = len(engine.answered)
    assert run() == outcomes
    paid = [names[messages.index(r.messages)] for r in engine.answered[before:]]
    assert paid == ["gone"], "a valid reply spares the failure before it"
