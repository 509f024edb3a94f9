"""Run a module of ms-swift as the program of this process, and end with it at once.

python -m evpv_prm.training.swift_module swift.cli.sft [flags of ms-swift]
"""

from __future__ import annotations

import runpy
import sys

from evpv_prm.interpreter import leave

if __name__ == "__main__":
    del sys.argv[0]
    # What the module raises ends the process as it would end the module's own.
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    leave(0)
