"""Tables of step-level metrics for reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from evpv_prm.metrics.metrics_file import Interval
from evpv_prm.metrics.rendering import MISSING, Table, percent
from evpv_prm.metrics.step_file import StepMetrics, StepSummary, Verdicts
from evpv_prm.published import Published

SOURCE_LABELS = {
    "MMMU_DEV_VAL": "MMMU",
    "MathVision_MINI": "MathVision",
    "MathVerse_MINI_Vision_Only": "MathVerse-VO",
}
"""What the sources of VisualProcessBench are called where their names are long."""

POOLED_LABEL, MEAN_LABEL = "All steps pooled", "Step-weighted mean of sources"


def comparison_table(metrics: Mapping[str, StepMetrics], published: Sequence[Published]) -> Table:
    """Lay out macro-F1 in percent by source and overall, and published results beside it.

    Args:
        metrics: by name of the system.
        published: systems to compare with.
    """
    sources = sorted({source for file in metrics.values() for source in file.sources})
    rows = [
        [
            "This run",
            system,
            "",
            *(_source_f1(file, source) for source in sources),
            percent(file.overall.pooled.macro_f1),
            percent(file.overall.source_weighted.macro_f1),
            MISSING,
        ]
        for system, file in metrics.items()
    ]
    rows += [
        [
            "Published",
            result.system,
            result.reference,
            *(
                as_published(result.by_source[source]) if source in result.by_source else MISSING
                for source in sources
            ),
            MISSING,
            MISSING,
            "–".join(map(as_published, result.macro_f1)),
        ]
        for result in published
    ]
    names = [SOURCE_LABELS.get(source, source) for source in sources]
    return Table(
        "Macro-F1 (%) of step verification",
        ["Results", "System", "Reference", *names, "Pooled", "Mean", "As published"],
        rows,
        labels=3,
        notes=[
            f"Pooled: {POOLED_LABEL.lower()}. Mean: {MEAN_LABEL.lower()}. Published results are "
            "those of the references, on VisualProcessBench; none was measured here, and the "
            "references do not say which of the two theirs is.",
            *_notes(published),
        ],
    )


def step_level_tables(metrics: Mapping[str, StepMetrics]) -> list[Table]:
    """Lay out the metrics of each source and policy, and what they were counted over.

    Args:
        metrics: by name of the system; a single one named "" gets no column.
    """
    first = next(iter(metrics.values()))
    labels = ["Source or policy"] if list(metrics) == [""] else ["System", "Source or policy"]

    def table(
        title: str, columns: Mapping[str, Callable[[StepSummary], str]], notes: Sequence[str]
    ) -> Table:
        rows = [
            [system, name][-len(labels) :] + [text(summary) for text in columns.values()]
            for system, file in metrics.items()
            for name, summary in _summaries(file)
        ]
        return Table(title, [*labels, *columns], rows, len(labels), notes)

    return [
        table(
            "Step-level metrics (%)",
            {
                "Macro-F1 with 95 % interval": lambda s: _with_interval(s.macro_f1, s.ci95),
                "F1 right": lambda s: percent(s.f1_correct),
                "F1 wrong": lambda s: percent(s.f1_incorrect),
                "AUROC": lambda s: percent(s.auroc),
                "First error": lambda s: percent(s.first_error_accuracy),
            },
            [
                *_means(metrics),
                "Macro-F1 is the mean of F1 over right and over wrong steps; a judgement that "
                "failed counts against both. AUROC leaves out steps without a probability. First "
                "error: share of solutions whose first wrong step was found, or rightly none; a "
                "judgement that failed up to there is a miss.",
                f"Intervals: bootstrap over solutions within each source, "
                f"{first.bootstrap_samples} resamples, seed {first.seed}.",
            ],
        ),
        table(
            "Solutions and steps behind the metrics",
            {
                "Solutions": lambda s: str(s.n_samples),
                "with labels": lambda s: str(s.n_with_steps),
                "Steps": lambda s: str(s.n_steps),
                "Right steps": lambda s: _verdicts(s.confusion["right"]),
                "Wrong steps": lambda s: _verdicts(s.confusion["wrong"]),
                "No probability": lambda s: str(s.n_without_probability),
                "Neutral": lambda s: str(s.n_neutral),
            },
            [
                "Steps are those labelled right or wrong; neutral ones are left out. With labels: "
                "solutions that have such a step. In parentheses: steps called right / called "
                "wrong / without a verdict, because the judgement failed.",
                *_failure_notes(metrics),
            ],
        ),
    ]


def as_published(value: float) -> str:
    """Return a published percentage with the digits that papers give: one, or two if there are."""
    return f"{value:.2f}".removesuffix("0")


def _notes(published: Sequence[Published]) -> Iterator[str]:
    systems: dict[str, list[str]] = {}
    for result in published:
        if result.note:
            systems.setdefault(result.note, []).append(result.system)
    for note, names in systems.items():
        yield f"{', '.join(names)}: {note}."


def _source_f1(file: StepMetrics, source: str) -> str:
    summary = file.sources.get(source)
    return MISSING if summary is None else percent(summary.macro_f1)


def _summaries(file: StepMetrics) -> Iterator[tuple[str, StepSummary]]:
    for name, summary in file.sources.items():
        yield SOURCE_LABELS.get(name, name), summary
    for name, summary in file.policies.items():
        yield f"by {name}", summary
    yield POOLED_LABEL, file.overall.pooled


def _means(metrics: Mapping[str, StepMetrics]) -> Iterator[str]:
    for system, file in metrics.items():
        mean = file.overall.source_weighted
        of = f" of {system}" if system else ""
        yield f"{MEAN_LABEL}{of}: macro-F1 {_with_interval(mean.macro_f1, mean.ci95)}."


def _failure_notes(metrics: Mapping[str, StepMetrics]) -> Iterator[str]:
    for system, file in metrics.items():
        failures = file.overall.pooled.failures
        if failures:
            reasons = ", ".join(f"{kind} {count}" for kind, count in failures.items())
            yield f"Failed requests{f' of {system}' if system else ''} by reason: {reasons}."


def _verdicts(verdicts: Verdicts) -> str:
    parts = (verdicts.right, verdicts.wrong, verdicts.failed)
    return f"{sum(parts)} ({' / '.join(map(str, parts))})"


def _with_interval(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return MISSING
    low, high = interval
    return f"{percent(value)} [{percent(low)}, {percent(high)}]"
