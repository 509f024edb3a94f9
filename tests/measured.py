"""Metrics of a made-up run, for what is written from metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evpv_prm.metrics.bon_file import BonMetrics, Summary
from evpv_prm.metrics.step_file import StepMetrics
from evpv_prm.published import BENCHMARK_QUESTIONS, SOURCE_SOLUTIONS

AGGREGATION = "geometric_mean"
PROVENANCE = {
    "written": "2026-01-01",
    "git": {"revision": None, "dirty": None},
    **dict.fromkeys(("config_sha256", "prompts", "python"), "x"),
    "seed": 0,
    "policies": {},
    "verifier": {},
    "packages": {},
    "hardware": {"machine": "x", "system": "x", "cores": 2, "memory_gib": 8.0, "gpus": []},
    "config": {"site": None},
}


def summary(n: int, alone: float = 0.4, best: float = 0.5, k: int = 8, **more: Any) -> Summary:
    """Metrics at k = 1 and N, each number with an interval of two points around it."""
    rates, bands = {"1": alone, str(k): best}, {"1": around(alone), str(k): around(best)}
    gain = {AGGREGATION: {"estimate": best - alone, "ci95": around(best - alone)}}
    return Summary.model_validate(
        {
            "n": n,
            "n_scored": n,
            "n_candidates": n * k,
            "n_unscored_candidates": {"gated": 0, "raw": 0},
            "failures": {},
            "random_choice": alone,
            "pass_at_k": rates,
            "majority_vote": rates,
            "bon_at_k": {kind: {AGGREGATION: rates} for kind in ("gated", "raw")},
            "bon_gain": dict.fromkeys(("gated", "raw"), gain),
            "bon_gain_over_majority_vote": dict.fromkeys(("gated", "raw"), gain),
            "gate_gain": gain,
            "intervals": {
                "pass_at_k": bands,
                "majority_vote": bands,
                "bon_at_k": {kind: {AGGREGATION: bands} for kind in ("gated", "raw")},
            },
        }
        | more
    )


def around(value: float) -> tuple[float, float]:
    return value - 0.01, value + 0.01


def policy(questions: Mapping[str, int] = BENCHMARK_QUESTIONS, k: int = 8) -> BonMetrics:
    return BonMetrics(
        num_candidates=k,
        aggregations=[AGGREGATION],
        bootstrap_samples=10,
        seed=0,
        datasources={name: summary(n, k=k) for name, n in questions.items()},
        macro_average=summary(sum(questions.values()), best=0.49, k=k),
    )


def steps(solutions: Mapping[str, int] = SOURCE_SOLUTIONS, macro_f1: float = 0.68) -> StepMetrics:
    def one(n: int) -> dict[str, Any]:
        counts = {"right": n, "wrong": 0, "failed": 0}
        return {
            **dict.fromkeys(("n_samples", "n_with_steps", "n_steps"), n),
            "n_neutral": 0,
            "n_without_probability": 0,
            "confusion": {"right": counts, "wrong": counts},
            "failures": {},
            **dict.fromkeys(("f1_correct", "f1_incorrect", "macro_f1", "auroc"), macro_f1),
            "ci95": around(macro_f1),
            "first_error_accuracy": None,
        }

    mean = {"macro_f1": macro_f1, "ci95": around(macro_f1)}
    return StepMetrics.model_validate(
        {
            "bootstrap_samples": 10,
            "seed": 0,
            "sources": {name: one(n) for name, n in solutions.items()},
            "policies": {},
            "OVERALL": {"pooled": one(sum(solutions.values())), "source_weighted": mean},
        }
    )
