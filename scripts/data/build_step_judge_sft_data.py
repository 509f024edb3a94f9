"""Have the teacher judge the solutions' steps; see --help."""

from evpv_prm.build_step_judge_sft_data import main
from evpv_prm.cli import run_and_exit

if __name__ == "__main__":
    run_and_exit(main)
