"""Image markers become the places or the names of images."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.engine.base import IMAGE, text
from evpv_prm.markers import markers_beyond, name_images, place_images

CLOSED_MARKER = re.compile(r"<\s?image[ _]?\d{0,3}\s?>", re.IGNORECASE)


@pytest.mark.parametrize(
    ("question", "images", "parts", "order"),
    [
        ("Why?", 1, [IMAGE, text("Why?")], [0]),
        ("Why?", 0, [text("Why?")], []),
        ("Why?\n<image1>", 1, [text("Why?\n"), IMAGE], [0]),
        ("<image 1>", 1, [IMAGE], [0]),
        ("<image 1> and <image 2>.", 2, [IMAGE, text(" and "), IMAGE, text(".")], [0, 1]),
        ("<image2><image1>", 2, [IMAGE, IMAGE], [1, 0]),
        ("see <image_1>", 1, [text("see "), IMAGE], [0]),
        ("see <Image 1 >", 1, [text("see "), IMAGE], [0]),
        ("<image>, <image>", 2, [IMAGE, text(", "), IMAGE], [0, 1]),
        ("a <image 1> b <image 1> c", 1, [text("a "), IMAGE, text(" b [image 1] c")], [0]),
        ("a <image 2> b", 3, [IMAGE, IMAGE, text("a "), IMAGE, text(" b")], [0, 2, 1]),
        ("<image1> of <image3>", 1, [IMAGE, text("[image 1] of [image 3]")], [0]),
        ("<image 0>", 1, [IMAGE, text("[image 0]")], [0]),
        ("cut <image1\nB", 1, [text("cut "), IMAGE, text("\nB")], [0]),
        ("<image1 is text>, 1 <image", 1, [IMAGE, text("<image1 is text>, 1 <image")], [0]),
    ],
)
def test_place_images(question, images, parts, order):
    assert place_images(question, images) == (parts, order)


@pytest.mark.parametrize(
    ("question", "images", "named"),
    [
        ("Why?", 1, "Why?"),
        ("Why?\n<image1>", 1, "Why?\n"),
        ("<image 2> then <image 1>", 2, "[image 2] then [image 1]"),
        ("<image> then <image>", 2, "[image 1] then [image 2]"),
        ("ant <image1>, home <image2>", 1, "ant [image 1], home [image 2]"),
        ("<ima<image1>ge1>", 1, ""),
        ("<image6>\n<image7\nChoices", 1, "[image 6]\n[image 7]\nChoices"),
    ],
)
def test_name_images(question, images, named):
    assert name_images(question, images) == named


def test_markers_beyond():
    assert markers_beyond("<image1> <image 7> <image3> <image3>", 2) == [3, 7]
    assert markers_beyond("<image> <image>", 1) == [2]
    assert markers_beyond("<image> <image1>", 1) == []


pieces = st.lists(
    st.sampled_from(["<image1>", "<image 2>", "<image3>", "<image>", "<image9>", "[image 1]"])
    | st.sampled_from(["<ima", "ge1>", "<image1", "\n", " ", "<", ">", "x", "日本"])
    | st.text(max_size=3)
)
questions = pieces.map("".join)
image_counts = st.integers(0, 4)


@given(questions, image_counts)
def test_every_image_is_placed_once_and_no_marker_is_left(question, images):
    parts, order = place_images(question, images)
    assert sorted(order) == list(range(images))
    assert sum(part == IMAGE for part in parts) == images
    texts = [part["text"] for part in parts if part != IMAGE]
    assert all(texts)
    assert not any(CLOSED_MARKER.search(part) for part in texts)


words = st.text("abc <>1\n", max_size=5).filter(lambda word: "<image" not in word)


@given(st.lists(st.tuples(words, st.integers(1, 5))), words, st.integers(1, 5))
def test_the_text_around_markers_stays(mentions, tail, images):
    question = "".join(f"{word}<image {number}>" for word, number in mentions) + tail
    around = "".join(word for word, _ in mentions) + tail
    parts, _ = place_images(question, images)
    placed = "".join(part.get("text", "") for part in parts)
    assert re.sub(r"\[image \d\]", "", placed) == around
    assert re.sub(r"\[image \d\]", "", name_images(question, images)) == around


@given(questions, image_counts)
def test_no_marker_is_left_when_images_stand_in_front(question, images):
    assert not CLOSED_MARKER.search(name_images(question, images))


@given(questions.filter(lambda question: "<" not in question), image_counts)
def test_a_question_without_markers_stays_as_it_is(question, images):
    rest = [text(question)] if question else []
    assert place_images(question, images) == ([IMAGE] * images + rest, list(range(images)))
    assert name_images(question, images) == question


@given(st.permutations([1, 2, 3]))
def test_images_follow_the_order_of_their_first_mention(numbers):
    question = " ".join(f"<image {number}>" for number in [*numbers, 1])
    parts, order = place_images(question, 3)
    assert order == [number - 1 for number in numbers]
    assert parts[-1] == text(" [image 1]")
