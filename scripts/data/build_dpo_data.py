"""Set right descriptions against spoilt ones; see --help."""

from evpv_prm.build_dpo_data import main
from evpv_prm.cli import run_and_exit

if __name__ == "__main__":
    run_and_exit(main)
