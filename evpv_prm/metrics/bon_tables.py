"""Tables of Best-of-N metrics for reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from evpv_prm.metrics.bon_file import (
    MACRO_AVERAGE,
    BonMetrics,
    Estimate,
    Scores,
    Summary,
    summaries,
)
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.metrics.rendering import Table, gain_with_interval, percent

BENCHMARK_LABELS = {OVERALL: "All questions pooled", MACRO_AVERAGE: "Mean of benchmarks"}
AGGREGATION_LABELS = {
    "correctness_rate": "Correctness",
    "weighted_correctness": "Weighted",
    "streak_score": "Streak",
    "geometric_mean": "Geometric",
    "first_error_position": "First error",
}

_Text = Callable[[Summary], str]
"""What a column shows of a summary."""


def best_of_n_tables(metrics: Mapping[str, BonMetrics]) -> list[Table]:
    """Lay out the metrics at k = N for reading, in percent and percentage points.

    Args:
        metrics: by policy, with the same number of candidates and the same aggregations; a single
            policy named "" gets no column.
    """
    first = next(iter(metrics.values()))
    n, k = first.num_candidates, str(first.num_candidates)

    def table(title: str, columns: Mapping[str, _Text], notes: Sequence[str] = ()) -> Table:
        labels = ["Benchmark"] if list(metrics) == [""] else ["Policy", "Benchmark"]
        rows = [
            [policy, BENCHMARK_LABELS.get(name, name)][-len(labels) :]
            + [text(summary) for text in columns.values()]
            for policy, file in metrics.items()
            for name, summary in _for_reading(file)
        ]
        return Table(title, [*labels, *columns], rows, len(labels), notes)

    def by_aggregation(text: Callable[[Summary, str], str]) -> dict[str, _Text]:
        return {
            AGGREGATION_LABELS[name]: partial(lambda name, summary: text(summary, name), name)
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
                "Random (Pass@1)": lambda s: percent(s.random_choice),
                f"Majority vote@{n}": lambda s: percent(s.majority_vote[k]),
                f"Pass@{n}": lambda s: percent(s.pass_at_k[k]),
            },
            [*_definitions(first), *_failure_notes(metrics)],
        ),
        table(
            f"BoN@{n} accuracy (%), gated scores (raw scores in parentheses)",
            by_aggregation(
                lambda s, name: (
                    f"{percent(s.bon_at_k['gated'][name][k])}"
                    f" ({percent(s.bon_at_k['raw'][name][k])})"
                )
            ),
            [f"Aggregations: {', '.join(n.replace('_', ' ') for n in first.aggregations)}."],
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


def _for_reading(metrics: BonMetrics) -> Iterator[tuple[str, Summary]]:
    """Leave out what sums up the datasources where there is only one."""
    several = len(metrics.datasources) > 2  # one of them is all pooled
    for name, summary in summaries(metrics):
        if several or name not in BENCHMARK_LABELS:
            yield name, summary


def _definitions(metrics: BonMetrics) -> list[str]:
    return [
        "All rates are over the scored questions, those that were put to the policy. A candidate "
        "that could not be made is wrong; one without a score ranks below all others; ties share "
        "the choice equally.",
        f"Intervals: bootstrap over questions clustered by image within each benchmark, "
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


def _points(gain: Estimate) -> str:
    return gain_with_interval(gain.estimate, gain.ci95)
