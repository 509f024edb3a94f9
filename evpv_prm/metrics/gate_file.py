"""The file of the gate analysis (`gate.json`): its schema, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from evpv_prm.jsonl import read_document
from evpv_prm.metrics.bon_file import Estimate
from evpv_prm.metrics.metrics_file import Interval, Strict

StepSelection = Literal["all", "called_right"]
"""All visual steps, or those that the judge called right: the ones that the gate weighs."""

Verdicts = Literal["ungated", "gated"]


class Distribution(Strict):
    """How the reliability p is distributed over candidates or solutions.

    Of `n`, `n_without_facts` rest on no visual fact (their p is 1) and `n_failed` have no p, by
    reason in `failures`. `counts` has the others by p, to the nearest tenth: "0.0", "0.1" … "1.0".
    """

    n: int
    n_without_facts: int
    n_failed: int
    failures: dict[str, int]
    counts: dict[str, int]

    @property
    def n_audited(self) -> int:
        """Those with visual facts and a p."""
        return sum(self.counts.values())


class Share(Strict):
    """`n_hits` of `n`, as a fraction with its 95 % interval; None where n is 0."""

    n: int
    n_hits: int
    estimate: float | None
    ci95: Interval | None


class Calibration(Strict):
    """How often steps are right, by the p of their solution.

    `right` has the share of right steps by p, as in `Distribution.counts`. `calibration_error` is
    the expected one: the mean distance between p and that share, weighted by steps; it has no
    interval, because that of a bootstrap would be biased upwards. `auroc` is the chance that a
    right step has a higher p than a wrong one, ties half. Both are None where there
    is nothing to measure. `n_samples` solutions have such a step.
    """

    n_samples: int
    n_steps: int
    right: dict[str, Share]
    calibration_error: float | None
    auroc: Estimate


class Lowered(Strict):
    """Visual steps of one label, and what became of them.

    The judge called `n_called_wrong` wrong and failed on `n_without_verdict`. Of those that it
    called right, `n_unscored` have no gated score, because the gate failed; `below` has how many of
    the others the gate took below the threshold.
    """

    n_called_wrong: int
    n_without_verdict: int
    n_unscored: int
    below: Share

    @property
    def n_called_right(self) -> int:
        """Steps that the judge called right."""
        return self.n_unscored + self.below.n

    @property
    def n(self) -> int:
        """All steps."""
        return self.n_called_right + self.n_called_wrong + self.n_without_verdict


class SolutionGate(Strict):
    """The gate on labelled solutions.

    `n_steps` are labelled right or wrong, `n_neutral` others are left out. Of the former,
    `n_visual` rest on a visual fact, `n_visual_without_reliability` of these have no p;
    `n_unknown` belong to solutions whose visual facts are not known. `gain` is the macro-F1 of the
    gated verdicts less that of the ungated ones, over all `n_steps`; its p-value is that of a
    paired randomisation test.
    """

    distribution: Distribution
    n_steps: int
    n_neutral: int
    n_visual: int
    n_visual_without_reliability: int
    n_unknown: int
    calibration: dict[StepSelection, Calibration]
    lowered: dict[Literal["right", "wrong"], Lowered]
    macro_f1: dict[Verdicts, float]
    n_without_verdict: dict[Verdicts, int]
    gain: Estimate
    p_value: float


class Decisions(Strict):
    """What the gate changes in the choice of one among all candidates, over questions.

    A choice is the set of the best scored candidates, of which each is as likely. `n_better` and
    `n_worse` of the `n_changed` choices have a higher or a lower expected accuracy. `gain` is the
    mean change over all scored questions; `p_value` that of a two-sided sign test, None without a
    question that is better or worse.
    """

    n_changed: int
    n_better: int
    n_worse: int
    gain: Estimate
    p_value: float | None

    @property
    def n_same(self) -> int:
        """Changed choices of the same expected accuracy."""
        return self.n_changed - self.n_better - self.n_worse


class Reranking(Strict):
    """The decisions on the questions of one datasource, by aggregation.

    `n`, `n_scored`, `failures` and the unscored candidates are those of Best-of-N's `Summary`.
    """

    n: int
    n_scored: int
    n_unscored_candidates: dict[Literal["gated", "raw"], int]
    failures: dict[str, int]
    decisions: dict[str, Decisions]


class PolicyGate(Strict):
    """The gate on the candidates of one policy; `datasources` as in `BonMetrics`."""

    num_candidates: int
    distribution: Distribution
    datasources: dict[str, Reranking]


class GateMetrics(Strict):
    """One file of the gate analysis: Best-of-N by policy, and labelled solutions.

    Judged steps count as right from a score of `threshold`.
    """

    threshold: float
    aggregations: list[str]
    bootstrap_samples: int
    seed: int
    policies: dict[str, PolicyGate]
    solutions: SolutionGate


def read_gate_metrics(files: Mapping[str, Path]) -> dict[str, GateMetrics]:
    """Read files of the gate analysis, by name and in the order given.

    Raises:
        InputError: a file cannot be read or is not of this kind.
    """
    return {name: read_document(path, GateMetrics) for name, path in files.items()}
