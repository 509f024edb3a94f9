"""Tables of the ablation suite for reading, and all of its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from evpv_prm.metrics.ablation_file import AblationMetrics, Comparison, ConfigurationSummary
from evpv_prm.metrics.rendering import MISSING, Table, difference, percent


def ablation_tables(metrics: Mapping[str, AblationMetrics]) -> list[Table]:
    """Lay out the suite: what each configuration changes in macro-F1, and what it costs.

    Args:
        metrics: by verifier; the name of a single one is left out.
    """
    tables = []
    for verifier, file in metrics.items():
        of = f" of {verifier}" if len(metrics) > 1 else ""
        tables.append(_results(file, of))
        if file.asked is not None:
            tables.append(_requests(file, of))
    return tables


def ablations_frame(metrics: Mapping[str, AblationMetrics]) -> pd.DataFrame:
    """Return every number of the metrics files, a row a configuration."""
    return pd.DataFrame(
        [
            _row(verifier, entry)
            for verifier, file in metrics.items()
            for entry in file.configurations
        ]
    )


def _results(file: AblationMetrics, of: str) -> Table:
    rows = [
        [
            entry.group,
            entry.name,
            entry.differs_in or MISSING,
            f"{percent(entry.macro_f1)} [{', '.join(map(percent, entry.ci95))}]",
            *_compared(entry.comparison),
            str(entry.n_failed),
        ]
        for entry in file.configurations
    ]
    first = file.configurations[0]
    repeated = f", each judged {file.repetitions} times" if file.repetitions > 1 else ""
    notes = [
        f"{first.n_samples // file.repetitions} solutions with {first.n_steps // file.repetitions} "
        f"steps labelled right or wrong{repeated}. A step without verdict counts against both "
        "classes.",
        "The difference is to the baseline, for the two policies on parse failures to free "
        "decoding, in percentage points. Intervals: bootstrap over solutions, paired for "
        f"differences, {file.bootstrap_samples} resamples, seed {file.seed}. p: paired "
        f"randomisation test; corrected for {file.n_compared} comparisons by Holm's method.",
        *_exceptions(file),
    ]
    return Table(
        f"Ablations{of}: macro-F1 over all steps (%) with 95 % interval",
        [
            *("Group", "Configuration", "Differs in", "Macro-F1", "Difference"),
            *("p", "p corrected", "Without verdict"),
        ],
        rows,
        labels=3,
        notes=notes,
    )


def _compared(found: Comparison | None) -> list[str]:
    if found is None:
        return [MISSING] * 3
    low, high = found.ci95
    corrected = MISSING if found.p_corrected is None else _p_value(found.p_corrected)
    change = difference(found.estimate)
    sign = "" if change.startswith("−") or change == "0.0" else "+"
    return [
        f"{sign}{change} [{difference(low)}, {difference(high)}]",
        _p_value(found.p_value),
        corrected,
    ]


def _p_value(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _exceptions(file: AblationMetrics) -> Iterator[str]:
    failures = [
        f"{entry.name}: {', '.join(f'{kind} {n}' for kind, n in entry.failures.items())}"
        for entry in file.configurations
        if entry.failures
    ]
    if failures:
        yield f"Failures by reason. {'; '.join(failures)}."
    imputed = [f"{c.name} {c.n_imputed}" for c in file.configurations if c.n_imputed]
    if imputed:
        yield f"Steps whose reply held no verdict and got one: {', '.join(imputed)}."


def _requests(file: AblationMetrics, of: str) -> Table:
    counted = [(entry.name, entry.asked) for entry in file.configurations if entry.asked]
    entries = [*counted, ("All together", file.asked)]
    rows = [
        [name, *(f"{count:,}" for count in (asked.requests, asked.distinct, asked.new))]
        for name, asked in entries
        if asked is not None
    ]
    note = (
        "A request is new in the first configuration that has it; what other experiments have "
        "asked for already is not paid again."
    )
    columns = ["Configuration", "Requests", "Distinct", "New"]
    return Table(f"What the ablations{of} ask for", columns, rows, labels=1, notes=[note])


def _row(verifier: str, entry: ConfigurationSummary) -> dict[str, object]:
    found, asked = entry.comparison, entry.asked
    return {
        "verifier": verifier,
        "group": entry.group,
        "configuration": entry.name,
        "differs_in": entry.differs_in,
        "n_samples": entry.n_samples,
        "n_steps": entry.n_steps,
        "n_failed": entry.n_failed,
        "n_imputed": entry.n_imputed,
        "failures": " ".join(f"{reason}={n}" for reason, n in entry.failures.items()),
        "macro_f1": entry.macro_f1,
        "ci95_low": entry.ci95[0],
        "ci95_high": entry.ci95[1],
        "compared_with": found and found.reference,
        "difference": found and found.estimate,
        "difference_ci95_low": found and found.ci95[0],
        "difference_ci95_high": found and found.ci95[1],
        "p_value": found and found.p_value,
        "p_corrected": found and found.p_corrected,
        "requests": asked and asked.requests,
        "distinct": asked and asked.distinct,
        "new": asked and asked.new,
    }
