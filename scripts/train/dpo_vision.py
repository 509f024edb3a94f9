"""Train the vision adapter by direct preference optimisation; see --help."""

from evpv_prm.cli import run_and_exit
from evpv_prm.training.main import dpo_vision

if __name__ == "__main__":
    run_and_exit(dpo_vision)
