"""The metrics file of Best-of-N (`M.json`): its schema, and reading it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import parse_record

OVERALL = "OVERALL"
"""The name, among the datasources, of all questions pooled."""

MACRO_AVERAGE = "macro_average"
"""The name, beside the datasources, of their unweighted mean."""

Scores = Literal["gated", "raw"]
"""Step scores behind the reliability gate, or as the judge gave them."""

Interval = tuple[float, float]
Rates = dict[str, float | None]
"""A fraction in [0, 1] for each k, "1" … "N"; None where no question could be counted."""

RateIntervals = dict[str, Interval | None]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Strict):
    """A paired difference of two rates and its 95 % interval."""

    estimate: float | None
    ci95: Interval | None


Gains = dict[str, Estimate]
"""A gain for each aggregation."""


class Intervals(_Strict):
    """95 % intervals of the rates with the same path in `Summary`."""

    pass_at_k: RateIntervals
    majority_vote: RateIntervals
    bon_at_k: dict[Scores, dict[str, RateIntervals]]


class Summary(_Strict):
    """The metrics of one datasource, of all pooled, or of the mean of the datasources.

    `n` counts all questions, `n_scored` those in the rates: all but the ones that were never put to
    the policy. `failures` counts questions, candidates and verifier requests as "STAGE:KIND".
    Gains are taken at k = N: over a random choice (which is Pass@1), over the majority vote, and
    of the gated scores over the raw ones.
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


class BonMetrics(_Strict):
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


def read_metrics(path: Path | str) -> BonMetrics:
    """Read a metrics file.

    Raises:
        InputError: it cannot be read or is not a metrics file.
    """
    try:
        value = orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(path, expected=f"cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(path, expected=f"not valid JSON ({error.msg})") from error
    if not isinstance(value, dict):
        raise InputError(path, expected=f"expected a JSON object, found {type(value).__name__}")
    return parse_record(path, None, value, BonMetrics)


def read_named_metrics(arguments: Sequence[str]) -> dict[str, BonMetrics]:
    """Read the metrics files of several policies, in the order given.

    Args:
        arguments: NAME=PATH for each policy.

    Raises:
        UserError: an argument is not of this form, a name appears twice, or the files cannot be
            compared: their numbers of candidates or their aggregations differ.
        InputError: as `read_metrics`.
    """
    metrics: dict[str, BonMetrics] = {}
    for argument in arguments:
        name, _, path = argument.partition("=")
        if not name or not path:
            raise UserError(f"--metrics: expected NAME=PATH, found {argument!r}")
        if name in metrics:
            raise UserError(f"--metrics: {name!r} is given twice")
        metrics[name] = read_metrics(path)
    for what in ("num_candidates", "aggregations"):
        (first, expected), *others = ((n, getattr(m, what)) for n, m in metrics.items())
        for name, found in others:
            if found != expected:
                raise UserError(f"--metrics: {what} of {first} is {expected}, of {name} {found}")
    return metrics
