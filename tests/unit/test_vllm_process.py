"""What vLLM's processes need, and how a failed start is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from evpv_prm.engine.vllm_process import check_compiler, one_line
from evpv_prm.errors import UserError


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a C compiler and Python's headers, in a folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "gcc").touch(0o755)
    (tmp_path / "Python.h").touch()
    return tmp_path


def test_a_node_with_compiler_and_headers_will_do(node: Path) -> None:
    check_compiler({}, node)
    (node / "gcc").rename(node / "clang")
    check_compiler({}, node)
    (node / "clang").rename(node / "cc-14")
    check_compiler({"CC": str(node / "cc-14")}, node)


def test_a_missing_compiler_is_named_with_its_package(node: Path) -> None:
    (node / "gcc").unlink()
    with pytest.raises(UserError, match=r"C compiler .*apt-get install gcc"):
        check_compiler({}, node)


def test_missing_headers_are_named_with_their_package(node: Path) -> None:
    (node / "Python.h").unlink()
    with pytest.raises(UserError, match=r"Python\.h is not there .*python3\.11-dev"):
        check_compiler({}, node)


def test_an_error_is_told_with_what_it_came_from() -> None:
    error = RuntimeError("\nthe engine did not start\nsee above")
    error.__cause__ = OSError("No space left\n  on device")
    assert one_line(error) == "the engine did not start (No space left)"


def test_what_a_setting_should_be_is_told() -> None:
    class Settings(BaseModel):
        cache_gib: int

    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({"cache_gib": 0.5})
    assert one_line(raised.value).startswith("cache_gib: Input should be a valid integer")
    assert "\n" not in one_line(raised.value)
