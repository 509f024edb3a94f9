"""Fetch a model; see --help."""

from evpv_prm.cli import run_and_exit
from evpv_prm.data.download import main_model

if __name__ == "__main__":
    run_and_exit(main_model)
