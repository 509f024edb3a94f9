"""Records of VisualPRM400K's conversation format, as pair extraction writes them.

`{image, conversations: [{from, value}, …]}` holds an optional system turn and then human and gpt
turns in alternation. The first human turn is `### Question: … ### Solution Process: …`; a gpt turn
is "+" or "-". With one gpt turn the solution is whole and its label is the overall one; with
several, the solution's first step stands in the first human turn, every later one is a step, each
gpt turn is a step's label, and the last is the overall one as well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from evpv_prm.jsonl import parse_record, read_rows

Label = Literal["+", "-"]

_SOLUTION = re.compile(
    r"\A\s*(?:#+\s*Question\s*:)?(?P<question>.*?)(?:#+\s*Solution Process\s*:(?P<solution>.*))?\Z",
    re.DOTALL,
)


@dataclass(frozen=True)
class PairRecord:
    """One labelled solution of a question about an image.

    `image` is relative to the folder of all subsets. `steps` is empty without a solution; without
    `step_labels` (one a step) its only entry is a solution that is not divided. `row` is the line.
    """

    row: Mapping[str, Any]
    image: str
    question: str
    steps: tuple[str, ...]
    label: Label
    step_labels: tuple[Label, ...] | None

    @property
    def subset(self) -> str:
        """The folder that the image is in, by which subsets are told apart."""
        return self.image.split("/", 1)[0]

    @property
    def image_key(self) -> str:
        """What a description belongs to: see `description_key`."""
        return description_key(self.image, self.question)

    @property
    def key(self) -> str:
        """16 hexadecimal digits that stand for the whole solution and its labels."""
        return _digest([self.image, self.question, self.steps, self.label, self.step_labels])


def description_key(image: str, question: str) -> str:
    """Return 16 hexadecimal digits for an image, by its path, and the question about it."""
    return _digest([image, question])


def _digest(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]


class _Turn(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    speaker: Literal["system", "human", "gpt"] = Field(alias="from")
    value: str


class _Conversation(BaseModel):
    image: str = Field(min_length=1)
    conversations: list[_Turn]

    @model_validator(mode="after")
    def _alternates(self) -> _Conversation:
        if not self.turns or len(self.turns) % 2:
            raise ValueError("conversations: expected human and gpt turns in pairs")
        for index, turn in enumerate(self.turns):
            if turn.speaker != ("human", "gpt")[index % 2]:
                raise ValueError("conversations: expected human and gpt turns in alternation")
            if turn.speaker == "gpt" and turn.value.strip() not in ("+", "-"):
                raise ValueError(f'conversations: expected "+" or "-", found {turn.value[:40]!r}')
        return self

    @property
    def turns(self) -> list[_Turn]:
        return [turn for turn in self.conversations if turn.speaker != "system"]


def read_pair_records(path: Path) -> Iterator[PairRecord]:
    """Yield the records of a file in order.

    Raises:
        InputError: the file, or the first line that is no such record.
    """
    for line, row in read_rows(path):
        yield _record(row, parse_record(path, line, row, _Conversation))


def _record(row: Mapping[str, Any], conversation: _Conversation) -> PairRecord:
    humans = [turn.value.strip() for turn in conversation.turns[0::2]]
    labels: list[Label] = ["+" if t.value.strip() == "+" else "-" for t in conversation.turns[1::2]]
    match = _SOLUTION.match(humans[0])
    assert match is not None, "every part of the pattern is optional"
    solution = (match["solution"] or "").strip()
    steps = (solution, *humans[1:])
    return PairRecord(
        row=row,
        image=conversation.image,
        question=match["question"].strip(),
        steps=steps if all(steps) else (),
        label=labels[-1],
        step_labels=tuple(labels) if len(labels) > 1 else None,
    )
