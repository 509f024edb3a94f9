"""JSON Lines: errors by file and line; whole files or none."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import (
    atomic_write,
    parse_row,
    read_records,
    read_rows,
    write_json,
    write_rows,
    write_text,
)
from evpv_prm.records import Question

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(
    st.dictionaries(st.text(), st.integers(-5, 5) | st.text() | st.none(), max_size=4), max_size=4
)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(read_rows(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Reading


@given(rows)
def test_rows_come_back_with_the_numbers_of_their_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "r.jsonl"
    write_rows(path, rows)
    assert list(read_rows(path)) == list(enumerate(rows, start=1))


def test_blank_lines_count_and_the_last_line_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'\n{"a": 1}\r\n  \n{"a": "\xc3\xa9\xe2\x80\xa8"}')
    assert list(read_rows(path)) == [(2, {"a": 1}), (4, {"a": "é\u2028"})]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"{", "not valid JSON"),
        (b'{"a": 1} {"b": 2}', "not valid JSON"),
        (b'{"a": NaN}', "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b"[1]", "expected a JSON object, found list"),
        (b"null", "expected a JSON object, found NoneType"),
        (b'"text"', "expected a JSON object, found str"),
    ],
)
def test_a_bad_line_is_named(line: bytes, part: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a": 1}\n\n' + line + b"\n")
    message = refusal(path)
    assert message.startswith(f"{path}:3: ")
    assert part in message


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes) -> None:
    row, message = None, "r.jsonl:7: "
    try:
        row = parse_row("r.jsonl", 7, content)
    except InputError as error:
        message = str(error)
    assert isinstance(row, dict) or row is None
    assert message.startswith("r.jsonl:7: ")
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.jsonl") == (
        f"{tmp_path / 'no.jsonl'}: cannot be read: No such file or directory"
    )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_records_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    assert list(read_rows(path)) == []
    with pytest.raises(InputError, match="at least one record, found an empty file"):
        read_records(path, Question)


# Writing


@given(values)
def test_json_is_written_whole(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("json") / "m.json"
    write_json(path, {"value": value})
    assert parse_row(path, 1, path.read_bytes()) == {"value": value}
    assert path.read_bytes().endswith(b"\n")


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "a/b/t.txt", "é")
    assert (tmp_path / "a/b/t.txt").read_bytes() == "é".encode()
    assert files(tmp_path / "a/b") == ["t.txt"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("old")

    def rows_that_end() -> Iterator[dict[str, int]]:
        yield {"a": 1}
        raise ValueError("no more rows")

    with pytest.raises(ValueError, match="no more rows"):
        write_rows(path, rows_that_end())
    assert path.read_text() == "old"
    assert files(tmp_path) == ["r.jsonl"]


def test_an_interrupt_leaves_what_was_there(tmp_path: Path) -> None:
    def interrupt() -> Iterator[dict[str, int]]:
        yield {"a": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path / "new", interrupt())
    assert files(tmp_path) == []


def test_a_kill_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("old")
    program = (
        "import os, signal, sys\n"
        "from evpv_prm.jsonl import atomic_write\n"
        "with atomic_write(sys.argv[1]) as stream:\n"
        "    stream.write(b'new' * 100_000); stream.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    write_text(path, "newer")
    assert path.read_text() == "newer"


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("old")
    with path.open() as reader, atomic_write(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_text() == "old"
        assert reader.read() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_permissions_follow_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "t", "x")
        assert os.umask(umask) == umask  # it is as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o666 & ~umask


def unwritable(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        write_text(path, "x")
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be written: ")
    assert "\n" not in message
    return message


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    unwritable(tmp_path / "file/report.json")
    unwritable(tmp_path / "file/deeper/report.json")
    assert (tmp_path / "file").read_text() == "kept"
    assert files(tmp_path) == ["file"]


def test_a_folder_in_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    assert "Is a directory" in unwritable(tmp_path / "report")
    assert files(tmp_path) == ["report"]


def test_a_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    assert "too long" in unwritable(tmp_path / ("n" * 300))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "Permission denied" in unwritable(tmp_path / "report")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("moment", ["write", "fsync"])
def test_a_full_disk_is_one_line(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report").write_text("old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_: object) -> None:
        raise full

    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", refuse)
        message = unwritable(tmp_path / "report")
    else:
        with pytest.raises(UserError) as caught, atomic_write(tmp_path / "report"):
            refuse()
        message = str(caught.value)
    assert message == f"{tmp_path / 'report'}: cannot be written: No space left on device"
    assert (tmp_path / "report").read_text() == "old"
    assert files(tmp_path) == ["report"]
