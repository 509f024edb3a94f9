"""The method's claims, and what the metrics of a run say of each.

A claim about a difference holds where the 95 % interval of the paired difference lies on the
claimed side of 0; it is contradicted where the interval lies on the other side, and else not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from evpv_prm.data.conditions import SETTINGS, Condition
from evpv_prm.data.constraint_corruption import MODES
from evpv_prm.metrics.bon_file import BonMetrics
from evpv_prm.metrics.claims_file import (
    Claim,
    ClaimedDifference,
    ClaimsReport,
    ClaimVerdict,
    Misreadings,
    Topic,
    UntestedClaim,
)
from evpv_prm.metrics.corruption_file import CorruptionMetrics, Trend, ViewSummary
from evpv_prm.metrics.corruption_tables import MODE_LABELS, VIEW_LABELS
from evpv_prm.metrics.intervention_file import (
    BASELINE,
    InterventionMetrics,
    InterventionSummary,
    MeasureName,
)
from evpv_prm.metrics.intervention_tables import MEASURE_LABELS
from evpv_prm.metrics.metrics_file import OVERALL, Interval
from evpv_prm.metrics.stage_file import (
    STAGE_LABELS,
    PairedGain,
    StageMetrics,
    StageName,
    StageSummary,
)
from evpv_prm.metrics.stage_tables import MEASURE_LABELS as STAGE_MEASURE_LABELS
from evpv_prm.metrics.stage_tables import StageMeasureName, measures

SIGNIFICANCE = 0.05
"""A trend with a lower p-value is one."""

GATE = "The gate chooses better among candidates"
GATE_ON_ERRORS = "The gate chooses better where visual errors are common"
CORRUPTION = "The more of a caption is corrupted, the worse are the judgements"
_STAGE_GAIN: Mapping[StageMeasureName, str] = {
    "facts": "The training makes descriptions truer",
    "macro_f1": "The training makes judgements truer",
}
_INTERVENTION: Mapping[tuple[Condition, MeasureName], str] = {
    ("cond2", "accuracy"): "A right description helps to answer",
    ("cond3", "accuracy"): "A wrong description in the picture's place hurts answers",
    ("cond2", "step_score"): "A right description helps to reason",
    ("cond3", "step_score"): "A wrong description in the picture's place hurts the reasoning",
}
_TRAINED: Mapping[StageName, StageMeasureName] = {
    "vision_sft": "facts",
    "vision_dpo": "facts",
    "step_judge_sft": "macro_f1",
}
"""What each training is for; what else it changes stands among the stages' own numbers."""


@dataclass(frozen=True)
class Evidence:
    """The metrics of a run; what was not run is empty or None.

    `visual_errors` has, by policy, the metrics of the questions where visual errors are common; it
    is None, and `misreadings` is empty, where nobody knows which these are.
    """

    best_of_n: Mapping[str, BonMetrics]
    visual_errors: Mapping[str, BonMetrics | None] | None = None
    misreadings: Mapping[str, Misreadings] = field(default_factory=dict)
    corruption: CorruptionMetrics | None = None
    interventions: Mapping[str, InterventionMetrics] = field(default_factory=dict)
    stages: StageMetrics | None = None


def examine_claims(evidence: Evidence, aggregation: str) -> ClaimsReport:
    """Return all claims with their verdicts; `aggregation` is that of the scores that choose."""
    claims = [*_best_of_n(evidence, aggregation), *_gate(evidence, aggregation)]
    if evidence.corruption:
        claims += _corruption(evidence.corruption)
    for policy, metrics in evidence.interventions.items():
        claims += _intervention(policy, metrics.datasources[OVERALL])
    if evidence.stages:
        claims += _stages(evidence.stages)
    # What is claimed of several subjects stands together.
    order = list(dict.fromkeys(claim.statement for claim in claims))
    claims.sort(key=lambda claim: order.index(claim.statement))
    return ClaimsReport(
        aggregation=aggregation,
        claims=claims,
        not_run=list(_not_run(evidence)),
        misreadings=dict(evidence.misreadings),
    )


