"""What all tests share."""

import pytest
from hypothesis import settings

# The same examples in every run, and no failure because a machine is busy.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the real models first, one test after the other; the rest runs beside them."""
    items.sort(key=lambda item: item.get_closest_marker("real") is None)
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.xdist_group("real"))
