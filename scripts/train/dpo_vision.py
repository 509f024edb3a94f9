"""Train the vision adapter by direct preference optimisation; see --help."""

import sys

from evpv_prm.cli import run
from evpv_prm.training.main import dpo_vision

if __name__ == "__main__":
    sys.exit(run(dpo_vision))