def verdict_on(interval: Interval | None, claimed: Literal["higher", "lower"]) -> ClaimVerdict:
    """Tell what the interval of a difference says of a claim about its direction."""
    if interval is None:
        return "not shown"
    low, high = interval
    if low > 0:
        return "holds" if claimed == "higher" else "contradicted"
    if high < 0:
        return "holds" if claimed == "lower" else "contradicted"
    return "not shown"


def verdict_on_trend(trend: Trend, steps: list[ClaimedDifference]) -> ClaimVerdict:
    """Tell whether scores fall: the trend is significant, and no step rises significantly."""
    falls, rises = False, any(step.verdict == "contradicted" for step in steps)
    if trend.spearman is not None and trend.p_value is not None:
        is_significant = trend.p_value < SIGNIFICANCE
        falls = is_significant and trend.spearman < 0
        rises = rises or (is_significant and trend.spearman > 0)
    if rises:
        return "contradicted"
    return "holds" if falls else "not shown"


def _one(topic: Topic, statement: str, subject: str, found: ClaimedDifference) -> Claim:
    return Claim(
        topic=topic,
        statement=statement,
        subject=subject,
        differences=[found],
        trend=None,
        verdict=found.verdict,
    )


def _best_of_n(evidence: Evidence, aggregation: str) -> Iterator[Claim]:
    for policy, metrics in evidence.best_of_n.items():
        k = metrics.num_candidates
        part = metrics.datasources[OVERALL]
        ways = (
            ("a random choice", part.random_choice, part.bon_gain),
            (
                "the majority vote",
                part.majority_vote[str(k)],
                part.bon_gain_over_majority_vote,
            ),
        )
        for against, reference, gains in ways:
            gain = gains["gated"][aggregation]
            found = ClaimedDifference(
                compared=f"BoN@{k}",
                against=against,
                n=part.n_scored,
                of=part.n,
                unit="questions",
                value=part.bon_at_k["gated"][aggregation][str(k)],
                reference=reference,
                estimate=gain.estimate,
                ci95=gain.ci95,
                claimed="higher",
                verdict=verdict_on(gain.ci95, "higher"),
            )
            yield _one("best_of_n", f"Best-of-{k} beats {against}", policy, found)


def _gate(evidence: Evidence, aggregation: str) -> Iterator[Claim]:
    for policy, metrics in evidence.best_of_n.items():
        yield _one("gate", GATE, policy, _gate_gain(metrics, aggregation))
    for policy, selected in (evidence.visual_errors or {}).items():
        if selected:
            found = _gate_gain(selected, aggregation, evidence.best_of_n[policy])
            yield _one("gate", GATE_ON_ERRORS, policy, found)


def _gate_gain(
    metrics: BonMetrics, aggregation: str, of: BonMetrics | None = None
) -> ClaimedDifference:
    """Compare gated with ungated scores; `of` has all questions where `metrics` has some."""
    part, k = metrics.datasources[OVERALL], str(metrics.num_candidates)
    gain = part.gate_gain[aggregation]
    return ClaimedDifference(
        compared=f"BoN@{k}, gated",
        against=f"BoN@{k}, ungated",
        n=part.n_scored,
        of=(of or metrics).datasources[OVERALL].n,
        unit="questions",
        value=part.bon_at_k["gated"][aggregation][k],
        reference=part.bon_at_k["raw"][aggregation][k],
        estimate=gain.estimate,
        ci95=gain.ci95,
        claimed="higher",
        verdict=verdict_on(gain.ci95, "higher"),
    )


def _corruption(metrics: CorruptionMetrics) -> Iterator[Claim]:
    for view, summary in metrics.views.items():
        for mode in MODES:
            steps = list(_corruption_steps(metrics, summary, mode))
            trend = summary.trend[mode]
            yield Claim(
                topic="corruption",
                statement=CORRUPTION,
                subject=f"{VIEW_LABELS[view]}, {MODE_LABELS[mode]}",
                differences=steps,
                trend=trend,
                verdict=verdict_on_trend(trend, steps),
            )


