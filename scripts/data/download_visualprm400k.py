"""Fetch VisualPRM400K from ModelScope and unpack it; see --help."""

from evpv_prm.cli import run_and_exit
from evpv_prm.data.download import main_dataset

if __name__ == "__main__":
    run_and_exit(main_dataset)
