"""What the commands about a run share: its configuration, and where its rates are."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from evpv_prm.config import Config, load_config


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