def _corruption_steps(
    metrics: CorruptionMetrics, summary: ViewSummary, mode: Literal["drop", "flip"]
) -> Iterator[ClaimedDifference]:
    for before, after in pairwise(summary.curve(mode)):
        change = after.to_previous
        assert change is not None
        yield ClaimedDifference(
            compared=f"{100 * after.ratio:g} %",
            against=f"{100 * before.ratio:g} %",
            n=metrics.n_steps,
            of=metrics.n_steps + metrics.n_neutral,
            unit="steps",
            value=after.macro_f1,
            reference=before.macro_f1,
            estimate=change.estimate,
            ci95=change.ci95,
            claimed="lower",
            verdict=verdict_on(change.ci95, "lower"),
        )


def _intervention(policy: str, part: InterventionSummary) -> Iterator[Claim]:
    for (condition, measure), statement in _INTERVENTION.items():
        summary = part.conditions[condition]
        difference = summary.differences[measure]
        claimed: Literal["higher", "lower"] = "higher" if condition == "cond2" else "lower"
        found = ClaimedDifference(
            compared=f"{SETTINGS[condition].label} ({MEASURE_LABELS[measure].lower()})",
            against=SETTINGS[BASELINE].label,
            n=difference.n,
            of=part.n,
            unit="questions",
            value=summary.measures[measure].estimate,
            reference=part.conditions[BASELINE].measures[measure].estimate,
            estimate=difference.estimate,
            ci95=difference.ci95,
            claimed=claimed,
            verdict=verdict_on(difference.ci95, claimed),
        )
        yield _one("intervention", statement, policy, found)


def _stages(metrics: StageMetrics) -> Iterator[Claim]:
    for before, after in pairwise(metrics.stages):
        name = _TRAINED[after.stage]
        if value := measures(after).get(name):
            subject = STAGE_LABELS[after.stage]
            yield _stage_gain(metrics, subject, name, before, after, value.to_previous)
    base, last = metrics.stages[0], metrics.stages[-1]
    if len(metrics.stages) > 2:
        for name, value in measures(last).items():
            yield _stage_gain(metrics, "All trainings", name, base, last, value.to_base)


def _stage_gain(
    metrics: StageMetrics,
    subject: str,
    name: StageMeasureName,
    before: StageSummary,
    after: StageSummary,
    gain: PairedGain | None,
) -> Claim:
    assert gain is not None
    n = metrics.n_facts if name == "facts" else metrics.n_steps
    found = ClaimedDifference(
        compared=f"{STAGE_LABELS[after.stage]} ({STAGE_MEASURE_LABELS[name].lower()})",
        against=STAGE_LABELS[before.stage],
        n=n,
        of=n if name == "facts" else n + metrics.n_neutral,
        unit="facts" if name == "facts" else "steps",
        value=measures(after)[name].estimate,
        reference=measures(before)[name].estimate,
        estimate=gain.estimate,
        ci95=gain.ci95,
        claimed="higher",
        verdict=verdict_on(gain.ci95, "higher"),
    )
    return _one("stages", _STAGE_GAIN[name], subject, found)


def _not_run(evidence: Evidence) -> Iterator[UntestedClaim]:
    def untested(statement: str, reason: str) -> UntestedClaim:
        return UntestedClaim(statement=statement, reason=reason)

    if evidence.visual_errors is None:
        yield untested(GATE_ON_ERRORS, "nobody knows which facts are wrong (stages.facts is null)")
    for policy, selected in (evidence.visual_errors or {}).items():
        if not selected:
            yield untested(GATE_ON_ERRORS, f"{policy} has no such questions")
    if evidence.corruption is None:
        yield untested(CORRUPTION, "step_level is null")
    if not evidence.interventions:
        for statement in _INTERVENTION.values():
            yield untested(statement, "intervention is null")
    if evidence.stages is None:
        for statement in _STAGE_GAIN.values():
            yield untested(statement, "stages is null")
    elif evidence.stages.stages[0].facts is None:
        yield untested(_STAGE_GAIN["facts"], "no facts are known (stages.facts is null)")
