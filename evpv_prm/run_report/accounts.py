"""What became of all that a run read: the funnel from records to numbers, and failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from evpv_prm.data.conditions import SETTINGS
from evpv_prm.data.constraint_corruption import MODES
from evpv_prm.metrics.ablation_file import AblationMetrics
from evpv_prm.metrics.bon_file import BonMetrics, Summary
from evpv_prm.metrics.corruption_file import CorruptionMetrics
from evpv_prm.metrics.corruption_tables import MODE_LABELS, VIEW_LABELS
from evpv_prm.metrics.intervention_file import InterventionMetrics
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.metrics.rendering import Table
from evpv_prm.metrics.step_file import StepMetrics, StepSummary

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Results:
    """The metrics of a run: by policy, and of labelled steps by way to judge."""

    best_of_n: Mapping[str, BonMetrics]
    steps: Mapping[str, StepMetrics] = field(default_factory=dict)
    interventions: Mapping[str, InterventionMetrics] = field(default_factory=dict)
    corruption: CorruptionMetrics | None = None
    ablations: AblationMetrics | None = None


@dataclass(frozen=True)
class Count:
    """So many of so many were left."""

    n: int
    of: int

    @property
    def percent(self) -> float:
        """The share that was left; nothing of nothing is all of it."""
        return 100 * self.n / self.of if self.of else 100.0


@dataclass(frozen=True)
class Funnel:
    """What is left of the records of an experiment, stage by stage, a row for each benchmark."""

    experiment: str
    labels: Sequence[str]
    stages: Sequence[str]
    rows: Sequence[tuple[Sequence[str], Sequence[Count]]]
    note: str


def funnels(results: Results) -> list[Funnel]:
    """Count what was read, scored and counted, by experiment and benchmark."""
    found = [
        Funnel(
            "Best-of-N",
            ["Policy", "Benchmark"],
            ["Records in", "Counted", "Candidates asked", "Candidates made", "Candidates scored"],
            [
                ([policy, name], _candidates(summary, metrics.num_candidates))
                for policy, metrics in results.best_of_n.items()
                for name, summary in _parts(metrics.datasources)
            ],
            "Counted: questions in the rates, those that were put to the policy. A candidate that "
            "was not made counts as wrong, one without a score ranks last.",
        )
    ]
    if results.steps:
        found.append(
            Funnel(
                "Labelled steps",
                ["Way to judge", "Source"],
                ["Solutions in", "With labels", "Steps in", "Counted", "With a verdict"],
                [
                    ([way, name], _steps(summary))
                    for way, metrics in results.steps.items()
                    for name, summary in metrics.sources.items()
                ],
                "Counted: steps labelled right or wrong; neutral ones are left out. A counted step "
                "without a verdict counts against both classes.",
            )
        )
    if results.interventions:
        found.append(
            Funnel(
                "Perception intervention",
                ["Policy", "Benchmark", "Condition"],
                ["Records in", "Asked", "Answered", "Scored"],
                [
                    (
                        [policy, name, SETTINGS[condition].label],
                        [
                            Count(n, part.n)
                            for n in (part.n, found.n_asked, found.n_answered, found.n_scored)
                        ],
                    )
                    for policy, metrics in results.interventions.items()
                    for name, part in _parts(metrics.datasources)
                    for condition, found in part.conditions.items()
                ],
                "Asked: put to the policy; an answer that could not be made is wrong. Scored: "
                "answers of which every step has a verdict.",
            )
        )
    return found


def _candidates(summary: Summary, per_question: int) -> list[Count]:
    asked = summary.n_candidates
    unmade = sum(n for reason, n in summary.failures.items() if reason.startswith("candidate:"))
    unscored = summary.n_unscored_candidates["gated"]
    of_all = summary.n * per_question
    return [
        Count(summary.n, summary.n),
        Count(summary.n_scored, summary.n),
        Count(asked, of_all),
        Count(asked - unmade, of_all),
        Count(asked - unscored, of_all),
    ]


def _steps(summary: StepSummary) -> list[Count]:
    steps = summary.n_steps + summary.n_neutral
    return [
        Count(summary.n_samples, summary.n_samples),
        Count(summary.n_with_steps, summary.n_samples),
        Count(steps, steps),
        Count(summary.n_steps, steps),
        Count(summary.n_steps - summary.n_failed_steps, summary.n_steps),
    ]


def failures(results: Results) -> Table:
    """Lay out all failures by reason, with the experiment in which and on what they happened."""
    rows = [
        [experiment, of, stage, kind.replace("_", " "), f"{count:,}"]
        for experiment, of, reasons in _failures(results)
        for reason, count in reasons.items()
        for stage, _, kind in [reason.partition(":")]
        if count
    ]
    notes = [] if rows else ["None: every question, candidate and request went through."]
    columns = ["Experiment", "Of", "Stage", "Reason", "Count"]
    return Table("Failures by reason", columns, rows, labels=4, notes=notes)


_Reasons: TypeAlias = Iterator[tuple[str, str, Mapping[str, int]]]
"""An experiment, what failed in it, and how often by reason."""


def _failures(results: Results) -> _Reasons:
    for policy, metrics in results.best_of_n.items():
        for name, summary in _parts(metrics.datasources):
            yield "Best-of-N", f"{policy}, {name}", summary.failures
    for way, steps in results.steps.items():
        for name, source in steps.sources.items():
            yield "Labelled steps", f"{way}, {name}", source.failures
    for policy, intervention in results.interventions.items():
        for name, part in _parts(intervention.datasources):
            for condition, found in part.conditions.items():
                of = f"{policy}, {name}, {SETTINGS[condition].label}"
                yield "Intervention", of, found.failures
    if results.corruption:
        yield from _corruption_failures(results.corruption)
    if results.ablations:
        for entry in results.ablations.configurations:
            yield "Ablations", entry.name, entry.failures


def _parts(datasources: Mapping[str, _Part]) -> Iterator[tuple[str, _Part]]:
    """Leave out all datasources pooled, which would count everything twice."""
    return ((name, part) for name, part in datasources.items() if name != OVERALL)


def _corruption_failures(metrics: CorruptionMetrics) -> _Reasons:
    for view, seen in metrics.views.items():
        yield "Corruption", f"{VIEW_LABELS[view]}, whole", seen.baseline.failures
        for mode in MODES:
            for scores in seen.curve(mode)[1:]:
                of = f"{VIEW_LABELS[view]}, {MODE_LABELS[mode]} {scores.ratio:g}"
                yield "Corruption", of, scores.failures
