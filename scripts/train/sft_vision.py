"""Train the vision adapter by supervised fine-tuning; see --help."""

import sys

from evpv_prm.cli import run
from evpv_prm.training.main import sft_vision

if __name__ == "__main__":
    sys.exit(run(sft_vision))
