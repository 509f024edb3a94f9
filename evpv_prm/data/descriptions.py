"""The teacher's descriptions, by image and question: their file, and how they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import orjson
from pydantic import Field, model_validator

from evpv_prm import prompts
from evpv_prm.config_teacher import TrainingFiles
from evpv_prm.data.pair_records import description_key
from evpv_prm.errors import InputError
from evpv_prm.jsonl import parse_record, read_rows
from evpv_prm.prompts import Prompt
from evpv_prm.records import Record


class Description(Record):
    """What the teacher says of an image (a path) in view of a question; `key` stands for both."""

    key: str
    image: str = Field(min_length=1)
    question: str
    image_description: str = Field(min_length=1)

    @model_validator(mode="after")
    def _key_is_theirs(self) -> Self:
        if self.key != description_key(self.image, self.question):
            raise ValueError("key: expected that of the image and the question")
        return self


def read_descriptions(path: Path) -> dict[str, Description]:
    """Return the descriptions by key, in the order of the file.

    Raises:
        InputError: the file, the first line that is no description, or one whose key repeats.
    """
    found: dict[str, Description] = {}
    for line, row in read_rows(path):
        description = parse_record(path, line, row, Description)
        if description.key in found:
            raise InputError(path, line, "key", expected=f"{description.key!r} repeats")
        found[description.key] = description
    return found


def description_turns(question: str, description: str, files: TrainingFiles) -> tuple[Prompt, str]:
    """Return the prompt and the answer that a description is trained with."""
    if files.prompt_style == "reference":
        return prompts.describe_freely(), description
    # Without white space, as constrained decoding gives it: the model can say what it was taught.
    answer = orjson.dumps({"image_description": description}).decode()
    return prompts.describe(question, 1, max_characters=len(description)), answer
