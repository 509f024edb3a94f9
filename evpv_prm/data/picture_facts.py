"""What pictures of a synthetic world show, and which of it a text states, or contradicts.

A fact has a statement with its value in it ("The red bar shows 7."). A text gives the fact a value
where it holds the statement's words around a number; spaces and capitals do not matter, other words
do not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from evpv_prm.data.questions import scan_questions
from evpv_prm.jsonl import parse_record
from evpv_prm.records import Question, Record, number_as_text

_NUMBER = r"(-?\d+(?:\.\d+)?)"


class PictureFact(Record):
    """One thing that a picture shows."""

    name: str = Field(description="What has the value")
    value: Annotated[str, BeforeValidator(number_as_text)] = Field(description="A number, as text")
    statement: str = Field(description="The sentence that says so, with the value in it")

    @model_validator(mode="after")
    def _statement_has_the_value(self) -> Self:
        if self.value not in values_stated(self.statement, self):
            raise ValueError(f"statement: expected one with the number {self.value}")
        return self


class KnownQuestion(Question):
    """A question with all that its pictures show."""

    facts: list[PictureFact] = Field(min_length=1, description="In the pictures' order")


class ExaminedQuestion(KnownQuestion):
    """A question whose pictures a model was asked to describe."""

    image_description: str | None = Field(description="What the model says; null if that failed")
    facts_right: list[bool] = Field(
        description="Which of the facts it states with their value, and with no other"
    )
    failures: list[str] = Field(
        description='Empty, or what failed as "question:KIND" (an image) or "describe:KIND"'
    )

    @model_validator(mode="after")
    def _one_entry_a_fact(self) -> Self:
        found, facts = len(self.facts_right), len(self.facts)
        if found != facts:
            raise ValueError(f"facts_right: expected one entry a fact, found {found} for {facts}")
        return self


def read_known_questions(path: Path) -> list[KnownQuestion]:
    """Read the questions of a world with the facts of their pictures.

    Raises:
        InputError: the first unreadable line, field or repeated pid; an empty file.
    """
    file = scan_questions(path)
    if file.problems:
        raise file.problems[0]
    return [
        parse_record(path, line, question.to_row(), KnownQuestion)
        for line, question in file.questions
    ]


def values_stated(text: str, fact: PictureFact) -> set[str]:
    """Return the values that a text gives to a fact, true or not, in the words of its statement."""
    return set(_pattern(fact.statement, fact.value).findall(_plain(text)))


def facts_right(description: str, facts: Sequence[PictureFact]) -> list[bool]:
    """Tell which of the facts a description states; one with another value beside it is wrong."""
    return [
        fact.value in (stated := values_stated(description, fact))
        and stated <= _true_values(fact, facts)
        for fact in facts
    ]


def contradicts(text: str, facts: Sequence[PictureFact]) -> bool:
    """Tell whether a text gives any of the facts a value that it does not have.

    What the facts say nothing about is not known to be wrong.
    """
    return any(values_stated(text, fact) - _true_values(fact, facts) for fact in facts)


def _true_values(fact: PictureFact, facts: Sequence[PictureFact]) -> set[str]:
    """Return the values of all facts in the same words: two pictures may each have a circle."""
    return values_stated("\n".join(other.statement for other in facts), fact)


@lru_cache(maxsize=4096)
def _pattern(statement: str, value: str) -> re.Pattern[str]:
    """Return what finds a statement with any number in the place of its value, the last such."""
    plain = _plain(statement)
    places = list(re.finditer(rf"(?<![\w.]){re.escape(value)}(?!\w)", plain))
    if not places:
        return re.compile(r"(?!)")  # finds nothing
    before, after = plain[: places[-1].start()], plain[places[-1].end() :]
    return re.compile(rf"(?<!\w){re.escape(before)}{_NUMBER}{re.escape(after)}(?!\w)")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
