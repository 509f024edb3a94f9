"""Have the teacher judge the solutions' steps; see --help."""

import sys

from evpv_prm.build_step_judge_sft_data import main
from evpv_prm.cli import run

if __name__ == "__main__":
    sys.exit(run(main))
