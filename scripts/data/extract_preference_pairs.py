"""Extract pairs of a right and a wrong solution from VisualPRM400K; see --help."""

import sys

from evpv_prm.cli import run
from evpv_prm.data.pairs import main

if __name__ == "__main__":
    sys.exit(run(main))
