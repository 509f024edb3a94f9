from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evpv_prm.data.corruptions import (
    COUNTS,
    OPPOSITES,
    Corruption,
    corrupt,
    corrupt_throughout,
    parse_noise,
)
from evpv_prm.engine.base import Failure

WORDS = st.sampled_from(
    [
        *("A", "I", "AB", "ABC", "D", "TWO", "LEFT", "x", "Point", "point", "the", "triangle"),
        *("0", "007", "3.50", "60°", "5cm", "1,000", "(3,4)", "3D", "2nd", "1.2.3", "½", "٣"),
        *("two", "Twelve", "left", "Shorter", "is", "to", "of", "5", "-4", "12", "Équal"),
    ]
)
TEXTS = st.one_of(st.lists(WORDS, max_size=12).map(" ".join), st.text(max_size=60))
CHANGEABLE = "In triangle ABC, AB = 5 cm is longer than the two others; D lies to the left of E."


@given(TEXTS, st.text(max_size=5), st.integers(0, 9), st.integers(1, 5))
@example("0", "", 0, 1)
def test_a_corruption_is_never_a_no_op(text: str, key: str, seed: int, most: int) -> None:
    found = corrupt(text, key, seed, most)
    assert corrupt(text, key, seed, most) == found
    if found is None:
        return
    assert found.text != text
    assert 1 <= len(found.errors) <= most
    position = 0
    for error in found.errors:  # in the order of the text, none over another
        assert error.original != error.replacement
        position = text.index(error.original, position) + len(error.original)
        assert error.replacement in found.text
    gone = "".join(error.original for error in found.errors)
    new = "".join(error.replacement for error in found.errors)
    assert Counter(text + new) == Counter(found.text + gone), "the rest stays as it is"


@given(TEXTS, st.text(max_size=5), st.integers(1, 5), st.integers(1, 5))
def test_an_error_can_be_made_wherever_its_word_stands(
    text: str, key: str, least: int, more: int
) -> None:
    plain = corrupt(text, key, 0, least + more, least)
    found = corrupt_throughout(text, key, 0, least + more, least)
    assert (found is None) == (plain is None)
    if found is None or plain is None:
        return
    assert found.text != text
    assert set(found.errors) <= set(plain.errors)
    originals = [(error.kind, error.original) for error in found.errors]
    assert set(originals) == {(error.kind, error.original) for error in plain.errors}
    assert len(set(originals)) == len(originals)


def test_a_description_with_errors_does_not_contradict_itself() -> None:
    text = "AB is 6 and CD is 6.5.\nKey facts:\n- AB = 6\n- CD = 6.5"
    for number in range(50):
        found = corrupt_throughout(text, str(number), 0, 2, 2)
        assert found is not None
        caption, _, facts = found.text.partition("\nKey facts:\n")
        said = re.fullmatch(r"(\S+) is (\S+) and (\S+) is (\S+)\.", caption)
        assert said is not None
        assert facts == f"- {said[1]} = {said[2]}\n- {said[3]} = {said[4]}"


@given(TEXTS, st.integers(1, 5))
def test_there_are_as_many_errors_as_are_asked_for_if_there_can_be(text: str, least: int) -> None:
    most = corrupt(text, "", 0, 99, 99)
    found = corrupt(text, "", 0, least, least)
    assert (found is None) == (most is None)
    if found and most:
        assert len(found.errors) == min(least, len(most.errors))


def test_every_kind_is_made_and_recorded() -> None:
    kinds = Counter(
        error.kind
        for number in range(200)
        for error in (corrupt(CHANGEABLE, str(number), 0, 3) or Corruption("", ())).errors
    )
    assert kinds.keys() == {"number", "relation", "label", "count"}
    assert min(kinds.values()) > sum(kinds.values()) / 10


@pytest.mark.parametrize(
    ("text", "kind", "replacements"),
    [
        ("length 3.50", "number", {"3.51", "3.52", "7.01", "3.49", "35.05"}),
        ("angle of 0°", "number", {"1", "2", "5"}),
        ("a side of 5cm", "number", {"6", "7", "11", "4", "55"}),
        ("Above it", "relation", {"Below"}),
        ("the shorter side", "relation", {"longer"}),
        ("LEFT", "relation", {"RIGHT"}),
        ("Two lines", "count", {"One", "Three", "Four"}),
        ("point P", "label", set("ABCDEFGHIJKLMNOQRSTUVWXYZ")),
        ("PQ and PR", "label", {"RQ", "PR", "QR", "PQ"}),
    ],
)
def test_what_an_error_can_be(text: str, kind: str, replacements: set[str]) -> None:
    found = [corrupt(text, str(key), 0, 1) for key in range(200)]
    errors = {error for each in found if each for error in each.errors}
    assert {error.kind for error in errors} == {kind}
    assert {error.replacement for error in errors} <= replacements
    assert len({error.replacement for error in errors}) >= min(2, len(replacements))


@pytest.mark.parametrize(
    "text", ["", "A square.", "I see a tree", "1,000", "the 2nd 3D body", "v1.2.3"]
)
def test_what_cannot_be_changed_is_left_alone(text: str) -> None:
    assert corrupt(text, "key", 0, 3) is None


def test_opposites_are_no_counts_and_change_to_another_word() -> None:
    assert all(first != second for first, second in OPPOSITES)
    assert not {word for pair in OPPOSITES for word in pair} & set(COUNTS)


def test_the_errors_do_not_depend_on_the_process() -> None:
    code = (
        "from evpv_prm.data.corruptions import corrupt\n"
        f"print([corrupt({CHANGEABLE!r}, str(n), 7, 3) for n in range(20)])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(printed) == 1
    assert str([corrupt(CHANGEABLE, str(n), 7, 3) for n in range(20)]) in printed.pop()


def noise(text: str, *errors: tuple[str, str, str]) -> str:
    keys = ("kind", "original", "replacement")
    listed = [dict(zip(keys, error, strict=True)) for error in errors]
    return json.dumps({"errors": listed, "image_description": text})


def test_a_teachers_errors_are_read() -> None:
    found = parse_noise(noise(" side 6 ", ("number", "5", "6")), "side 5", 1)
    assert isinstance(found, Corruption)
    assert (found.text, found.errors[0].kind) == ("side 6", "number")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("no", "invalid_json"),
        (noise("side  5\n", ("number", "5", "6")), "unchanged"),
        (noise("", ("number", "5", "6")), "unchanged"),
        (noise("side 6"), "invalid_noise"),
        (noise("side 6", ("colour", "5", "6")), "invalid_noise"),
        (noise("side 6", ("number", "7", "6")), "invalid_noise"),
        (noise("side 6", ("number", "5", "7")), "invalid_noise"),
        (noise("side 6", ("number", "side", "side")), "invalid_noise"),
        (noise("a side 6", *[("number", "5", "6")] * 2), "invalid_noise"),
        ('{"errors": [], "image_description": 5}', "invalid_noise"),
    ],
)
def test_a_teachers_errors_that_do_not_hold_are_refused(reply: str, kind: str) -> None:
    found = parse_noise(reply, "side 5", 1)
    assert isinstance(found, Failure)
    assert found.kind == kind
