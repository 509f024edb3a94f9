"""Reading scored files: what the metrics need of each question, checked field by field.

A full benchmark holds half a million steps; these checks touch only the fields in use and are
several times faster than validating whole records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evpv_prm.data.audits import Audit, audit_of
from evpv_prm.errors import InputError
from evpv_prm.jsonl import read_rows, refuse_repeated
from evpv_prm.records import RESPONSE_KEY


@dataclass(frozen=True, slots=True)
class ScoredCandidate:
    """One answer and the scores of its steps.

    `final_answer` is None for a candidate that could not be made. Raw scores are in {-1, 1}, final
    (gated) ones in {-1} ∪ [0, 1]; None where the verifier failed. `failures` names what went wrong
    as "STAGE:KIND"; "candidate:KIND" for a candidate that is no use to the verifier.
    """

    final_answer: str | None
    raw_scores: list[float | None]
    final_scores: list[float | None]
    failures: list[str]


@dataclass(frozen=True, slots=True)
class ScoredQuestion:
    """One question and its candidates; `error` is why it has none.

    `path` and `line` are where it stands.
    """

    path: Path | str
    line: int
    pid: str
    datasource: str
    question: str
    answer: str
    choices: list[str] | None
    images: tuple[str, ...]
    error: str | None
    candidates: list[ScoredCandidate]


def read_scored(paths: Iterable[Path | str]) -> Iterator[ScoredQuestion]:
    """Yield the questions of scored files (shards of one run), in order.

    Raises:
        InputError: a file cannot be read, a field is missing or wrong, a `pid` appears twice, the
            number of candidates changes, or there are no records at all.
    """
    places: dict[str, str] = {}
    expected_candidates = None
    path: Path | str = ""
    for path in paths:
        for line, row in read_rows(path):
            question = scored_question(path, line, row)
            refuse_repeated(places, question.pid, path, line)
            found = len(question.candidates)
            if question.error is None and found != (expected_candidates or found):
                reason = f"expected {expected_candidates} responses as before, found {found}"
                raise InputError(path, line, expected=reason)
            if question.error is None:
                expected_candidates = found
            yield question
    if not places:
        raise InputError(path, expected="expected at least one record, found an empty file")


def scored_question(path: Path | str, line: int, row: Mapping[str, Any]) -> ScoredQuestion:
    """Read one line of a scored file.

    Raises:
        InputError: a field is missing or wrong.
    """
    return _Row(path, line, row).question()


def read_audits(paths: Iterable[Path | str]) -> Iterator[Audit]:
    """Yield the audit of every candidate in scored files, in order.

    A candidate that could not be made or has no steps was never audited; the audit says so as its
    failure. Questions that were never put to the policy have no candidates.

    Raises:
        InputError: a file cannot be read, a field is missing or wrong.
    """
    for path in paths:
        for line, row in read_rows(path):
            yield from _Row(path, line, row).audits()


class _Row:
    """One line of a file, and how to read its fields."""

    def __init__(self, path: Path | str, line: int, row: Mapping[str, Any]) -> None:
        self._path, self._line, self._row = path, line, row

    def question(self) -> ScoredQuestion:
        row = self._row
        error = row.get("error")
        if error is not None and not isinstance(error, str):
            raise self._wrong("error", "a text or null", error)
        return ScoredQuestion(
            path=self._path,
            line=self._line,
            pid=self._text("pid"),
            datasource=self._text("datasource"),
            question=self._text("question"),
            answer=self._text("answer", blank=True),
            choices=self._choices(),
            images=self._images(),
            error=error or None,
            candidates=[] if error else self._candidates(),
        )

    def audits(self) -> list[Audit]:
        return [] if self._row.get("error") else [self._audit(name) for name in self._responses()]

    def _audit(self, name: str) -> Audit:
        candidate = self._candidate(name)
        if not candidate.raw_scores:
            return Audit(False, None, candidate.failures[-1])
        evaluation = self._row[name]["eval"]
        visual = evaluation.get("visual_step_indices")
        if not isinstance(visual, list):
            raise self._wrong(f"{name}.eval.visual_step_indices", "a list of indices", visual)
        p = evaluation.get("local_p_score")
        is_number = isinstance(p, int | float) and not isinstance(p, bool)
        if p is not None and not (is_number and 0 <= p <= 1):
            raise self._wrong(f"{name}.eval.local_p_score", "null or a number from 0 to 1", p)
        return audit_of(bool(visual), p, candidate.failures)

    def _candidates(self) -> list[ScoredCandidate]:
        return [self._candidate(name) for name in self._responses()]

    def _responses(self) -> list[str]:
        numbers = sorted(int(m[1]) for key in self._row if (m := RESPONSE_KEY.fullmatch(key)))
        if not numbers or numbers != list(range(1, len(numbers) + 1)):
            reason = f"expected vlmresponse1, vlmresponse2, … without gaps, found {numbers}"
            raise InputError(self._path, self._line, expected=reason)
        return [f"vlmresponse{number}" for number in numbers]

    def _candidate(self, name: str) -> ScoredCandidate:
        response = self._object(name, self._row[name])
        if "error" in response:
            kind = response["error"]
            if not isinstance(kind, str) or not kind:
                raise self._wrong(f"{name}.error", "the kind of failure", kind)
            return ScoredCandidate(None, [], [], [f"candidate:{kind}"])
        answer = response.get("finalanswer")
        if isinstance(answer, int | float) and not isinstance(answer, bool):
            answer = str(answer)
        if not isinstance(answer, str):
            raise self._wrong(f"{name}.finalanswer", "a text", answer)
        evaluation = self._object(f"{name}.eval", response.get("eval"))
        raw = self._scores(f"{name}.eval.raw_step_scores", evaluation.get("raw_step_scores"))
        field = f"{name}.eval.final_step_scores"
        final = self._scores(field, evaluation.get("final_step_scores"), gated=True)
        if len(final) != len(raw):
            reason = f"expected {len(raw)} scores as in raw_step_scores, found {len(final)}"
            raise InputError(self._path, self._line, field, expected=reason)
        failures = evaluation.get("failures")
        if not isinstance(failures, list) or not all(isinstance(item, str) for item in failures):
            raise self._wrong(f"{name}.eval.failures", "a list of texts", failures)
        return ScoredCandidate(answer, raw, final, failures if raw else [*failures, _NO_STEPS])

    def _scores(self, field: str, value: Any, *, gated: bool = False) -> list[float | None]:
        if not isinstance(value, list):
            raise self._wrong(field, "a list with one score a step", value)
        for index, score in enumerate(value):
            if score is None or (score in (-1, 1) and score is not True):
                continue
            number = isinstance(score, int | float) and not isinstance(score, bool)
            if not (gated and number and 0 <= score <= 1):
                allowed = "-1, null or a number from 0 to 1" if gated else "1, -1 or null"
                raise self._wrong(f"{field}.{index}", allowed, score)
        return value

    def _choices(self) -> list[str] | None:
        value = self._row.get("choices")
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong("choices", "a list of texts or null", value)
        return value

    def _images(self) -> tuple[str, ...]:
        value = self._row.get("image")
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong("image", "a path or a list of paths", value)
        return tuple(value)

    def _text(self, field: str, *, blank: bool = False) -> str:
        value = self._row.get(field)
        if not isinstance(value, str) or not (value or blank):
            raise self._wrong(field, "a text", value)
        return value

    def _object(self, field: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(field, "an object", value)
        return value

    def _wrong(self, field: str, expected: str, found: Any) -> InputError:
        shown = "nothing" if found is None else f"{type(found).__name__} {str(found)[:40]!r}"
        return InputError(
            self._path, self._line, field, expected=f"expected {expected}, found {shown}"
        )


_NO_STEPS = "candidate:no_steps"
