"""What came of auditing the visual facts that a candidate or a labelled solution rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.records import failure_reason

UNNAMED = "unnamed"
"""The reason where a file names none."""


@dataclass(frozen=True, slots=True)
class Audit:
    """The reliability p in [0, 1] of the visual facts of one candidate or solution.

    `has_facts` says whether there are any: without, there is nothing to audit and p is 1.
    `failure` is why p is not known, as "STAGE:KIND".
    """

    has_facts: bool
    reliability: float | None
    failure: str | None


def audit_of(has_facts: bool, reliability: float | None, failures: Iterable[str]) -> Audit:
    """Return an audit; where p is not known, the first of `failures` before the judge's is why."""
    if reliability is not None:
        return Audit(has_facts, reliability, None)
    reasons = (failure_reason(failure) for failure in failures)
    gate = (reason for reason in reasons if not reason.startswith("judge:"))
    return Audit(has_facts, None, next(gate, UNNAMED))


def solution_audit(record: JudgedRecord) -> Audit:
    """Return the audit of a gated solution."""
    # Where the facts are not known there may be some.
    has_facts = record.visual_step_indices != []
    return audit_of(has_facts, record.local_p_score, record.failures)
