"""What the unit tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages import draw


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of two small pictures, a.png and b.png."""
    draw(tmp_path / "images/a.png", "white")
    draw(tmp_path / "images/b.png", "black")
    return tmp_path / "images"
