"""Corrupted captions: what is chosen, how it is falsified, and what is recorded of it."""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.data.constraint_corruption import (
    MODES,
    DropMeta,
    FlipMeta,
    Mode,
    corrupt_caption,
)
from evpv_prm.data.corruptions import SIGNS, falsify
from evpv_prm.records import Caption

RATIOS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
FACTS = st.one_of(
    st.sampled_from(
        [
            *("the length is 5.", "a side of 5cm", "45°", "3.50 m", "1,000 people", "at (3,4)"),
            *("AB < CD", "x != y", "D is left of E", "AB is longer", "triangle ABC", "two lines"),
            *("A square.", "the 2nd bar", "x1", "", "  "),
        ]
    ),
    st.text(max_size=20),
)
CAPTIONS = st.builds(
    Caption,
    caption=FACTS,
    key_facts=st.lists(FACTS, max_size=8),
    uncertain=st.lists(st.text(max_size=5), max_size=2),
)
IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
EXAMPLE = Caption(
    caption="A triangle ABC with AB = 5cm.",
    key_facts=["the angle at A is 45°", "x is 5.", "AB is longer than CD", "A square", "point P"],
    uncertain=["the colour of D"],
)


def draw(seed: int = 0) -> random.Random:
    return random.Random(seed)


def non_blank(caption: Caption) -> list[str]:
    return [item for item in (caption.caption, *caption.key_facts) if item.strip()]


def changed(meta: DropMeta | FlipMeta) -> set[int]:
    """The changed items, the caption's text being -1."""
    if isinstance(meta, DropMeta):
        return set(meta.dropped_key_facts_idx) | ({-1} if meta.caption_dropped else set())
    return set(meta.flipped_key_facts_idx) | ({-1} if meta.caption_flipped else set())


def items(caption: Caption) -> dict[int, str]:
    return {-1: caption.caption} | dict(enumerate(caption.key_facts))


# What is chosen


@given(CAPTIONS, st.sampled_from(MODES), IDS, st.integers(0, 9))
def test_what_is_corrupted_at_one_ratio_is_corrupted_at_every_higher_one(
    caption: Caption, mode: Mode, sample_id: str, seed: int
) -> None:
    """Regression: one stream of draws for all ratios gave each a choice of its own."""
    steps = [corrupt_caption(caption, mode, ratio, sample_id, seed) for ratio in RATIOS]
    for (fewer, meta), (more, higher) in itertools.pairwise(steps):
        assert changed(meta) <= changed(higher)
        if mode == "flip":  # each item falsified in the same way
            assert all(items(fewer)[i] == items(more)[i] for i in changed(meta))


@given(CAPTIONS, st.sampled_from(MODES), st.floats(0, 1), IDS, st.integers(0, 9))
def test_the_rate_of_a_sample_is_within_one_item_of_the_nominal_one(
    caption: Caption, mode: Mode, ratio: float, sample_id: str, seed: int
) -> None:
    _, meta = corrupt_caption(caption, mode, ratio, sample_id, seed)
    count = len(non_blank(caption))
    chosen = meta.changed + (meta.unchangeable if isinstance(meta, FlipMeta) else 0)
    assert abs(chosen - ratio * count) < 1
    assert (meta.type, meta.ratio, meta.items, meta.changed) == (
        mode, ratio, count, len(changed(meta)),
    )  # fmt: skip
    assert meta.realised == (meta.changed / count if count else 0)
    if ratio == 1:
        assert chosen == count


@pytest.mark.parametrize("facts", [0, 1, 3, 7])
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_average_rate_is_the_nominal_one_for_captions_of_every_length(
    facts: int, ratio: float
) -> None:
    caption = Caption(caption="AB is 5", key_facts=["CD is 6"] * facts)
    for mode in MODES:
        metas = [corrupt_caption(caption, mode, ratio, str(n), 0)[1] for n in range(2000)]
        assert sum(meta.realised for meta in metas) / len(metas) == pytest.approx(ratio, abs=0.03)
        by_item = Counter(item for meta in metas for item in changed(meta))
        assert all(n / len(metas) == pytest.approx(ratio, abs=0.05) for n in by_item.values())


