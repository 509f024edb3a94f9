"""What the ablation suite asks for, and its metrics file (`M.json`): their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_document
from evpv_prm.metrics.metrics_file import Interval, Strict


class Asked(Strict):
    """Requests: all, different ones, and those that no configuration before has."""

    requests: int = 0
    distinct: int = 0
    new: int = 0


class RequestsReport(Strict):
    """What one shard asked for: together, and by configuration in the suite's order.

    `engine` has what the run paid: the store may have held replies that other jobs asked for.
    """

    asked: Asked
    configurations: dict[str, Asked]
    engine: dict[str, int]


class Comparison(Strict):
    """Macro-F1 less that of the configuration `reference`, on the same solutions.

    `p_value` is that of the paired randomisation test; `p_corrected` is Holm's, over all
    comparisons of the suite, and None for a control, which is not one of them.
    """

    reference: str
    estimate: float
    ci95: Interval
    p_value: float
    p_corrected: float | None


class ConfigurationSummary(Strict):
    """The metrics of one configuration.

    `n_samples` counts solutions and `n_steps` the steps labelled right or wrong, each once a
    repetition; `n_failed` of these steps have no verdict, and count against both classes.
    `n_imputed` of all steps have a verdict in the place of a reply without one. `failures` counts
    requests as "STAGE:KIND".
    """

    name: str
    group: str
    differs_in: str
    n_samples: int
    n_steps: int
    n_failed: int
    n_imputed: int
    failures: dict[str, int]
    macro_f1: float
    ci95: Interval
    comparison: Comparison | None
    asked: Asked | None


class AblationMetrics(Strict):
    """One metrics file: the configurations in the suite's order, and what all of them asked for.

    `repetitions` have captions of their own; `n_compared` p-values are corrected together.
    """

    bootstrap_samples: int
    seed: int
    repetitions: int
    n_compared: int
    configurations: list[ConfigurationSummary] = Field(min_length=1)
    asked: Asked | None


def read_ablation_metrics(files: Mapping[str, Path]) -> dict[str, AblationMetrics]:
    """Read the metrics files of several verifiers, by name and in the order given.

    Raises:
        InputError: a file cannot be read or is not a metrics file.
        UserError: the files are not of the same configurations.
    """
    metrics = {name: read_document(path, AblationMetrics) for name, path in files.items()}
    (first, expected), *others = (
        (name, [entry.name for entry in file.configurations]) for name, file in metrics.items()
    )
    for name, found in others:
        if found != expected:
            raise UserError(f"--metrics: {first} and {name} are not of the same configurations")
    return metrics
