"""The metrics file of Best-of-N (`M.json`): its schema, and reading it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_document
from evpv_prm.metrics.metrics_file import Interval, Strict

MACRO_AVERAGE = "macro_average"
"""The name, beside the datasources, of their unweighted mean."""

Scores = Literal["gated", "raw"]
"""Step scores behind the reliability gate, or as the judge gave them."""

Rates = dict[str, float | None]
"""A fraction in [0, 1] for each k, "1" … "N"; None where no question could be counted."""

RateIntervals = dict[str, Interval | None]


class Estimate(Strict):
    """A paired difference of two rates and its 95 % interval."""

    estimate: float | None
    ci95: Interval | None


Gains = dict[str, Estimate]
"""A gain for each aggregation."""


class Intervals(Strict):
    """95 % intervals of the rates with the same path in `Summary`."""

    pass_at_k: RateIntervals
    majority_vote: RateIntervals
    bon_at_k: dict[Scores, dict[str, RateIntervals]]


class Summary(Strict):
    """The metrics of one datasource, of all pooled, or of the mean of the datasources.

    `n` counts all questions, `n_scored` those in the rates: all but the ones that were never put to
    the policy. `failures` counts questions, candidates and verifier requests as "STAGE:KIND".
    Gains are taken at k = N: over a random choice (which is Pass@1), over the majority vote, and
    of the gated scores over the raw ones. Rates are by k, "1" … "N"; None where no question could
    be counted.
    """

    n: int
    n_scored: int
    n_candidates: int
    n_unscored_candidates: dict[Scores, int]
    failures: dict[str, int]
    random_choice: float | None
    pass_at_k: Rates
    majority_vote: Rates
    bon_at_k: dict[Scores, dict[str, Rates]]
    bon_gain: dict[Scores, Gains]
    bon_gain_over_majority_vote: dict[Scores, Gains]
    gate_gain: Gains
    intervals: Intervals


class BonMetrics(Strict):
    """One metrics file: `datasources` holds each datasource and `OVERALL`, all questions pooled.

    `macro_average` is the unweighted mean of the datasources, without a value where one of them
    has none. N is `num_candidates`.
    """

    num_candidates: int = Field(ge=0)
    aggregations: list[str] = Field(min_length=1)
    bootstrap_samples: int
    seed: int
    datasources: dict[str, Summary]
    macro_average: Summary


def summaries(metrics: BonMetrics) -> Iterator[tuple[str, Summary]]:
    """Yield each datasource, all pooled and the mean of the datasources, by name and in order."""
    yield from metrics.datasources.items()
    yield MACRO_AVERAGE, metrics.macro_average


def read_bon_metrics(files: Mapping[str, Path]) -> dict[str, BonMetrics]:
    """Read the metrics files of several policies, by name and in the order given.

    Raises:
        InputError: a file cannot be read or is not a metrics file.
        UserError: the files cannot be compared: their numbers of candidates or their aggregations
            differ.
    """
    metrics = {name: read_document(path, BonMetrics) for name, path in files.items()}
    for what in ("num_candidates", "aggregations"):
        (first, expected), *others = ((n, getattr(m, what)) for n, m in metrics.items())
        for name, found in others:
            if found != expected:
                raise UserError(f"--metrics: {what} of {first} is {expected}, of {name} {found}")
    return metrics
