"""Tables of the method's claims with their verdicts, and all their numbers in one tidy frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from evpv_prm.metrics.claims_file import Claim, ClaimedDifference, ClaimsReport
from evpv_prm.metrics.corruption_file import Trend
from evpv_prm.metrics.rendering import MISSING, Table, gain_with_interval, percent, probability


def claims_frame(reports: Mapping[str, ClaimsReport]) -> pd.DataFrame:
    """Return every claim and every difference as a row.

    Args:
        reports: by name of the run.

    Returns:
        Columns run, topic, statement, subject, verdict of the claim ("not run" too, with the
        reason), compared, against, n of so many units (`of`, `unit`), value, reference (fractions),
        estimate of the difference with ci95_low and ci95_high, the claimed direction, and
        difference_verdict; spearman and p_value of a trend; reason.
    """
    rows = [
        {"run": run, **row}
        for run, report in reports.items()
        for row in (
            *(row for claim in report.claims for row in _rows(claim)),
            *({**each.model_dump(), "verdict": "not run"} for each in report.not_run),
        )
    ]
    columns = [
        *("run", "topic", "statement", "subject", "verdict", "compared", "against"),
        *("n", "of", "unit", "value", "reference", "estimate", "ci95_low", "ci95_high"),
        *("claimed", "difference_verdict", "spearman", "p_value", "reason"),
    ]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64", "of": "Int64"})


def _rows(claim: Claim) -> Iterator[dict[str, Any]]:
    names = ("topic", "statement", "subject", "verdict")
    of_claim = {name: getattr(claim, name) for name in names}
    for each in claim.differences:
        low, high = each.ci95 or (None, None)
        numbers = each.model_dump(exclude={"ci95", "verdict"})
        trend = claim.trend.model_dump() if claim.trend else {}
        yield {
            **of_claim,
            **numbers,
            "ci95_low": low,
            "ci95_high": high,
            "difference_verdict": each.verdict,
            **trend,
        }


def claims_tables(reports: Mapping[str, ClaimsReport]) -> list[Table]:
    """Lay out the claims with their verdicts, and the parts of those about a trend.

    Args:
        reports: by name of the run; the name of a single one is left out.
    """
    return [
        table
        for run, report in reports.items()
        for table in _tables(report, f", {run}" if len(reports) > 1 else "")
    ]


def _tables(report: ClaimsReport, of: str) -> Iterator[Table]:
    columns = ["Of", "Compared", "Level (%)", "Against", "Level (%)", "Difference", "n"]
    yield Table(
        f"What holds of the method's claims{of}",
        ["Claim", *columns, "Verdict"],
        [[each.statement, each.subject, *_summary(each), each.verdict] for each in report.claims],
        labels=3,
        notes=[
            "Difference: paired, percentage points with 95 % interval; n: what it is over, of all "
            "that there is. A claim holds where the interval lies on the claimed side of 0; it is "
            "contradicted where it lies on the other side; else it is not shown. That of a trend "
            "holds where the rank correlation is negative with p < 0.05 and no difference between "
            "neighbours is significantly positive.",
            f"Candidates are chosen by their gated scores, aggregation {report.aggregation}. "
            "Visual errors are common in a question where at least a quarter of its candidates "
            "rely on a visual fact that is known to be wrong, whatever they answer.",
            *(
                f"Of {each.candidates} candidates of {policy} that rely on such a fact, the judge "
                f"calls a step of {each.found} wrong without the gate, which has little to add "
                "there."
                for policy, each in report.misreadings.items()
            ),
            *(f"Not run: {each.statement} ({each.reason})." for each in report.not_run),
        ],
    )  # fmt: skip
    trends = [claim for claim in report.claims if claim.trend]
    if trends:
        yield Table(
            f"The trends, from one share to the next{of}",
            columns,
            [[claim.subject, *_cells(each)] for claim in trends for each in claim.differences],
            labels=2,
            notes=[
                "Shares of the captions' items that are corrupted, nominal. With DROP, nothing is "
                "left of a caption at 100 %: a judge that has the image has nothing else to go by, "
                "where what is left of a caption could pass for all that there is."
            ],
        )


def _summary(claim: Claim) -> list[str]:
    if claim.trend is None:
        return _cells(claim.differences[0])
    first, last = claim.differences[0], claim.differences[-1]
    return [
        last.compared,
        percent(last.value),
        first.against,
        percent(first.reference),
        trend_text(claim.trend),
        _count(first),
    ]


def trend_text(trend: Trend) -> str:
    """Return a rank correlation and its p-value."""
    if trend.spearman is None:
        return MISSING
    spearman = f"{trend.spearman:.2f}".replace("-", "−")
    return f"Spearman {spearman}, p {probability(trend.p_value)}"


def _cells(each: ClaimedDifference) -> list[str]:
    return [
        each.compared,
        percent(each.value),
        each.against,
        percent(each.reference),
        gain_with_interval(each.estimate, each.ci95),
        _count(each),
    ]


def _count(each: ClaimedDifference) -> str:
    return f"{each.n} of {each.of} {each.unit}"
