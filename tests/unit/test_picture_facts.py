"""What a text says of the facts of a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.data.picture_facts import (
    PictureFact,
    contradicts,
    facts_right,
    read_known_questions,
    values_stated,
)
from evpv_prm.errors import InputError


def fact(name: str, value: int, statement: str = "") -> PictureFact:
    text = statement or f"The {name} shows {value}."
    return PictureFact(name=name, value=str(value), statement=text)


RED, BLUE = fact("red bar", 7), fact("blue bar", 2)
ANGLE = fact("angle A", 40, "The angle A is labelled 40°.")
ROW = {
    "id": "Bars-0", "question": "Q?", "answer": "9", "image": "a.png", "datasource": "Bars",
    "facts": [{"name": "red bar", "value": 7, "statement": "The red bar shows 7."}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("description", "right"),
    [
        ("The red bar shows 7. The blue bar shows 2.", [True, True]),
        ("In image 1: the  RED bar\nshows 7. Then the blue bar shows 2.", [True, True]),
        ("The red bar shows 1. The blue bar shows 2.", [False, True]),  # a wrong value
        ("The blue bar shows 2.", [False, True]),  # an omission
        ("The red bar shows 2. The blue bar shows 7.", [False, False]),
        ("The red bar shows 7. The red bar shows 8. The blue bar shows 2.", [False, True]),
        ("The red bar shows 7.5. The blue bar shows 22.", [False, False]),
        ("The red bar is 7. Blue: 2.", [False, False]),  # other words
        ("", [False, False]),
    ],
)
def test_a_fact_is_right_where_it_is_stated_with_its_value_and_no_other(
    description: str, right: list[bool]
) -> None:
    assert facts_right(description, [RED, BLUE]) == right


def test_a_unit_belongs_to_the_statement() -> None:
    assert facts_right("The angle A is labelled 40°.", [ANGLE]) == [True]
    assert facts_right("The angle A is labelled 40.", [ANGLE]) == [False]
    assert values_stated("The angle A is labelled 140°.", ANGLE) == {"140"}


def test_the_value_is_the_last_number_of_its_statement() -> None:
    cell = fact("cell 4", 4, "The cell 4 shows 4.")
    assert values_stated("The cell 4 shows 5. The cell 5 shows 6.", cell) == {"5"}


def test_two_pictures_may_show_the_same_thing_with_two_values() -> None:
    twins = [fact("circle", 3), fact("circle", 5)]
    assert facts_right("The circle shows 3. The circle shows 5.", twins) == [True, True]
    assert facts_right("The circle shows 3.", twins) == [True, False]
    assert not contradicts("The circle shows 5.", twins)


@pytest.mark.parametrize(
    ("premise", "is_wrong"),
    [
        ("The red bar shows 7.", False),
        ("The red bar shows 8.", True),
        ("the red bar shows 2.", True),  # the value of another object
        ("The green bar shows 8.", False),  # nobody knows
        ("The bars are coloured.", False),
    ],
)
def test_what_the_facts_say_otherwise_is_known_to_be_wrong(premise: str, is_wrong: bool) -> None:
    assert contradicts(premise, [RED, BLUE]) is is_wrong


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), st.integers(1, 9)), min_size=1), st.data())
def test_the_statements_of_true_facts_are_right_in_any_order(
    pairs: list[tuple[str, int]], data: st.DataObject
) -> None:
    facts = [fact(f"cell {name}", value) for name, value in dict(pairs).items()]
    order = data.draw(st.permutations(facts))
    text = " ".join(each.statement for each in order)
    assert all(facts_right(text, facts))
    assert not contradicts(text, facts)


def test_a_statement_without_its_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    (known,) = read_known_questions(path)
    assert (known.pid, known.images, known.facts[0].value) == ("Bars-0", ("a.png",), "7")
    wrong = {**ROW, "facts": [{**ROW["facts"][0], "value": 8}]}
    path.write_text(f"{json.dumps(wrong)}\n")
    with pytest.raises(InputError, match=r":1: facts.0: statement: expected one with"):
        read_known_questions(path)
