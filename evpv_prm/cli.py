"""What all commands share: how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from evpv_prm.errors import UserError


def run(main: Callable[[], int]) -> int:
    """Run a command; print a user's error as one line and return the exit status."""
    try:
        return main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
