"""Add the teacher's descriptions to the labelled solutions; see --help."""

import sys

from evpv_prm.cli import run
from evpv_prm.merge_vision_descriptions import main

if __name__ == "__main__":
    sys.exit(run(main))
