"""The file of the method's claims, each with what speaks for it or against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from evpv_prm.jsonl import read_document
from evpv_prm.metrics.corruption_file import Trend
from evpv_prm.metrics.metrics_file import Interval, Strict

ClaimVerdict = Literal["holds", "not shown", "contradicted"]

Topic = Literal["best_of_n", "gate", "corruption", "intervention", "stages"]


class ClaimedDifference(Strict):
    """A paired difference, `compared` less `against`, and whether it is as claimed.

    Of the `of` units (questions, steps, facts) that there are, `n` are behind it. `value` and
    `reference` are what is compared, fractions in [0, 1]; those of the intervention are over all
    units that have them, the difference over those that have both. All are None where there is
    nothing to compare.
    """

    compared: str
    against: str
    n: int
    of: int
    unit: str
    value: float | None
    reference: float | None
    estimate: float | None
    ci95: Interval | None
    claimed: Literal["higher", "lower"]
    verdict: ClaimVerdict


class Claim(Strict):
    """A claim about one `subject`: a policy, a way to corrupt, a training.

    It rests on one difference; one about a trend, on the trend and the differences between
    neighbours.
    """

    topic: Topic
    statement: str
    subject: str
    differences: list[ClaimedDifference]
    trend: Trend | None
    verdict: ClaimVerdict


class UntestedClaim(Strict):
    """A claim that a run has not put to the test, and the reason."""

    statement: str
    reason: str


class Misreadings(Strict):
    """Candidates that rely on a visual fact known to be wrong, by what the judge says of them.

    In `found` of them it calls a step wrong without the gate, which has little to add there.
    """

    candidates: int
    found: int


class ClaimsReport(Strict):
    """All claims, those of a topic together; `aggregation` of the scores that choose candidates.

    `misreadings` are by policy, and empty where nobody knows which facts are wrong.
    """

    aggregation: str
    claims: list[Claim]
    not_run: list[UntestedClaim]
    misreadings: dict[str, Misreadings]


def read_claims(files: Mapping[str, Path]) -> dict[str, ClaimsReport]:
    """Read files of claims, by name and in the order given.

    Raises:
        InputError: a file cannot be read or is not such a file.
    """
    return {name: read_document(path, ClaimsReport) for name, path in files.items()}
