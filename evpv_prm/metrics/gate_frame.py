"""All numbers of the gate analysis in one tidy frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from evpv_prm.metrics.gate_file import (
    Calibration,
    Distribution,
    GateMetrics,
    Lowered,
    PolicyGate,
    Share,
    SolutionGate,
)
from evpv_prm.metrics.metrics_file import Interval

BENCHMARK = "VisualProcessBench"
"""The labelled solutions, beside the policies."""

_Row = dict[str, Any]


def gate_frame(metrics: Mapping[str, GateMetrics]) -> pd.DataFrame:
    """Return every number as a row.

    Args:
        metrics: by name of the verifier.

    Returns:
        Columns verifier, part ("reliability", "calibration", "decisions", "lowered" or
        "verdicts"), subject (a policy or `BENCHMARK`), group (a datasource, "all" or "called_right"
        visual steps, the "right" or "wrong" ones), aggregation, metric, reliability (p), count of n
        where something is counted, estimate (a fraction in [0, 1] or a difference of such),
        ci95_low, ci95_high, p_value, failures ("REASON=COUNT;…" among the n).
    """
    rows = [
        {"verifier": verifier, **row}
        for verifier, file in metrics.items()
        for row in _numbers(file)
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(("count", "n"), "Int64"))


def _numbers(file: GateMetrics) -> Iterator[_Row]:
    for policy, gate in file.policies.items():
        yield from _reliability(policy, gate.distribution)
    yield from _reliability(BENCHMARK, file.solutions.distribution)
    for name, calibration in file.solutions.calibration.items():
        yield from _calibration(name, calibration)
    for policy, gate in file.policies.items():
        yield from _decisions(policy, gate)
    for label, lowered in file.solutions.lowered.items():
        yield from _lowered(label, lowered)
    yield from _verdicts(file.solutions)


def _reliability(subject: str, found: Distribution) -> Iterator[_Row]:
    failures = _reasons(found.failures)

    def row(metric: str, count: int, reliability: str | None = None) -> _Row:
        p = None if reliability is None else float(reliability)
        return _row("reliability", subject, "", "", metric, p, count, found.n) | {
            "failures": failures
        }

    yield row("without_facts", found.n_without_facts)
    yield row("without_reliability", found.n_failed)
    for reliability, count in found.counts.items():
        yield row("audited", count, reliability)


def _calibration(group: str, found: Calibration) -> Iterator[_Row]:
    def row(metric: str, *values: Any) -> _Row:
        return _row("calibration", BENCHMARK, group, "", metric, *values)

    for reliability, share in found.right.items():
        yield row("right", float(reliability), *_share(share))
    yield row("calibration_error", None, None, found.n_steps, found.calibration_error, None)
    yield row("auroc", None, None, found.n_steps, found.auroc.estimate, found.auroc.ci95)


def _decisions(policy: str, gate: PolicyGate) -> Iterator[_Row]:
    for name, reranking in gate.datasources.items():
        failures = {"failures": _reasons(reranking.failures)}
        for aggregation, found in reranking.decisions.items():
            counts = {
                "changed": found.n_changed,
                "better": found.n_better,
                "worse": found.n_worse,
                "same": found.n_same,
            }
            where = ("decisions", policy, name, aggregation)
            for metric, count in counts.items():
                yield _row(*where, metric, None, count, reranking.n_scored) | failures
            gain = found.gain
            row = _row(*where, "gain", None, None, reranking.n_scored, gain.estimate, gain.ci95)
            yield row | failures
            decided = found.n_better + found.n_worse
            row = _row(*where, "sign_test", None, found.n_better, decided)
            yield row | failures | {"p_value": found.p_value}


def _lowered(label: str, found: Lowered) -> Iterator[_Row]:
    def row(metric: str, *values: Any) -> _Row:
        return _row("lowered", BENCHMARK, label, "", metric, None, *values)

    yield row("called_right", found.n_called_right, found.n)
    yield row("called_wrong", found.n_called_wrong, found.n)
    yield row("without_verdict", found.n_without_verdict, found.n)
    yield row("without_gated_score", found.n_unscored, found.n_called_right)
    yield row("below_threshold", *_share(found.below))


def _verdicts(found: SolutionGate) -> Iterator[_Row]:
    def row(group: str, metric: str, *values: Any) -> _Row:
        return _row("verdicts", BENCHMARK, group, "", metric, None, *values)

    for kind, value in found.macro_f1.items():
        yield row(kind, "without_verdict", found.n_without_verdict[kind], found.n_steps)
        yield row(kind, "macro_f1", None, found.n_steps, value)
    gain = row("gated", "gain", None, found.n_steps, found.gain.estimate, found.gain.ci95)
    yield gain | {"p_value": found.p_value}


def _share(share: Share) -> tuple[int, int, float | None, Interval | None]:
    return share.n_hits, share.n, share.estimate, share.ci95


def _row(
    part: str,
    subject: str,
    group: str,
    aggregation: str,
    metric: str,
    reliability: float | None,
    count: int | None,
    n: int,
    estimate: float | None = None,
    interval: Interval | None = None,
) -> _Row:
    low, high = interval or (None, None)
    return {
        "part": part,
        "subject": subject,
        "group": group,
        "aggregation": aggregation,
        "metric": metric,
        "reliability": reliability,
        "count": count,
        "n": n,
        "estimate": estimate,
        "ci95_low": low,
        "ci95_high": high,
        "p_value": None,
        "failures": "",
    }


def _reasons(failures: Mapping[str, int]) -> str:
    return ";".join(f"{kind}={count}" for kind, count in failures.items())
