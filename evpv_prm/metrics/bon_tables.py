"""Tables of Best-of-N metrics: one tidy frame of all numbers, and tables for reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from evpv_prm.metrics.bon_file import (
    OVERALL,
    BonMetrics,
    Estimate,
    Interval,
    Rates,
    Scores,
    Summary,
)
from evpv_prm.metrics.rendering import Table

MACRO_AVERAGE = "macro_average"
"""The name, beside the datasources, of their unweighted mean."""

BENCHMARK_LABELS = {OVERALL: "All questions pooled", MACRO_AVERAGE: "Mean of benchmarks"}
AGGREGATION_LABELS = {
    "correctness_rate": "Correctness",
    "weighted_correctness": "Weighted",
    "streak_score": "Streak",
    "geometric_mean": "Geometric",
    "first_error_position": "First error",
}

_MISSING = "–"


def summaries(metrics: BonMetrics) -> Iterator[tuple[str, Summary]]:
    """Yield each datasource, all pooled and the mean of the datasources, by name and in order."""
    yield from metrics.datasources.items()
    yield MACRO_AVERAGE, metrics.macro_average


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


def best_of_n_tables(metrics: Mapping[str, BonMetrics]) -> list[Table]:
    """Lay out the metrics at k = N for reading, in percent and percentage points.

    Args:
        metrics: by policy, with the same number of candidates and the same aggregations; a single
            policy named "" gets no column.
    """
    first = next(iter(metrics.values()))
    n, k = first.num_candidates, str(first.num_candidates)

    def table(title: str, columns: Mapping[str, Any], notes: Sequence[str] = ()) -> Table:
        rows = [
            {"Policy": policy, "Benchmark": BENCHMARK_LABELS.get(name, name)}
            | {column: text(summary) for column, text in columns.items()}
            for policy, file in metrics.items()
            for name, summary in summaries(file)
        ]
        frame = pd.DataFrame(rows)
        if list(metrics) == [""]:
            return Table(title, frame.drop(columns="Policy"), labels=1, notes=notes)
        return Table(title, frame, labels=2, notes=notes)

    def by_aggregation(text: Any) -> dict[str, Any]:
        return {
            AGGREGATION_LABELS[name]: lambda summary, name=name: text(summary, name)
            for name in first.aggregations
        }

    def gain_table(what: str, metric: str, kind: Scores | None) -> Table:
        def text(summary: Summary, name: str) -> str:
            gains = getattr(summary, metric)
            return _points(gains[name] if kind is None else gains[kind][name])

        return table(f"{what}, percentage points with 95 % interval", by_aggregation(text))

    return [
        table(
            "Questions, failures, and accuracy without a verifier (%)",
            {
                "Questions": lambda s: str(s.n),
                "Scored": lambda s: str(s.n_scored),
                "Failures": lambda s: str(sum(s.failures.values())),
                "Candidates": lambda s: str(s.n_candidates),
                "Unscored": lambda s: str(s.n_unscored_candidates["gated"]),
                "Random (Pass@1)": lambda s: _percent(s.random_choice),
                f"Majority vote@{n}": lambda s: _percent(s.majority_vote[k]),
                f"Pass@{n}": lambda s: _percent(s.pass_at_k[k]),
            },
            [*_definitions(first), *_failure_notes(metrics)],
        ),
        table(
            f"BoN@{n} accuracy (%), gated scores (raw scores in parentheses)",
            by_aggregation(
                lambda s, name: (
                    f"{_percent(s.bon_at_k['gated'][name][k])}"
                    f" ({_percent(s.bon_at_k['raw'][name][k])})"
                )
            ),
        ),
        gain_table(f"Gain of BoN@{n} with gated scores over a random choice", "bon_gain", "gated"),
        gain_table(f"Gain of BoN@{n} with raw scores over a random choice", "bon_gain", "raw"),
        gain_table(
            f"Gain of BoN@{n} with gated scores over the majority vote",
            "bon_gain_over_majority_vote",
            "gated",
        ),
        gain_table(f"Gain of BoN@{n} with gated over raw scores", "gate_gain", None),
    ]


def _definitions(metrics: BonMetrics) -> list[str]:
    return [
        "All rates are over the scored questions, those that were put to the policy. A candidate "
        "that could not be made is wrong; one without a score ranks below all others; ties share "
        "the choice equally.",
        f"Intervals: bootstrap over questions clustered by image, "
        f"{metrics.bootstrap_samples} resamples, seed {metrics.seed}; paired for gains.",
    ]


def _failure_notes(metrics: Mapping[str, BonMetrics]) -> Iterator[str]:
    for policy, file in metrics.items():
        parts = [
            f"{name}: {', '.join(f'{kind} {count}' for kind, count in summary.failures.items())}"
            for name, summary in file.datasources.items()
            if summary.failures and name != OVERALL
        ]
        if parts:
            yield f"Failures{f' of {policy}' if policy else ''} by reason. {'; '.join(parts)}."


def _percent(rate: float | None) -> str:
    return _MISSING if rate is None else f"{100 * rate:.1f}"


def _points(gain: Estimate) -> str:
    if gain.estimate is None or gain.ci95 is None:
        return _MISSING
    low, high = gain.ci95
    return f"{_signed(gain.estimate)} [{_signed(low)}, {_signed(high)}]"


def _signed(difference: float) -> str:
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")
