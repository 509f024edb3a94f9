"""What all tests share."""

import pytest
from hypothesis import settings

# The same examples in every run, and no failure because a machine is busy.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start SLURM's tests and the real models first, one after the other; the rest runs beside.

    The demo runs beside SLURM's tests, and is looked at when these are over; what would disturb it
    comes last.
    """
    last = ["test_learning.py", "test_demo.py", "test_outages.py"]
    items.sort(
        key=lambda item: (
            "slurm" not in item.path.parts,
            not is_real(item),
            last.index(item.path.name) if item.path.name in last else -1,
        )
    )
    for item in items:
        if is_real(item):
            group = "slurm" if "slurm" in item.path.parts else "real"
            item.add_marker(pytest.mark.xdist_group(group))


def is_real(item: pytest.Item) -> bool:
    """Tell whether a test runs real models, or a real SLURM."""
    return item.get_closest_marker("real") is not None
