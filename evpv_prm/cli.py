"""How every command ends: one clear line and a status instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from evpv_prm.errors import UserError


def run(main: Callable[[], int]) -> int:
    """Call a command's `main`; return its status, 2 after a `UserError`, 130 after Ctrl-C."""
    try:
        return main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
