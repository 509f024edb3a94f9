"""All numbers of metrics files in one tidy frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from evpv_prm.metrics.bon_file import BonMetrics, Estimate, Rates, Summary, summaries
from evpv_prm.metrics.metrics_file import Interval


def tidy_frame(metrics: Mapping[str, BonMetrics]) -> pd.DataFrame:
    """Return every number as a row.

    Args:
        metrics: by policy.

    Returns:
        Columns policy, benchmark, metric, scores ("gated", "raw" or ""), aggregation (or ""), k,
        estimate (a fraction in [0, 1]; gains are differences of fractions), ci95_low, ci95_high,
        and the counts n, n_scored, n_candidates and failures ("REASON=COUNT;…") of the benchmark.
    """
    rows = []
    for policy, file in metrics.items():
        for benchmark, summary in summaries(file):
            counts = {
                "n": summary.n,
                "n_scored": summary.n_scored,
                "n_candidates": summary.n_candidates,
                "failures": ";".join(f"{kind}={n}" for kind, n in summary.failures.items()),
            }
            for row in _numbers(summary, file.num_candidates):
                rows.append({"policy": policy, "benchmark": benchmark, **row, **counts})
    return pd.DataFrame(rows)


def _numbers(summary: Summary, num_candidates: int) -> Iterator[dict[str, Any]]:
    def row(metric: str, scores: str, aggregation: str, k: int, value: Estimate) -> dict[str, Any]:
        low, high = value.ci95 or (None, None)
        return {
            "metric": metric,
            "scores": scores,
            "aggregation": aggregation,
            "k": k,
            "estimate": value.estimate,
            "ci95_low": low,
            "ci95_high": high,
        }

    def curve(
        metric: str, rates: Rates, bands: Mapping[str, Interval | None], *key: str
    ) -> Iterator[dict[str, Any]]:
        scores, aggregation = key or ("", "")
        for k, rate in rates.items():
            value = Estimate(estimate=rate, ci95=bands[k])
            yield row(metric, scores, aggregation, int(k), value)

    bands = summary.intervals
    chance = Estimate(estimate=summary.random_choice, ci95=bands.pass_at_k["1"])
    yield row("random_choice", "", "", 1, chance)
    yield from curve("pass_at_k", summary.pass_at_k, bands.pass_at_k)
    yield from curve("majority_vote", summary.majority_vote, bands.majority_vote)
    for kind, by_aggregation in summary.bon_at_k.items():
        for name, rates in by_aggregation.items():
            yield from curve("bon_at_k", rates, bands.bon_at_k[kind][name], kind, name)
    for metric in ("bon_gain", "bon_gain_over_majority_vote"):
        for kind, gains in getattr(summary, metric).items():
            for name, gain in gains.items():
                yield row(metric, kind, name, num_candidates, gain)
    for name, gain in summary.gate_gain.items():
        yield row("gate_gain", "", name, num_candidates, gain)
