"""Have the teacher describe the training images; see --help."""

from evpv_prm.build_vision_sft_data import main
from evpv_prm.cli import run_and_exit

if __name__ == "__main__":
    run_and_exit(main)
