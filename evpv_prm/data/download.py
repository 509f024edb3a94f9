"""Models and data sets from ModelScope.

The modelscope client checks the size and the SHA-256 of every file against the repository's list,
goes on with a file that was cut off, and repeats what fails. Its variables apply, among them
MODELSCOPE_ENDPOINT (another address) and MODELSCOPE_API_TOKEN.

`download.json` in the folder is written last: with it, the download is complete, and the next call
asks for nothing. Delete it to look for what a branch has since got.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import requests
from modelscope_hub.compat import snapshot_download
from modelscope_hub.errors import HubError
from pydantic import BaseModel, ValidationError

from evpv_prm import cli
from evpv_prm.config_data import DatasetDownload, ModelDownload
from evpv_prm.data.archives import find_archives, unpack
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_json
from evpv_prm.options import add_options, read_options
from evpv_prm.section import Section

logger = logging.getLogger(__name__)

MANIFEST = "download.json"


class Source(BaseModel):
    """What is asked for: the files of a repository that match a pattern, or all."""

    kind: Literal["model", "dataset"]
    repository: str
    revision: str
    patterns: list[str] = []

    def __str__(self) -> str:
        return f"{self.kind} {self.repository}, revision {self.revision}"

    def matches(self, path: Path) -> bool:
        """Tell whether a path in the repository is asked for."""
        name = path.as_posix()
        return not self.patterns or any(fnmatch(name, pattern) for pattern in self.patterns)


class Manifest(BaseModel):
    """What a folder holds: `files` by size in bytes; `unpacked`, files of each archive by name."""

    source: Source
    files: dict[str, int]
    unpacked: dict[str, int]


def download_model(options: ModelDownload, folder: Path) -> None:
    """Fetch all files of a model into a folder.

    Raises:
        UserError: no such model or revision; a file that cannot be had.
    """
    source = Source(kind="model", repository=options.repository, revision=options.revision)
    if not _is_complete(folder, source):
        _write_manifest(folder, source, _fetch(source, options.workers, folder), {})


def download_dataset(options: DatasetDownload, folder: Path) -> None:
    """Fetch the chosen files of a data set into a folder and unpack its archives there.

    Archives are removed when all are unpacked, unless they are to be kept.

    Raises:
        UserError: no such data set, revision or file; a file that cannot be had; a damaged archive,
            or one with a member outside the folder.
    """
    source = Source(
        kind="dataset",
        repository=options.repository,
        revision=options.revision,
        patterns=options.files,
    )
    if _is_complete(folder, source):
        return
    files = _fetch(source, options.workers, folder)
    archives = find_archives(files)
    unpacked = {name: unpack(name, parts, folder) for name, parts in archives.items()}
    removed = set() if options.keep_archives else {p for parts in archives.values() for p in parts}
    _write_manifest(folder, source, [path for path in files if path not in removed], unpacked)
    for path in removed:
        path.unlink()


def _fetch(source: Source, workers: int, folder: Path) -> list[Path]:
    """Fetch what is asked for; return the paths of the files, sorted."""
    try:
        snapshot_download(
            repo_id=source.repository,
            repo_type=source.kind,
            revision=source.revision,
            local_dir=str(folder),
            allow_patterns=source.patterns or None,
            max_workers=workers,
        )
    except (HubError, requests.RequestException, OSError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        raise UserError(f"{source}: cannot be downloaded: {reason}") from error
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    files = sorted(path for path in paths if source.matches(path.relative_to(folder)))
    if not files:
        raise UserError(f"{source}: no file matches {' '.join(source.patterns) or 'at all'}")
    return files


def _is_complete(folder: Path, source: Source) -> bool:
    """Tell whether an earlier call has finished this download, and its files are still there."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, ValidationError):
        return False
    sizes = manifest.files.items()
    complete = manifest.source == source and all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes
    )
    if complete:
        logger.info("%s: %s is complete", folder, source)
    return complete


def _write_manifest(
    folder: Path, source: Source, files: list[Path], unpacked: dict[str, int]
) -> None:
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    write_json(
        folder / MANIFEST, Manifest(source=source, files=sizes, unpacked=unpacked).model_dump()
    )
    logger.info("%s: %s is complete", folder, source)


def main_dataset(argv: Sequence[str] | None = None) -> int:
    """Fetch VisualPRM400K, or another data set, and unpack it."""
    arguments = _parse("Fetch a data set from ModelScope and unpack it.", DatasetDownload, argv)
    download_dataset(read_options(arguments, DatasetDownload), arguments.output)
    return 0


def main_model(argv: Sequence[str] | None = None) -> int:
    """Fetch a model."""
    arguments = _parse("Fetch a model from ModelScope.", ModelDownload, argv)
    download_model(read_options(arguments, ModelDownload), arguments.output)
    return 0


def _parse(title: str, section: type[Section], argv: Sequence[str] | None) -> argparse.Namespace:
    parser = cli.parser(f"{title}\n\n{(__doc__ or '').partition('.')[2].strip()}")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write to"
    )
    add_options(parser, section)
    return parser.parse_args(argv)