def test_the_sample_the_seed_and_the_mode_decide_what_is_chosen() -> None:
    def choice(mode: Mode, sample_id: str, seed: int) -> set[int]:
        return changed(corrupt_caption(EXAMPLE, mode, 0.5, sample_id, seed)[1])

    usual = [choice("drop", str(n), 1) for n in range(20)]
    assert usual == [choice("drop", str(n), 1) for n in range(20)]
    assert len(set(map(frozenset, usual))) > 5
    assert usual != [choice("drop", str(n), 2) for n in range(20)]
    assert usual != [choice("flip", str(n), 1) for n in range(20)]


def test_a_sample_is_corrupted_alike_in_every_process() -> None:
    """Regression: samples were seeded with Python's hash, which differs between processes."""
    code = (
        "from evpv_prm.data.constraint_corruption import MODES, corrupt_caption\n"
        "from evpv_prm.records import Caption\n"
        f"caption = Caption.model_validate({EXAMPLE.to_row()!r})\n"
        f"print([corrupt_caption(caption, m, r, 'p/1', 7) for m in MODES for r in {RATIOS}])"
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
    here = [corrupt_caption(EXAMPLE, mode, r, "p/1", 7) for mode in MODES for r in RATIOS]
    assert printed == {f"{here}\n"}


# What becomes of it


@given(CAPTIONS, st.floats(0, 1), IDS)
def test_drop_leaves_out_what_it_says_and_keeps_the_rest(
    caption: Caption, ratio: float, sample_id: str
) -> None:
    corrupted, meta = corrupt_caption(caption, "drop", ratio, sample_id, 0)
    assert isinstance(meta, DropMeta)
    assert corrupted.caption == ("" if meta.caption_dropped else caption.caption)
    assert corrupted.key_facts == [
        fact for n, fact in enumerate(caption.key_facts) if n not in meta.dropped_key_facts_idx
    ]
    assert corrupted.uncertain == caption.uncertain


@given(CAPTIONS, st.floats(0, 1), IDS)
def test_flip_changes_what_it_says_and_keeps_the_rest(
    caption: Caption, ratio: float, sample_id: str
) -> None:
    corrupted, meta = corrupt_caption(caption, "flip", ratio, sample_id, 0)
    assert isinstance(meta, FlipMeta)
    assert len(corrupted.key_facts) == len(caption.key_facts)
    differing = {n for n, item in items(caption).items() if items(corrupted)[n] != item}
    assert differing == changed(meta)
    assert {-1 if flip.item == "caption" else flip.item for flip in meta.flips} == differing
    assert corrupted.uncertain == caption.uncertain


def test_an_item_without_anything_to_change_is_counted() -> None:
    caption = Caption(caption="A square.", key_facts=["AB is 5.", "it is red", " "])
    corrupted, meta = corrupt_caption(caption, "flip", 1.0, "p", 0)
    assert isinstance(meta, FlipMeta)
    assert (meta.items, meta.changed, meta.unchangeable) == (3, 1, 2)
    assert meta.realised == pytest.approx(1 / 3)
    assert meta.flipped_key_facts_idx == [0]
    assert not meta.caption_flipped
    assert corrupted.key_facts[1:] == ["it is red", " "]


def test_nothing_in_a_corrupted_caption_tells_that_it_is_one() -> None:
    words = set(re.findall("[a-z]+", EXAMPLE.to_text().lower())) | {"shorter"}
    for mode in MODES:
        for ratio in RATIOS:
            corrupted, _ = corrupt_caption(EXAMPLE, mode, ratio, "p", 0)
            assert set(corrupted.to_row()) == {"caption", "key_facts", "uncertain"}
            assert set(re.findall("[a-z]{2,}", corrupted.to_text().lower())) <= words


def test_a_caption_without_its_text_reads_like_one_that_had_none() -> None:
    dropped = Caption(caption="", key_facts=["AB is 5"])
    assert dropped.to_text() == "Key facts:\n- AB is 5"
    assert Caption(caption="", key_facts=[]).to_text() == ""


# How a statement is falsified


@pytest.mark.parametrize(
    "statement",
    [
        *("the length is 5.", "a side of 5cm", "an angle of 45°", "x=5", "7", "0", "0.0", "2"),
        *("3.50", "3.14, about", "1,000 people", "12,345.6", "1/2", "50%", "-4", "(3,4)", "v1.2.3"),
        *("$5", "5-6", "x^2", "x1", "the 2nd", "3D", "AB = 5 < CD", "left of 3", "007", ".5", "5."),
    ],
)
def test_a_number_is_always_changed(statement: str) -> None:
    """Regression: "is 5." and "5cm" were not seen as numbers, and a change could be none."""
    for seed in range(50):
        found = falsify(statement, draw(seed), statement)
        assert found is not None
        (error,) = found.errors
        before, after = (Fraction(w.replace(",", "")) for w in (error.original, error.replacement))
        assert before != after
        assert len(found.text) - len(statement) == len(error.replacement) - len(error.original)


@given(st.text(max_size=30), st.integers(0, 10**6), st.text(max_size=30), st.integers(0, 99))
def test_a_statement_with_a_number_always_says_something_else(
    before: str, number: int, after: str, seed: int
) -> None:
    statement = f"{before}{number}{after}"
    found = falsify(statement, draw(seed), statement)
    assert found is not None
    assert found.text != statement
    assert found == falsify(statement, draw(seed), statement)


@pytest.mark.parametrize(
    ("statement", "results"),
    [
        ("a side of 5cm", {"a side of 6cm", "a side of 7cm", "a side of 4cm", "a side of 11cm",
                           "a side of 55cm"}),
        ("1,999 people", {"1,998 people", "2,000 people", "2,001 people", "3,999 people",
                          "19,995 people"}),
        ("AB <= CD", {"AB > CD"}),
        ("a >= b", {"a < b"}),
        ("a ≥ b", {"a < b"}),
        ("a != b", {"a = b"}),
        ("a = b", {"a != b", "a < b", "a > b"}),
        ("AB < CD", {"AB > CD", "AB >= CD", "AB = CD"}),
        ("AB is longer than CD", {"AB is shorter than CD"}),
        ("it lies to the left of D", {"it lies to the right of D"}),
        ("two lines", {"one lines", "three lines", "four lines"}),
        ("the point D", {"the point E"}),
    ],
)  # fmt: skip
def test_what_a_statement_can_become(statement: str, results: set[str]) -> None:
    found = [falsify(statement, draw(seed), f"{statement} E") for seed in range(100)]
    assert {each.text for each in found if each} == results


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("5 < x, AB longer", "any_number"),
        ("a < b, AB is longer", "sign"),
        ("AB is longer than two", "relation"),
        ("two lines of ABC", "count"),
        ("the 2nd line AB", "label"),
        ("the 2nd line", "digits"),
    ],
)
def test_the_weightiest_word_is_changed(statement: str, kind: str) -> None:
    found = falsify(statement, draw(), statement)
    assert found is not None
    assert found.errors[0].kind == kind


@pytest.mark.parametrize("statement", ["", "A square.", "it goes a -> b", "x => y", "x <=> y"])
def test_what_says_nothing_that_can_be_changed_is_left_alone(statement: str) -> None:
    assert falsify(statement, draw(), statement) is None


def test_signs_change_to_signs_that_contradict_them() -> None:
    holds = {"=": {0}, "==": {0}, "!=": {-1, 1}, "≠": {-1, 1}, "<": {-1}, ">": {1}}
    holds |= {"<=": {-1, 0}, "≤": {-1, 0}, ">=": {0, 1}, "≥": {0, 1}}
    for sign, others in SIGNS.items():
        assert all(not holds[sign] & holds[other] for other in others), sign
