"""Models from ModelScope or Hugging Face, and data sets from ModelScope.

The size and the SHA-256 of every file are checked against the repository's list; a file that was
cut off is continued, and what fails is repeated. The variables of the hubs' own clients apply,
among them MODELSCOPE_ENDPOINT and HF_ENDPOINT (another address), MODELSCOPE_API_TOKEN and HF_TOKEN.

`download.json` in the folder is written last: with it, the download is complete, and the next call
asks for nothing. It names the commit that was fetched. Delete it to look for what a branch has
since got.
"""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import requests
from modelscope_hub.api import HubApi
from modelscope_hub.compat import snapshot_download
from modelscope_hub.errors import HubError
from pydantic import BaseModel, ValidationError

from evpv_prm import cli
from evpv_prm.config_data import DatasetDownload, Hub, ModelDownload
from evpv_prm.data.archives import find_archives, unpack
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_json
from evpv_prm.options import add_options, read_options
from evpv_prm.section import Section

logger = logging.getLogger(__name__)

MANIFEST = "download.json"
MAIN_BRANCH: dict[Hub, str] = {"modelscope": "master", "huggingface": "main"}


class Source(BaseModel):
    """What is asked for: the files of a repository that match a pattern, or all."""

    hub: Hub = "modelscope"
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
    """What a folder holds: `files` by size in bytes; `unpacked`, files of each archive by name.

    `commit` is what the revision stood for; None where the hub does not say.
    """

    source: Source
    commit: str | None = None
    files: dict[str, int]
    unpacked: dict[str, int]


def download_model(options: ModelDownload, folder: Path) -> None:
    """Fetch all files of a model into a folder.

    Raises:
        UserError: no such model or revision; a file that cannot be had.
    """
    source = Source(
        hub=options.hub,
        kind="model",
        repository=options.repository,
        revision=options.revision or MAIN_BRANCH[options.hub],
    )
    if _is_complete(folder, source):
        return
    fetch = {"modelscope": _fetch_from_modelscope, "huggingface": _fetch_from_huggingface}
    commit = fetch[options.hub](source, options.workers, folder)
    _write_manifest(folder, source, commit, _files(source, folder), {})


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
    commit = _fetch_from_modelscope(source, options.workers, folder)
    files = _files(source, folder)
    archives = find_archives(files)
    unpacked = {name: unpack(name, parts, folder) for name, parts in archives.items()}
    removed = set() if options.keep_archives else {p for parts in archives.values() for p in parts}
    kept = [path for path in files if path not in removed]
    _write_manifest(folder, source, commit, kept, unpacked)
    for path in removed:
        path.unlink()


def _fetch_from_modelscope(source: Source, workers: int, folder: Path) -> str | None:
    """Fetch what is asked for; return the newest commit that changed a file of the repository."""
    try:
        entries = HubApi().legacy.list_repo_files(
            source.repository, source.kind, revision=source.revision
        )
        snapshot_download(
            repo_id=source.repository,
            repo_type=source.kind,
            revision=source.revision,
            local_dir=str(folder),
            allow_patterns=source.patterns or None,
            max_workers=workers,
        )
    except (HubError, requests.RequestException, OSError) as error:
        raise _failed(source, error) from error
    # The list names no commit of its own, but for each file the last one that changed it.
    dated = [(entry.get("CommittedDate") or 0, entry.get("Revision")) for entry in entries]
    return max(dated, key=lambda item: item[0], default=(0, None))[1]


def _fetch_from_huggingface(source: Source, workers: int, folder: Path) -> str:
    """Fetch a model; return its commit."""
    # Imported here: the environment without models fetches data sets and does not have them.
    import httpx
    import huggingface_hub

    hub = huggingface_hub.HfApi()
    try:
        # First what the revision stands for, then that: a branch may move in between.
        commit = str(hub.model_info(source.repository, revision=source.revision).sha)
        hub.snapshot_download(
            source.repository, revision=commit, local_dir=folder, max_workers=workers
        )
        # While it fetches, the client looks at sizes alone.
        found = hub.verify_repo_checksums(source.repository, revision=commit, local_dir=folder)
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise _failed(source, error) from error
    if damaged := [mismatch["path"] for mismatch in found.mismatches]:
        for path in damaged:
            (folder / path).unlink()
        raise UserError(
            f"{source}: {', '.join(damaged)}: another checksum than listed; removed, to be fetched "
            "again by the next call"
        )
    # The client's notes hold the time; a checkpoint is known by all that is in its folder.
    shutil.rmtree(folder / ".cache")
    return commit


def _failed(source: Source, error: Exception) -> UserError:
    reason = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return UserError(f"{source}: cannot be downloaded: {reason}")


def _files(source: Source, folder: Path) -> list[Path]:
    """Return the paths of the files that were asked for, sorted."""
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
    folder: Path, source: Source, commit: str | None, files: list[Path], unpacked: dict[str, int]
) -> None:
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    manifest = Manifest(source=source, commit=commit, files=sizes, unpacked=unpacked)
    write_json(folder / MANIFEST, manifest.model_dump())
    logger.info("%s: %s, commit %s, is complete", folder, source, commit or "unknown")


def main_dataset(argv: Sequence[str] | None = None) -> int:
    """Fetch VisualPRM400K, or another data set, and unpack it."""
    arguments = _parse("Fetch a data set from ModelScope and unpack it.", DatasetDownload, argv)
    download_dataset(read_options(arguments, DatasetDownload), arguments.output)
    return 0


def main_model(argv: Sequence[str] | None = None) -> int:
    """Fetch a model."""
    arguments = _parse("Fetch a model.", ModelDownload, argv)
    download_model(read_options(arguments, ModelDownload), arguments.output)
    return 0


def _parse(title: str, section: type[Section], argv: Sequence[str] | None) -> argparse.Namespace:
    parser = cli.parser(f"{title}\n\n{(__doc__ or '').partition('.')[2].strip()}")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write to"
    )
    add_options(parser, section)
    return parser.parse_args(argv)
