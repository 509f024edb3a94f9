"""Dividing a reasoning into steps."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evpv_prm.data.reasoning import split_steps, unlabelled

PIECES = st.sampled_from(
    [
        *("Step 1:", "**Step 2:**", "### Step 3\n", "step 4.", "1.", "2)", "(3)", "- "),
        *(
            "3.14",
            "e.g.",
            "Fig. 2",
            "AB = 6 cm.",
            "So",
            "it is.",
            "Is it?",
            "三角形。",
            "\n",
            "\n\n",
        ),
        *("$x. Y$", "\\[", "\\]", "$$", "...", "  ", "A.", "\x1c", "\x00"),
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=15).map(" ".join), st.text(max_size=80))


@given(TEXTS)
@example("Step 1:")
@example("...\nA")
def test_nothing_is_lost_and_nothing_added(text: str) -> None:
    """Regression: text before the first marker was dropped."""
    steps = split_steps(text)
    assert "".join("".join(steps).split()) == "".join(text.split())
    assert all(step == step.strip() != "" for step in steps)
    assert all(unlabelled(step) for step in steps)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Step 1: a. b\nStep 2: c", ["Step 1: a. b", "Step 2: c"]),
        ("Look first.\nStep 1: a\nStep 2: b", ["Look first.", "Step 1: a", "Step 2: b"]),
        ("Step 1: AB is 3.14. Step 2: c", ["Step 1: AB is 3.14.", "Step 2: c"]),
        ("**Step 1:** a\n\n**Step 2:** b", ["**Step 1:** a", "**Step 2:** b"]),
        ("### Step 1\na\n### Step 2\nb", ["### Step 1\na", "### Step 2\nb"]),
        ("Step 1: a, see Step 2: not yet.\nStep 2: b",
         ["Step 1: a, see Step 2: not yet.", "Step 2: b"]),
        ("1. a\n2. b\nmore of b\n3. c", ["1. a", "2. b\nmore of b", "3. c"]),
        ("Given:\n1) a\n2) b", ["Given:", "1) a", "2) b"]),
        ("a\n\nb\nc", ["a", "b", "c"]),
        ("\\[\nx = 3.\n\\]\nSo y.", ["\\[\nx = 3.\n\\]", "So y."]),
        ("The radius is 3.14. So 2.5 cm.", ["The radius is 3.14.", "So 2.5 cm."]),
        ("By Fig. 2 it is, e.g. Six, so. End", ["By Fig. 2 it is, e.g. Six, so.", "End"]),
        ("Through A. The area is 3.", ["Through A.", "The area is 3."]),
        ("1. a. 2. b.", ["1. a.", "2. b."]),
        ("Is it? Yes! No...", ["Is it?", "Yes!", "No..."]),
        ("图中有三个。所以是五。", ["图中有三个。", "所以是五。"]),
        ("approx. 5 cm", ["approx. 5 cm"]),
        ("π ≈ 3.14159, no more", ["π ≈ 3.14159, no more"]),
        ("", []),
        (" \n", []),
    ],
)  # fmt: skip
def test_steps_are_where_a_reader_sees_them(text: str, steps: list[str]) -> None:
    """Regression: every full stop began a step, that of 3.14 too."""
    assert split_steps(text) == steps


@pytest.mark.parametrize("unit", ["\\[ ", "a. A ", "\\begin{a}", "1. ", "x.\n", "$", ".", "Step 1"])
def test_a_long_text_takes_no_long_time(unit: str) -> None:
    text = unit * 6000
    assert "".join("".join(split_steps(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("step", "rest"),
    [
        ("Step 1: a", "a"),
        ("**Step 12:** a b", "a b"),
        ("### Step 1\na", "a"),
        ("a", "a"),
        ("As in Step 1: a", "As in Step 1: a"),
        ("Step 1:", "Step 1:"),
    ],
)
def test_a_step_without_its_own_number(step: str, rest: str) -> None:
    assert unlabelled(step) == rest
