"""How long a training may take before its scheduler ends it: what a plan says, and a margin."""

from __future__ import annotations

from evpv_prm.config import Config
from evpv_prm.plan.cost import job_seconds
from evpv_prm.plan.sizes import UNKNOWN, Sizes, measure_training
from evpv_prm.plan.tables import Rates, read_sizes
from evpv_prm.plan.work import rate_key, units

MARGIN = 1.5
"""GPUs differ, and no shipped rate was measured on one."""

LEAST_MIN = 60
"""For what a rate leaves out: a slow disk, a first start."""

UNRATED_MIN = 2880
"""Where no rate tells, as for models of another size."""


def training_minutes(config: Config, rule: str, rates: Rates) -> float:
    """Return the minutes to ask for, for the rule of a training.

    They follow from its rows, epochs, validations and GPUs, and from the size of its base model.
    Rows are counted where the training data is there, and are a plan's estimate before.
    """
    sizes = Sizes({}, UNKNOWN, UNKNOWN, measure_training(config, read_sizes()))
    count = units(config, sizes, rule, {})
    key = rate_key(config, rule, {})
    if key is None or key not in rates or count.basis == "unknown":
        return UNRATED_MIN
    return max(LEAST_MIN, MARGIN * job_seconds(rates[key], count) / 60)
