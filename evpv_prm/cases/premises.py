"""Which of its visual facts the audit of a candidate contradicts, and why.

An audit names errors in words of its own, so each is matched with the fact that it is about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evpv_prm.cases.shapes import Audited, Finding, Premise, Status
from evpv_prm.records import null_if_blank

ALIKE = 0.75
"""A finding is about a fact when they share at least so much of their words (Dice coefficient)."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class _Check:
    """What an audit that checks fact by fact quotes as true, and whether the fact holds."""

    seen: str
    holds: bool


@dataclass(frozen=True)
class Audit:
    """An audit and how its findings fit the steps: a premise a step, None where there is none."""

    premises: list[Premise | None]
    summary: Audited


def read_audit(
    dependencies: Sequence[str | None],
    evaluation: Mapping[str, Any] | None,
    reliability: float | None,
) -> Audit:
    """Match the findings of an audit with the visual facts behind the steps.

    A fact is contradicted if a finding is about it, or if the audit's own check of it says that it
    does not hold. The others are supported, or unclear if some finding fits no fact; all are
    unaudited if the audit failed.

    Args:
        dependencies: the visual fact of each step, None, blank or "null" where it has none.
        evaluation: the audit as the verifier gave it, None if there is none.
        reliability: p in [0, 1], None where the audit failed.
    """
    facts = [None if null_if_blank(text) is None else str(text).strip() for text in dependencies]
    distinct = list(dict.fromkeys(fact for fact in facts if fact is not None))
    by_fact: dict[str, list[Finding]] = {fact: [] for fact in distinct}
    loose: list[Finding] = []
    for finding in _findings(evaluation):
        about = best_match(finding["statement"], distinct)
        (loose if about is None else by_fact[about]).append(finding)
    checks = _checks(evaluation)
    premises: list[Premise | None] = [
        None
        if fact is None
        else Premise(
            fact=fact,
            status=_status(by_fact[fact], checks.get(fact), loose, reliability),
            seen=checks[fact].seen if fact in checks else None,
            findings=by_fact[fact],
        )
        for fact in facts
    ]
    summary = Audited(
        reliability=reliability, findings=loose, omissions=_texts(evaluation, "omissions")
    )
    return Audit(premises, summary)


def best_match(statement: str, facts: Sequence[str]) -> str | None:
    """Return the fact that a statement is about, the first of several; None if there is none."""
    scored = [(similarity(statement, fact), -index) for index, fact in enumerate(facts)]
    score, place = max(scored, default=(0.0, 0))
    return facts[-place] if score >= ALIKE else None


def similarity(first: str, second: str) -> float:
    """Return how alike two texts are, in [0, 1]; 1 if they have the same words.

    A text whose words stand in the other one in a row is as alike as `ALIKE` at least.
    """
    one, other = (_WORD.findall(text.casefold()) for text in (first, second))
    if not one or not other:
        return float(first.strip() == second.strip())
    shared = (Counter(one) & Counter(other)).total()
    dice = 2 * shared / (len(one) + len(other))
    short, long = (f" {' '.join(words)} " for words in sorted((one, other), key=len))
    return max(dice, ALIKE) if short in long else dice


def _status(
    about: Sequence[Finding], check: _Check | None, loose: Sequence[Finding], p: float | None
) -> Status:
    if p is None:
        return "unaudited"
    if about or (check and not check.holds):
        return "contradicted"
    return "unclear" if loose else "supported"


def _findings(evaluation: Mapping[str, Any] | None) -> list[Finding]:
    """Read the errors of an audit, of which only p was checked when the verifier gave it."""
    errors = (evaluation or {}).get("errors_and_hallucinations")
    return [
        Finding(
            statement=str(error.get("faulty_statement", "")),
            reason=str(error.get("correction_or_reason", "")),
            severity=str(error.get("severity", "")),
        )
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
    ]


def _checks(evaluation: Mapping[str, Any] | None) -> dict[str, _Check]:
    """Read the checks by their fact, which an audit repeats as the checklist has it."""
    checks = (evaluation or {}).get("checks")
    return {
        str(check.get("fact", "")).strip(): _Check(
            seen=str(check.get("evidence", "")), holds=check.get("holds") is not False
        )
        for check in (checks if isinstance(checks, list) else [])
        if isinstance(check, dict)
    }


def _texts(evaluation: Mapping[str, Any] | None, name: str) -> list[str]:
    entries = (evaluation or {}).get(name)
    return [text for text in entries if isinstance(text, str)] if isinstance(entries, list) else []
