"""Add the teacher's descriptions to the labelled solutions; see --help."""

from evpv_prm.cli import run_and_exit
from evpv_prm.merge_vision_descriptions import main

if __name__ == "__main__":
    run_and_exit(main)
