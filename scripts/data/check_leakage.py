"""Find benchmark images and questions in the training data; see --help."""

from evpv_prm.check_leakage import main
from evpv_prm.cli import run_and_exit

if __name__ == "__main__":
    run_and_exit(main)
