"""Extract pairs of a right and a wrong solution from VisualPRM400K; see --help."""

from evpv_prm.cli import run_and_exit
from evpv_prm.data.pairs import main

if __name__ == "__main__":
    run_and_exit(main)
