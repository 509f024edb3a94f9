"""What the commands about a run share: its configuration, and where its rates are."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from evpv_prm.config import Config, load_config
from evpv_prm.plan.tables import SHIPPED_RATES, Rates, read_rates


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add the flag that takes the run's configuration."""
    parser.add_argument(
        "--config-json", type=json.loads, required=True, metavar="JSON", help="the configuration"
    )


def read_config(arguments: argparse.Namespace) -> Config:
    """Return the configuration that the flag holds.

    Raises:
        UserError: it is not valid.
    """
    return load_config(arguments.config_json)


def run_rates(config: Config) -> Path:
    """Return the file of the rates that were measured in a run's own results."""
    return Path(config.results) / "rates.csv"


def known_rates(config: Config) -> Rates:
    """Return the rates of a run: those measured in its own results, the shipped ones for others.

    Raises:
        InputError: a table is not as `Rate` says.
    """
    own = run_rates(config)
    shipped = read_rates(SHIPPED_RATES)
    return {**shipped, **read_rates(own)} if own.is_file() else shipped
