"""Train the step-judge adapter by supervised fine-tuning; see --help."""

from evpv_prm.cli import run_and_exit
from evpv_prm.training.main import sft_step_judge

if __name__ == "__main__":
    run_and_exit(sft_step_judge)
