"""Archives: put together, unpacked once, and kept inside their folder."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.data.archives import JoinedFiles, find_archives, unpack
from evpv_prm.errors import UserError


def zip_of(*names: str, link: str | None = None, size: int = 100) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, name.encode() * size)
        if link:
            member = zipfile.ZipInfo(link)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(member, "/etc/passwd")
    return buffer.getvalue()


def parts_of(folder: Path, content: bytes, name: str, *suffixes: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(content) // len(suffixes))
    paths = [folder / f"{name}.zip{suffix}" for suffix in suffixes]
    for number, path in enumerate(paths):
        path.write_bytes(content[number * size : (number + 1) * size])
    return paths


def test_archives_and_the_order_of_their_parts() -> None:
    names = ["i.zip_ab", "i.zip_aa", "n.zip.10", "n.zip.9", "whole.zip", "README.md", "a.zip.lock1"]
    assert find_archives([Path(name) for name in names]) == {
        "i": [Path("i.zip_aa"), Path("i.zip_ab")],
        "n": [Path("n.zip.9"), Path("n.zip.10")],
        "whole": [Path("whole.zip")],
    }


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4), st.data())
def test_joined_files_read_like_one(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    paths = [folder / str(number) for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    whole = io.BytesIO(b"".join(parts))
    with io.BufferedReader(JoinedFiles(paths), 8) as joined:
        for _ in range(4):
            offset = data.draw(st.integers(0, 90))
            assert joined.seek(offset) == whole.seek(offset)
            count = data.draw(st.integers(0, 30))
            assert joined.read(count) == whole.read(count)
        assert joined.seek(0, io.SEEK_END) == whole.seek(0, io.SEEK_END)


@pytest.mark.parametrize("prefix", ["images/", ""])
def test_parts_are_unpacked_into_the_folder_of_their_name(tmp_path: Path, prefix: str) -> None:
    content = zip_of(f"{prefix}S/1.png", f"{prefix}T/2.png")
    parts = parts_of(tmp_path, content, "images", "_aa", "_ab", "_ac")
    assert unpack("images", parts, tmp_path) == 2
    for name in ("S/1.png", "T/2.png"):
        assert (tmp_path / "images" / name).read_bytes() == f"{prefix}{name}".encode() * 100


def test_unpacking_again_writes_only_what_is_missing_or_wrong(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, zip_of("a", "b", "c", "d"), "x", "")
    unpack("x", parts, tmp_path)
    kept = (tmp_path / "x/a").stat()
    (tmp_path / "x/b").unlink()
    (tmp_path / "x/c").write_bytes(b"c")
    (tmp_path / "x/d").write_bytes(b"D" * 100)
    unpack("x", parts, tmp_path)
    assert (tmp_path / "x/a").stat() == kept
    assert [(tmp_path / "x" / name).read_bytes() for name in "bcd"] == [
        name.encode() * 100 for name in "bcd"
    ]


@pytest.mark.parametrize("member", ["../evil", "a/../../evil", "/tmp/evil", "x/../../evil"])
def test_members_outside_the_folder_are_refused(tmp_path: Path, member: str) -> None:
    parts = parts_of(tmp_path / "in", zip_of("fine", member), "x", "")
    with pytest.raises(UserError, match="expected files below the folder"):
        unpack("x", parts, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert os.listdir(tmp_path) == ["in"]  # noqa: PTH208


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, zip_of("fine", link="x/link"), "x", "")
    with pytest.raises(UserError, match="'x/link'"):
        unpack("x", parts, tmp_path)
    assert not (tmp_path / "x").exists()


def test_a_missing_part_and_a_damaged_archive_are_errors(tmp_path: Path) -> None:
    content = zip_of("a", size=10_000)
    parts = parts_of(tmp_path, content, "x", "_aa", "_ab")
    with pytest.raises(UserError, match=r"x\.zip_aa: expected a whole zip archive"):
        unpack("x", parts[:1], tmp_path)
    damaged = bytearray(content)
    damaged[40] ^= 255
    with pytest.raises(UserError, match="expected a whole zip archive"):
        unpack("x", parts_of(tmp_path, bytes(damaged), "x", ""), tmp_path)
    assert not (tmp_path / "x/a").exists()
