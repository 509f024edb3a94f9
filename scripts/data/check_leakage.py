"""Find benchmark images and questions in the training data; see --help."""

import sys

from evpv_prm.check_leakage import main
from evpv_prm.cli import run

if __name__ == "__main__":
    sys.exit(run(main))
