"""What a run measures beside what was published: differences and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from evpv_prm import published
from evpv_prm.metrics.bon_file import BonMetrics, Summary
from evpv_prm.metrics.metrics_file import OVERALL, Interval
from evpv_prm.metrics.step_file import StepMetrics, StepSummary

Verdict = Literal["within the interval", "above", "below", "not comparable"]
"""Where our value lies: not told apart from the published one, above it, or below it."""

MEAN = "mean of six benchmarks"
GAIN, ALONE, BEST, MACRO_F1, SHARE, POLICY = (
    "BoN@8 gain",
    "Policy alone",
    "BoN@8 accuracy",
    "Macro-F1",
    "Share of wrong steps",
    "Policy alone, by benchmark",
)
_EXACT = 0.005  # percentage points: half of the second decimal, to which most are published
TENTH, WHOLE = 0.05, 0.5
"""Half of the last digit of what is published in tenths of a percent, and in whole ones."""

_SCORES: Literal["gated"] = "gated"
_N = 8


@dataclass(frozen=True)
class Measured:
    """What a run has for a published number: fractions in [0, 1], or why it cannot be compared."""

    estimate: float | None = None
    interval: Interval | None = None
    obstacle: str | None = None


@dataclass(frozen=True)
class Comparison:
    """A published number, in percent or points and right to `tolerance`, and our measurement."""

    quantity: str
    subject: str
    benchmark: str
    published: float
    tolerance: float
    reference: str
    measured: Measured

    @property
    def verdict(self) -> Verdict:
        """Whether our 95 % interval holds the published number, as far as that is known."""
        if self.measured.obstacle or self.measured.interval is None:
            return "not comparable"
        low, high = (100 * end for end in self.measured.interval)
        if low > self.published + self.tolerance:
            return "above"
        return "below" if high < self.published - self.tolerance else "within the interval"

    @property
    def reason(self) -> str:
        """Why nothing can be compared; empty where it can."""
        if self.verdict != "not comparable":
            return ""
        return (self.measured.obstacle or "it was not measured").rstrip(".")

    @property
    def difference(self) -> float | None:
        """Ours less the published number, a difference of fractions; None if not comparable."""
        if self.verdict == "not comparable" or self.measured.estimate is None:
            return None
        return self.measured.estimate - self.published / 100


@dataclass(frozen=True)
class Run:
    """What a run has measured.

    `best_of_n` is by policy. `steps` are those of the paper's way to judge, with a caption.
    `categories` is as `error_categories.categories_frame` writes it. `caution` says what keeps all
    of it from being compared: that of the demo.
    """

    best_of_n: Mapping[str, BonMetrics]
    aggregation: str
    steps: StepMetrics | None = None
    categories: pd.DataFrame | None = None
    caution: str | None = None


def compare(run: Run) -> list[Comparison]:
    """Set every number of the paper, and what its policies do alone, against what a run measures.

    Raises:
        KeyError: the metrics do not have the aggregation.
    """
    return [*_macro_f1(run), *_means(run), *_shares(run), *_policy_alone(run), *_impossible()]


def comparison_frame(rows: Sequence[Comparison]) -> pd.DataFrame:
    """Return every comparison as a row.

    Columns quantity, subject, benchmark, published and its tolerance, ours, ci95_low, ci95_high,
    difference (all fractions in [0, 1] or differences of such), verdict, reason, reference.
    """
    records = []
    for row in rows:
        low, high = row.measured.interval or (None, None)
        records.append(
            {
                "quantity": row.quantity,
                "subject": row.subject,
                "benchmark": row.benchmark,
                "published": round(row.published / 100, 6),
                "tolerance": round(row.tolerance / 100, 6),
                "ours": row.measured.estimate,
                "ci95_low": low,
                "ci95_high": high,
                "difference": row.difference,
                "verdict": row.verdict,
                "reason": row.reason,
                "reference": row.reference,
            }
        )
    numbers = ["ours", "ci95_low", "ci95_high", "difference"]
    return pd.DataFrame(records).astype(dict.fromkeys(numbers, "float64"))


def _macro_f1(run: Run) -> Iterator[Comparison]:
    value = published.EVPV_PRM.macro_f1[0]
    found = {"all steps pooled": Measured(), "step-weighted mean of sources": Measured()}
    if run.steps is not None:
        pooled, mean = run.steps.overall.pooled, run.steps.overall.source_weighted
        obstacle = _other_solutions(run.steps.sources) or run.caution
        found = {
            "all steps pooled": Measured(pooled.macro_f1, pooled.ci95, obstacle),
            "step-weighted mean of sources": Measured(mean.macro_f1, mean.ci95, obstacle),
        }
    reference = f"{published.EVPV_PRM.reference}, {published.EVPV_PRM.note}"
    for way, measured in found.items():
        yield Comparison(MACRO_F1, way, "VisualProcessBench", value, _EXACT, reference, measured)


def _other_solutions(sources: Mapping[str, StepSummary]) -> str | None:
    found = {name: summary.n_samples for name, summary in sources.items()}
    if found == published.SOURCE_SOLUTIONS:
        return None
    if found.keys() != published.SOURCE_SOLUTIONS.keys():
        return f"the solutions are not VisualProcessBench's, but those of {', '.join(found)}"
    of = sum(published.SOURCE_SOLUTIONS.values())
    return f"{sum(found.values()):,} of VisualProcessBench's {of:,} solutions"


def _means(run: Run) -> Iterator[Comparison]:
    """Compare what Best-of-8 adds to each policy, and the bars behind it."""
    evpv = published.EVPV_PRM
    for gain in evpv.gains:
        measured = _measured(run, gain.policy, GAIN)
        yield Comparison(
            GAIN, gain.policy, MEAN, gain.points, _EXACT, evpv.gains_reference or "", measured
        )
    for bars in published.BARS:
        for quantity, value in ((ALONE, bars.alone), (BEST, bars.best_of_8)):
            measured = _measured(run, bars.policy, quantity)
            yield Comparison(
                quantity, bars.policy, MEAN, value, published.BARS_TOLERANCE,
                f"{published.BARS_REFERENCE}, read off a picture", measured,
            )  # fmt: skip


def _measured(run: Run, policy: str, quantity: str) -> Measured:
    """Return a mean over the benchmarks of a policy."""
    metrics = run.best_of_n.get(policy)
    if metrics is None:
        return Measured(obstacle=f"{policy} is not in this run")
    return _value(metrics.macro_average, quantity, run, _other_benchmarks(metrics))


def _value(summary: Summary, quantity: str, run: Run, obstacle: str | None) -> Measured:
    k, intervals = str(_N), summary.intervals
    obstacle = obstacle or run.caution
    if quantity == ALONE:
        return Measured(summary.random_choice, intervals.pass_at_k["1"], obstacle)
    if quantity == GAIN:
        gain = summary.bon_gain[_SCORES][run.aggregation]
        return Measured(gain.estimate, gain.ci95, obstacle)
    rates, bands = summary.bon_at_k[_SCORES], intervals.bon_at_k[_SCORES]
    return Measured(rates[run.aggregation].get(k), bands[run.aggregation].get(k), obstacle)


def _other_benchmarks(metrics: BonMetrics) -> str | None:
    """Say in what a run's benchmarks or candidates are not the paper's."""
    found = {name: summary.n for name, summary in metrics.datasources.items() if name != OVERALL}
    if found.keys() != published.BENCHMARK_QUESTIONS.keys():
        return f"the benchmarks are not the paper's six, but {', '.join(found)}"
    if partial := _not_whole(found):
        return partial
    if metrics.num_candidates != _N:
        return f"{metrics.num_candidates} candidates a question, not {_N}"
    return None


def _not_whole(found: Mapping[str, int]) -> str | None:
    parts = [
        f"{n:,} of {of:,} questions of {name}"
        for name, n in found.items()
        if n != (of := published.BENCHMARK_QUESTIONS[name])
    ]
    return ", ".join(parts) or None


def _shares(run: Run) -> Iterator[Comparison]:
    for level, shares in published.ERROR_SHARES.items():
        of = "wrong steps" if level == "category" else "visual misinterpretations"
        for name, share in shares.items():
            yield Comparison(
                SHARE, name.replace("_", " "), f"of {of}", 100 * share, WHOLE,
                published.ERROR_SHARES_REFERENCE, _share(run, level, name),
            )  # fmt: skip


def _share(run: Run, level: str, name: str) -> Measured:
    if run.categories is None:
        return Measured(obstacle="this run makes no step-judge data")
    frame = run.categories
    row = frame[(frame["level"] == level) & (frame["category"] == name)].iloc[0]
    if pd.isna(row["share"]):
        return Measured(obstacle="there is no such step to take a share of")
    interval = (float(row["ci95_low"]), float(row["ci95_high"]))
    return Measured(float(row["share"]), interval, run.caution)


def _policy_alone(run: Run) -> Iterator[Comparison]:
    metrics = run.best_of_n.get(published.POLICY_ALONE)
    for name, value in published.POLICY_ALONE_ACCURACY.items():
        if metrics is None:
            measured = Measured(obstacle=f"{published.POLICY_ALONE} is not in this run")
        elif (summary := metrics.datasources.get(name)) is None:
            measured = Measured(obstacle=f"{name} is not in this run")
        else:
            obstacle = _not_whole({name: summary.n})
            if name == "WeMath":
                obstacle = "published over groups of problems, measured over questions"
            measured = _value(summary, ALONE, run, obstacle)
        yield Comparison(
            POLICY, published.POLICY_ALONE, name, value, TENTH,
            published.POLICY_ALONE_REFERENCE, measured,
        )  # fmt: skip


def _impossible() -> Iterator[Comparison]:
    """Keep a claim that its readers will look for apart from the rest."""
    measured = Measured(obstacle="impossible, BoN@k never exceeds Pass@k; and no policy is named")
    for quantity, value in published.IMPOSSIBLE.items():
        yield Comparison(
            quantity, "claim", "MathVista", value, TENTH, published.IMPOSSIBLE_REFERENCE, measured
        )
