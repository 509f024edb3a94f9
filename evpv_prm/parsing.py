"""Model text to typed values, or to typed failures: nothing is guessed.

Every function returns what the text says or an `engine.base.Failure` with the text in it. A reply
that does not say what was asked for is never turned into a label, a score or an answer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ValidationError

from evpv_prm.engine.base import Failure
from evpv_prm.records import Candidate, Caption, null_if_blank

ModelT = TypeVar("ModelT", bound=BaseModel)

_JSON = json.JSONDecoder(strict=False)  # models write line breaks inside strings
_BRACES = re.compile(r'\\.|[{}"]', re.DOTALL)


def parse_object(text: str) -> dict[str, Any] | Failure:
    """Return the first JSON object of a text: the whole text, fenced, or surrounded by prose.

    JSON is read as it stands, never repaired, and a part of an object never stands for the whole:
    where no object parses, or the reply ends inside it, the failure is "invalid_json".
    """
    for span in _braced(text):
        try:
            value = _JSON.decode(span)
            orjson.dumps(value)  # half of a surrogate pair or a huge integer could not be kept
        except (ValueError, RecursionError, orjson.JSONEncodeError):
            continue
        if isinstance(value, dict):
            return value
    return Failure("invalid_json", "no JSON object in the reply", text)


def _braced(text: str) -> Iterator[str]:
    """Yield the outermost {…} of a text in one pass; braces in quotes inside them do not count."""
    start = depth = 0
    quoted = False
    for token in _BRACES.finditer(text):
        symbol = token[0]
        if symbol == '"':
            quoted = bool(depth) and not quoted
        elif quoted:
            continue
        elif symbol == "{":
            start = start if depth else token.start()
            depth += 1
        elif symbol == "}" and depth:
            depth -= 1
            if not depth:
                yield text[start : token.end()]


def parse_json(text: str, model: type[ModelT], kind: str) -> ModelT | Failure:
    """Read the first JSON object of a text as a pydantic model.

    What the model refuses is a failure of this kind whose detail names the field.
    """
    value = parse_object(text)
    return value if isinstance(value, Failure) else _validated(value, model, kind, text)


def _validated(
    value: Mapping[str, Any], model: type[ModelT], kind: str, text: str
) -> ModelT | Failure:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        return Failure(kind, f"{where}: {problem['msg']}", text)


def parse_candidate(text: str) -> Candidate | Failure:
    """Read {"reasoningprocess": [{steptext, visualdependency}, …], "finalanswer": TEXT}."""
    value = parse_object(text)
    if isinstance(value, Failure):
        return value
    fields = Candidate.model_fields.keys() - {"eval"}
    said = {key: entry for key, entry in value.items() if key in fields}
    candidate = _validated(said, Candidate, "invalid_candidate", text)
    if isinstance(candidate, Failure):
        return candidate
    if not candidate.reasoningprocess:
        return Failure("no_steps", text=text)
    if not candidate.finalanswer.strip():
        return Failure("no_answer", text=text)
    return candidate


def parse_description(text: str) -> str | Failure:
    """Read {"image_description": TEXT}; a blank description is a failure."""
    value = parse_object(text)
    if isinstance(value, Failure):
        return value
    description = value.get("image_description")
    if not isinstance(description, str) or not description.strip():
        return Failure("no_description", "image_description: expected a text", text)
    return description.strip()


def parse_caption(text: str) -> Caption | Failure:
    """Read {"caption": TEXT, "key_facts": [TEXT, …], "uncertain": [TEXT, …]}.

    A list may be left out or be one text. A caption without caption and facts is a failure.
    """
    value = parse_object(text)
    if isinstance(value, Failure):
        return value
    said = value.get("caption", "")
    facts, doubts = (_texts(value.get(name, [])) for name in ("key_facts", "uncertain"))
    if not isinstance(said, str) or facts is None or doubts is None:
        return Failure("invalid_caption", "expected a text and two lists of texts", text)
    if not said.strip() and not facts:
        return Failure("no_caption", "expected a caption or key facts", text)
    return Caption(caption=said.strip(), key_facts=facts, uncertain=doubts)


class _Premises(BaseModel):
    visual_dependencies: list[Annotated[str | None, BeforeValidator(null_if_blank)]]


def parse_premises(text: str, steps: int) -> list[str | None] | Failure:
    """Read {"visual_dependencies": [TEXT or null, …]}, one entry for each of so many steps."""
    premises = parse_json(text, _Premises, "invalid_premises")
    if isinstance(premises, Failure):
        return premises
    facts = premises.visual_dependencies
    if len(facts) != steps:
        return Failure("wrong_count", f"{len(facts)} entries for {steps} steps", text)
    return facts


def _texts(value: Any) -> list[str] | None:
    """Read a list of texts, blank ones left out; None for anything else."""
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        return None
    return [stripped for entry in entries if (stripped := entry.strip())]


def parse_audit(text: str) -> tuple[dict[str, Any], float] | Failure:
    """Read an audit and its reliability, a number in [0, 1] (`p_score`)."""
    value = parse_object(text)
    if isinstance(value, Failure):
        return value
    score = value.get("p_score")
    try:
        reliability = math.nan if isinstance(score, bool) or score is None else float(score)
    except (TypeError, ValueError):
        reliability = math.nan
    if not 0 <= reliability <= 1:
        return Failure("invalid_p_score", f"p_score = {score!r}: expected a number in [0, 1]", text)
    return value, reliability
