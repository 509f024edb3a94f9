"""Tables of the gate analysis for reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evpv_prm.metrics.bon_tables import AGGREGATION_LABELS
from evpv_prm.metrics.gate_file import (
    Decisions,
    Distribution,
    GateMetrics,
    PolicyGate,
    Share,
    SolutionGate,
)
from evpv_prm.metrics.gate_frame import BENCHMARK
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.metrics.rendering import (
    MISSING,
    Table,
    gain_with_interval,
    percent,
    probability,
    with_interval,
)


def gate_tables(metrics: Mapping[str, GateMetrics]) -> list[Table]:
    """Lay out what the gate does, in percent and percentage points with their denominators.

    Args:
        metrics: by name of the verifier; the name of a single one is left out.
    """
    return [
        table
        for verifier, file in metrics.items()
        for table in _tables(file, f", {verifier}" if len(metrics) > 1 else "")
    ]


def _tables(file: GateMetrics, of: str) -> Iterator[Table]:
    yield _distribution(file, of)
    yield _calibration(file, of)
    yield _pooled_decisions(file, of)
    if any(len(gate.datasources) > 2 for gate in file.policies.values()):  # one is all pooled
        yield _decisions_by_datasource(file, of)
    yield _lowered(file, of)
    yield _verdicts(file, of)


def _distribution(file: GateMetrics, of: str) -> Table:
    found = {policy: gate.distribution for policy, gate in file.policies.items()}
    found[BENCHMARK] = file.solutions.distribution
    rows = [
        [
            name,
            *(str(n) for n in (each.n, each.n_without_facts, each.n_failed, each.n_audited)),
            *map(str, each.counts.values()),
        ]
        for name, each in found.items()
    ]
    reliabilities = file.solutions.distribution.counts
    return Table(
        f"Reliability p of visual facts: candidates by policy, and labelled solutions{of}",
        ["Of", "All", "No facts", "No p", "Audited", *(f"p {p}" for p in reliabilities)],
        rows,
        labels=1,
        notes=[
            "All: candidates or solutions; those without visual facts have p = 1 and nothing to "
            "gate. No p: the audit, or what comes before it, failed. Audited: the rest, by p to "
            "the nearest tenth.",
            *_failure_notes(found),
        ],
    )


def _calibration(file: GateMetrics, of: str) -> Table:
    solutions = file.solutions
    every, called_right = (solutions.calibration[name] for name in ("all", "called_right"))
    rows = [[p, *_share(every.right[p]), *_share(called_right.right[p])] for p in every.right]
    measures = [
        f"{name}: {each.n_steps} steps of {each.n_samples} solutions, expected calibration error "
        f"{percent(each.calibration_error)} %, AUROC of p for right steps "
        f"{with_interval(each.auroc.estimate, each.auroc.ci95)} %."
        for name, each in (("All visual steps", every), ("Called right", called_right))
    ]
    return Table(
        f"Right visual steps by reliability p, {BENCHMARK}{of}",
        ["p", "Steps", "Right (%)", "Called right", "Right (%) of these"],
        rows,
        labels=1,
        notes=[
            *measures,
            f"Of {solutions.n_steps} steps labelled right or wrong, {solutions.n_visual} rest on "
            f"a visual fact, {solutions.n_visual_without_reliability} of them without p; for "
            f"{solutions.n_unknown} steps the facts are not known. {solutions.n_neutral} neutral "
            "steps are left out. Called right: by the judge; the gate weighs these alone.",
            "Intervals of 95 %: of shares, Wilson's for observations clustered by solution; of "
            f"AUROC, bootstrap over solutions, {file.bootstrap_samples} resamples, seed "
            f"{file.seed}.",
        ],
    )


def _pooled_decisions(file: GateMetrics, of: str) -> Table:
    rows = []
    for policy, gate in file.policies.items():
        pooled = gate.datasources[OVERALL]
        for aggregation, found in pooled.decisions.items():
            rows.append(
                [
                    policy,
                    AGGREGATION_LABELS[aggregation],
                    str(pooled.n_scored),
                    *(str(n) for n in _changes(found)),
                    gain_with_interval(found.gain.estimate, found.gain.ci95),
                    probability(found.p_value),
                ]
            )
    return Table(
        f"Choices among all candidates that the gate changes, all questions pooled{of}",
        [
            *("Policy", "Aggregation", "Questions", "Changed", "Better", "Worse", "Same"),
            *("Gain (points)", "p"),
        ],
        rows,
        labels=2,
        notes=[
            "A choice is the set of the best scored candidates, each as likely. Better, worse, "
            "same: changed choices by their expected accuracy. Gain: of accuracy over all "
            f"questions; interval of 95 % by a paired bootstrap over questions clustered by image, "
            f"{file.bootstrap_samples} resamples, seed {file.seed}. p: two-sided sign test of "
            "better against worse, questions taken as independent, not corrected for the number "
            "of tests.",
            *_question_notes(file.policies),
        ],
    )


def _decisions_by_datasource(file: GateMetrics, of: str) -> Table:
    rows = [
        [
            policy,
            name,
            str(reranking.n_scored),
            *("{} ({} / {} / {})".format(*_changes(d)) for d in reranking.decisions.values()),
        ]
        for policy, gate in file.policies.items()
        for name, reranking in gate.datasources.items()
        if name != OVERALL
    ]
    return Table(
        f"Choices that the gate changes (better / worse / same), by benchmark{of}",
        [
            *("Policy", "Benchmark", "Questions"),
            *(AGGREGATION_LABELS[name] for name in file.aggregations),
        ],
        rows,
        labels=2,
    )


def _lowered(file: GateMetrics, of: str) -> Table:
    rows = [
        [
            label.capitalize(),
            *map(str, (each.n, each.n_called_wrong, each.n_without_verdict, each.n_called_right)),
            *map(str, (each.n_unscored, each.below.n_hits)),
            with_interval(each.below.estimate, each.below.ci95),
        ]
        for label, each in reversed(file.solutions.lowered.items())
    ]
    return Table(
        f"Visual steps that the judge called right and the gate takes below {file.threshold}, "
        f"{BENCHMARK}{of}",
        [
            *("Label", "Visual steps", "Called wrong", "No verdict", "Called right"),
            *("No gated score", "Below", "Share (%)"),
        ],
        rows,
        labels=1,
        notes=[
            "Share: of the steps called right that have a gated score; of wrong steps it is what "
            "the gate catches, of right ones what that costs. Intervals of 95 %: Wilson's for "
            "observations clustered by solution."
        ],
    )


def _verdicts(file: GateMetrics, of: str) -> Table:
    found: SolutionGate = file.solutions
    change = gain_with_interval(found.gain.estimate, found.gain.ci95)
    rows = [
        [
            name.capitalize(),
            str(found.n_steps),
            str(found.n_without_verdict[name]),
            percent(value),
            *([change, probability(found.p_value)] if name == "gated" else [MISSING] * 2),
        ]
        for name, value in found.macro_f1.items()
    ]
    return Table(
        f"Macro-F1 (%) without and with the gate, {BENCHMARK}{of}",
        ["Verdicts", "Steps", "No verdict", "Macro-F1", "Difference", "p"],
        rows,
        labels=1,
        notes=[
            f"Gated: a step counts as right from a score of {file.threshold}. All steps pooled; "
            "one without verdict counts against both classes, and has none behind a failed gate. "
            "Difference in percentage points: interval of 95 % by a paired bootstrap over "
            f"solutions, {file.bootstrap_samples} resamples, seed {file.seed}; p: paired "
            "randomisation test."
        ],
    )


def _changes(found: Decisions) -> tuple[int, int, int, int]:
    return found.n_changed, found.n_better, found.n_worse, found.n_same


def _share(share: Share) -> tuple[str, str]:
    return str(share.n), with_interval(share.estimate, share.ci95)


def _failure_notes(found: Mapping[str, Distribution]) -> Iterator[str]:
    for name, each in found.items():
        if each.failures:
            yield f"No p of {name}, by reason: {_reasons(each.failures)}."


def _question_notes(policies: Mapping[str, PolicyGate]) -> Iterator[str]:
    for policy, gate in policies.items():
        pooled = gate.datasources[OVERALL]
        gated, raw = (pooled.n_unscored_candidates[kind] for kind in ("gated", "raw"))
        note = (
            f"{policy}: {pooled.n_scored} of {pooled.n} questions with {gate.num_candidates} "
            f"candidates each; {gated} candidates without gated scores, {raw} without raw ones, "
            "rank below all others."
        )
        reasons = f" Failures by reason: {_reasons(pooled.failures)}." if pooled.failures else ""
        yield note + reasons


def _reasons(failures: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in failures.items())
