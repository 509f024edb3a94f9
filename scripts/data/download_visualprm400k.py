"""Fetch VisualPRM400K from ModelScope and unpack it; see --help."""

import sys

from evpv_prm.cli import run
from evpv_prm.data.download import main_dataset

if __name__ == "__main__":
    sys.exit(run(main_dataset))
