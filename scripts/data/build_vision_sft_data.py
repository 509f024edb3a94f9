"""Have the teacher describe the training images; see --help."""

import sys

from evpv_prm.build_vision_sft_data import main
from evpv_prm.cli import run

if __name__ == "__main__":
    sys.exit(run(main))
