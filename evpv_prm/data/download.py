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

from evpv_prm.config_data import DatasetDownload, ModelDownload
from evpv_prm.data.archives import find_archives, unpack
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_json
from evpv_prm.options import add_options, read_options
from evpv_prm.section import Section

logger = logging.getLogger(__name__)

MANIFEST = "download.json"


class Manifest(BaseModel):
    """What a folder holds: `files` by size in bytes; `unpacked`, files of each archive by name."""

    repository: str
    revision: str
    patterns: list[str]
    files: dict[str, int]
    unpacked: dict[str, int]


def download_model(options: ModelDownload, folder: Path) -> None:
    """Fetch all files of a model into a folder.

    Raises:
        UserError: no such model or revision; a file that cannot be had.
    """
    if _is_complete(folder, options.repository, options.revision, []):
        return
    files = _fetch("model", options.repository, options.revision, [], options.workers, folder)
    _write_manifest(folder, options.repository, options.revision, [], files, {})


def download_dataset(options: DatasetDownload, folder: Path) -> None:
    """Fetch the chosen files of a data set into a folder and unpack its archives there.

    Archives are removed when all are unpacked, unless they are to be kept.

    Raises:
        UserError: no such data set, revision or file; a file that cannot be had; a damaged archive,
            or one with a member outside the folder.
    """
    patterns = options.files
    if not _is_complete(folder, options.repository, options.revision, patterns):
        files = _fetch(
            "dataset", options.repository, options.revision, patterns, options.workers, folder
        )
        archives = find_archives(files)
        unpacked = {name: unpack(name, parts, folder) for name, parts in archives.items()}
        kept = files
        if not options.keep_archives:
            kept = [path for path in files if not find_archives([path])]
        _write_manifest(folder, options.repository, options.revision, patterns, kept, unpacked)
        for path in set(files) - set(kept):
            path.unlink()


def _fetch(
    kind: Literal["model", "dataset"],
    repository: str,
    revision: str,
    patterns: list[str],
    workers: int,
    folder: Path,
) -> list[Path]:
    """Fetch a repository's files that match, or all; return their paths, sorted."""
    what = f"{kind} {repository}, revision {revision}"
    try:
        snapshot_download(
            repo_id=repository,
            repo_type=kind,
            revision=revision,
            local_dir=str(folder),
            allow_patterns=patterns or None,
            max_workers=workers,
        )
    except (HubError, requests.RequestException, OSError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        raise UserError(f"{what}: cannot be downloaded: {reason}") from error
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    files = sorted(path for path in paths if _matches(path.relative_to(folder), patterns))
    if not files:
        raise UserError(f"{what}: no file matches {' '.join(patterns) or 'at all'}")
    return files


def _matches(path: Path, patterns: list[str]) -> bool:
    return not patterns or any(fnmatch(path.as_posix(), pattern) for pattern in patterns)


def _is_complete(folder: Path, repository: str, revision: str, patterns: list[str]) -> bool:
    """Tell whether an earlier call has finished this download, and its files are still there."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, ValidationError):
        return False
    if (manifest.repository, manifest.revision, manifest.patterns) != (
        repository,
        revision,
        patterns,
    ):
        return False
    for name, size in manifest.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return False
    logger.info("%s: %s, revision %s is complete", folder, repository, revision)
    return True


def _write_manifest(
    folder: Path,
    repository: str,
    revision: str,
    patterns: list[str],
    files: list[Path],
    unpacked: dict[str, int],
) -> None:
    manifest = Manifest(
        repository=repository,
        revision=revision,
        patterns=patterns,
        files={path.relative_to(folder).as_posix(): path.stat().st_size for path in files},
        unpacked=unpacked,
    )
    write_json(folder / MANIFEST, manifest.model_dump())
    logger.info("%s: %s, revision %s: done", folder, repository, revision)


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
    parser = argparse.ArgumentParser(
        usage="%(prog)s [options]",
        description=f"{title}\n\n{(__doc__ or '').partition('.')[2].strip()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write to"
    )
    add_options(parser, section)
    return parser.parse_args(argv)
