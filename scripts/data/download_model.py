"""Fetch a model from ModelScope; see --help."""

import sys

from evpv_prm.cli import run
from evpv_prm.data.download import main_model

if __name__ == "__main__":
    sys.exit(run(main_model))
