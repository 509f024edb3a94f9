"""Merge an adapter into the model that it was trained on; see --help."""

from evpv_prm.cli import run_and_exit
from evpv_prm.training.merge import main

if __name__ == "__main__":
    run_and_exit(main)
