"""Zip archives, whole or cut into parts, unpacked into a folder and nowhere else."""

from __future__ import annotations

import io
import re
import stat
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo

from evpv_prm.errors import UserError
from evpv_prm.jsonl import atomic_write
from evpv_prm.progress import track

_ARCHIVE = re.compile(r"(?P<name>.+)\.zip(?:[._](?P<part>[a-z]{2,}|\d+))?")
_BLOCK = 1 << 20


def find_archives(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the archives among files, by name and with their parts in order.

    `NAME.zip` is an archive; so are `NAME.zip_aa`, `NAME.zip_ab`, … (or `.001`, `.002`, …) put
    together.
    """
    found: dict[str, list[tuple[int, str, Path]]] = {}
    for path in files:
        if match := _ARCHIVE.fullmatch(path.name):
            part = match["part"] or ""
            found.setdefault(match["name"], []).append((len(part), part, path))
    return {name: [path for *_, path in sorted(parts)] for name, parts in sorted(found.items())}


def unpack(name: str, parts: Sequence[Path], folder: Path) -> int:
    """Unpack the archive `NAME.zip` into `folder/NAME`; return the number of its files.

    A leading folder NAME in the archive is not repeated. A file that is there and has the archive's
    checksum is left alone, so an interrupted unpacking goes on where it was. Files appear whole.

    Raises:
        UserError: the archive is damaged or lacks a part; a member would leave the folder or is a
            link. Nothing is unpacked then from an archive with such a member.
    """
    try:
        with ZipFile(io.BufferedReader(JoinedFiles(parts), _BLOCK)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                _check(parts[0], member)
            inside = all(PurePosixPath(member.filename).parts[0] == name for member in members)
            target = folder if inside else folder / name
            for member in track(members, f"unpacking {name}", "files", len(members)):
                path = target / member.filename
                if not _is_unpacked(path, member):
                    with archive.open(member) as source, atomic_write(path) as stream:
                        while block := source.read(_BLOCK):
                            stream.write(block)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        shown = ", ".join(str(part) for part in parts)
        raise UserError(f"{shown}: expected a whole zip archive: {error}") from error
    return len(members)


class JoinedFiles(io.RawIOBase):
    """Files one after the other, read as if they were one: saves a copy of their size."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._streams: list[IO[bytes]] = [path.open("rb") for path in paths]
        self._ends = list(accumulate(path.stat().st_size for path in paths))
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte, counted from the start, from here or from the end."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        if origin + offset < 0:
            raise OSError("negative position")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # typeshed's Buffer has no len()
        """Read up to the end of one file; return the number of bytes, 0 at the very end."""
        number = bisect_right(self._ends, self._position)
        if number == len(self._ends):
            return 0
        start = self._ends[number - 1] if number else 0
        stream = self._streams[number]
        stream.seek(self._position - start)
        content = stream.read(len(buffer))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        """Close all files."""
        for stream in self._streams:
            stream.close()
        super().close()


def _check(archive: Path, member: ZipInfo) -> None:
    path = PurePosixPath(member.filename)
    leaves = path.is_absolute() or ".." in path.parts or not path.parts
    if leaves or stat.S_ISLNK(member.external_attr >> 16):
        raise UserError(
            f"{archive}: {member.filename!r}: expected files below the folder, and no links; "
            "nothing was unpacked"
        )


def _is_unpacked(path: Path, member: ZipInfo) -> bool:
    if not path.is_file() or path.stat().st_size != member.file_size:
        return False
    checksum = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum == member.CRC
