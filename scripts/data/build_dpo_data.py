"""Set right descriptions against spoilt ones; see --help."""

import sys

from evpv_prm.build_dpo_data import main
from evpv_prm.cli import run

if __name__ == "__main__":
    sys.exit(run(main))
