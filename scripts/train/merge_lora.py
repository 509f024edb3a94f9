"""Merge an adapter into the model that it was trained on; see --help."""

import sys

from evpv_prm.cli import run
from evpv_prm.training.merge import main

if __name__ == "__main__":
    sys.exit(run(main))
