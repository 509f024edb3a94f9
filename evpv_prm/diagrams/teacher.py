"""A teacher that knows the truth about synthetic diagrams, and errs as often as it is told."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from evpv_prm.data.corruptions import Corruption, Error, corrupt
from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_records
from evpv_prm.markers import name_images

_Known = TypeVar("_Known")


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class KnownSolution(BaseModel):
    """A solution's steps and the result of each, as the teacher is to report them."""

    steps: list[str]
    results: list[dict[str, Any]]


class Truth(BaseModel):
    """What is true of a question about pictures: a line of `truth.jsonl` or of `facts.jsonl`."""

    model_config = ConfigDict(extra="ignore")

    image_sha256: Annotated[tuple[str, ...], BeforeValidator(_listed)]
    question: str
    description: str
    caption: dict[str, Any]
    solutions: list[KnownSolution] = Field(default_factory=list)


@dataclass(frozen=True)
class Query:
    """What is asked: the stage, the text, and the SHA-256 of the pictures' files."""

    stage: str
    text: str
    image_sha256: tuple[str, ...]


class UnknownQueryError(Exception):
    """Nothing is known that would answer a query; the message says what is missing."""


def read_query(stage: str, body: Mapping[str, Any]) -> Query:
    """Read the body of a chat completion with pictures.

    Raises:
        UnknownQueryError: it is no such body.
    """
    try:
        parts = [part for message in body["messages"] for part in message["content"]]
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        files = [base64.b64decode(url.partition(";base64,")[2], validate=True) for url in urls]
    except (KeyError, TypeError, ValueError) as error:
        raise UnknownQueryError("expected messages with pictures as data URLs") from error
    return Query(stage, text, tuple(hashlib.sha256(file).hexdigest() for file in files))


class Teacher:
    """Answers the stages teacher_describe, teacher_steps and noise."""

    def __init__(self, truths: Sequence[Truth], error_rate: float, seed: int) -> None:
        """Know these truths; `error_rate` is the fraction of replies that are wrong."""
        self._truths: dict[tuple[str, ...], list[Truth]] = {}
        for truth in truths:
            self._truths.setdefault(truth.image_sha256, []).append(truth)
        self._error_rate = error_rate
        self._seed = seed

    def answer(self, query: Query, sample: int | None) -> str:
        """Return a reply; a query with the same sample seed always gets the same.

        Raises:
            UnknownQueryError: the stage, the picture or the text is not known.
        """
        digest = hashlib.sha256(json.dumps([vars(query), sample, self._seed]).encode())
        draw = Random(digest.digest())
        value = self._right(query)
        if draw.random() >= self._error_rate:
            return json.dumps(value)
        return draw.choice((_cut_off, _misjudged, _misread))(value, draw)

    def _right(self, query: Query) -> dict[str, Any]:
        truths = self._truths.get(query.image_sha256)
        if truths is None:
            raise UnknownQueryError("these pictures are not known")
        if query.stage == "noise":
            return _noise(query)
        truth = _only([t for t in truths if _asked(t) in query.text], "question")
        if query.stage == "teacher_describe" and '"key_facts"' in query.text:
            return truth.caption
        if query.stage == "teacher_describe":
            return {"question_text": truth.question, "image_description": truth.description}
        if query.stage != "teacher_steps":
            raise UnknownQueryError(f"stage {query.stage!r} is not known")
        known = [solution for solution in truth.solutions if _is_in(solution, query.text)]
        solution = _only(known, "solution")
        unasked = set() if '"evidence"' in query.text else {"evidence"}
        return {
            "question": truth.question,
            "Solution_steps": solution.steps,
            "step_judge_result": [
                {name: value for name, value in result.items() if name not in unasked}
                for result in solution.results
            ],
        }


def load_teacher(path: Path, error_rate: float, seed: int) -> Teacher:
    """Return the teacher that knows a file of truths.

    Raises:
        UserError: the file cannot be read, or the rate is no fraction.
    """
    if not 0 <= error_rate <= 1:
        raise UserError(f"--error-rate {error_rate}: expected a fraction from 0 to 1")
    return Teacher(read_records(path, Truth), error_rate, seed)


def _only(found: Sequence[_Known], what: str) -> _Known:
    if not found:
        raise UnknownQueryError(f"this {what} is not known")
    return found[0]


def _asked(truth: Truth) -> str:
    """Return the question as the prompts have it, which show the pictures in front."""
    return name_images(truth.question, len(truth.image_sha256))


def _is_in(solution: KnownSolution, text: str) -> bool:
    numbered = "\n".join(f"Step {n}: {step}" for n, step in enumerate(solution.steps, start=1))
    return f"\n{numbered}\n" in text or f"\n{' '.join(solution.steps)}\n" in text


def _noise(query: Query) -> dict[str, Any]:
    """Put errors into the description at the end of the text, be it right or not.

    There are no more than the text asks for at least. They are misread values, if the description
    states so many; else whatever can be changed.
    """
    order, _, description = query.text.rpartition("Description:\n")
    least = re.search(r"Make (\d+) to \d+", order)
    number = int(least[1]) if least else 1
    key = "".join(query.image_sha256)
    corruption = _with_misread_values(description, key, number) or corrupt(
        description, key, seed=0, max_errors=number, min_errors=number
    )
    if corruption is None:
        raise UnknownQueryError("this description has nothing to change")
    errors = [error.to_json() for error in corruption.errors]
    return {"errors": errors, "image_description": corruption.text}


def _with_misread_values(description: str, key: str, number: int) -> Corruption | None:
    draw = Random(f"{key} {description}")
    values = list(re.finditer(r"(?<=\bshows )[1-9](?=\.)", description))
    if len(values) < number:
        return None
    errors, text = [], description
    for value in sorted(draw.sample(values, number), key=lambda match: -match.start()):
        other = draw.choice([digit for digit in "123456789" if digit != value[0]])
        text = text[: value.start()] + other + text[value.end() :]
        errors.append(Error("number", value[0], other))
    return Corruption(text, tuple(reversed(errors)))


def _cut_off(value: Mapping[str, Any], draw: Random) -> str:
    """Return a reply that ends in the middle: no JSON."""
    text = json.dumps(value)
    return text[: draw.randrange(1, len(text))]


def _misjudged(value: Mapping[str, Any], _draw: Random) -> str:
    """Call wrong steps right and the reverse; of a wrong solution, its label does not tell."""
    if "step_judge_result" not in value:
        return json.dumps({})
    results = [
        {**result, "score": -result["score"], "category": None, "subcategory": None}
        if result["score"] == -1
        else {**result, "score": -1, "category": "logical"}
        for result in value["step_judge_result"]
    ]
    return json.dumps({**value, "step_judge_result": results})


def _misread(value: Mapping[str, Any], _draw: Random) -> str:
    """Return a reply in which a number is wrong: in a description, nothing gives it away."""
    return re.sub(r"\b([2-9])\b", lambda m: str(int(m[1]) - 1), json.dumps(value), count=1)
