"""Extract pairs of a right and a wrong solution from VisualPRM400K.

A pair is two solutions of one subset, one without a wrong step and one with, that share the image
and the question (white space aside), wherever they stand in the subset's annotation files. Each
solution is in one pair at most: the first right one of a question goes with its first wrong one,
the second with the second, and so on. Copies of a solution count once.

Written for each subset, below the output folder:
  SUBSET/swiftdata.jsonl  the records of each pair one after the other, in their original order and
                          as they were, but `image` is SUBSET/image/PATH, relative to that folder
  SUBSET/image/PATH       links to the images
  SUBSET/report.json      counts of pairs and of what was left out, with the reasons
"""

from __future__ import annotations

import errno
import logging
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from tabulate import tabulate

from evpv_prm import cli
from evpv_prm.config_data import PairExtraction
from evpv_prm.data.images import ImageError, resolve_image
from evpv_prm.data.process_index import Entry, ProcessIndex
from evpv_prm.data.visualprm import find_annotations
from evpv_prm.errors import UserError
from evpv_prm.jsonl import atomic_write, write_json
from evpv_prm.options import add_options, read_options
from evpv_prm.progress import track

logger = logging.getLogger(__name__)

REASONS = {
    "malformed": "a line that is no record of either format",
    "no_partner": "no solution with the other label is left for the same image and question",
    "duplicate": "a copy of another record: same image, question, steps and labels",
    "missing_image": "the image does not exist",
    "image_outside_root": "the image's path leaves the subset's folder",
    "over_cap": "the image has as many pairs as are allowed",
}
"""Why a record is left out."""

_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_SCALAR = rb"(?:" + _TEXT + rb"|[\w.+-]+)"
_IMAGE_FIELD = re.compile(
    rb'\s*\{(?:\s*"[^"\\]*"\s*:\s*' + _SCALAR + rb'\s*,)*?\s*"image"\s*:\s*(' + _TEXT + rb")"
)
"""The image of a JSON object with only texts, numbers, booleans and nulls before it."""

# The file system cannot link these two files: another device, too many links, not supported.
_NO_HARD_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP}


@dataclass
class PairReport:
    """What became of a subset's records: 2 × pairs + all that was left out."""

    subset: str
    files: list[str]
    records: int
    pairs: int = 0
    images: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    malformed_lines: list[str] = field(default_factory=list)
    unusable_images: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `report.json`; every reason has its count."""
        return vars(self) | {"left_out": {reason: self.left_out[reason] for reason in REASONS}}


def extract_subset(
    subset: str, paths: Sequence[Path], images: Path, output: Path, options: PairExtraction
) -> PairReport:
    """Extract the pairs of one subset from its annotation files; see the module's text.

    `images` is the folder that the subset's image paths are relative to. Memory grows by 23 bytes
    a record and some 600 a question. The order of pairs follows the order of `paths` and of their
    lines.

    Raises:
        InputError: a file cannot be read.
    """
    index = ProcessIndex(paths, options.listed)
    report = PairReport(subset, [str(path) for path in paths], len(index) + index.malformed)
    report.left_out["malformed"] = index.malformed
    report.malformed_lines = [str(problem) for problem in index.problems]
    folder = output / subset
    taken: Counter[str] = Counter()
    with atomic_write(folder / "swiftdata.jsonl") as stream, index.reader() as reader:
        for image, source, pair in _usable_pairs(index, images.resolve(), options, report):
            place = f"image/{posixpath.normpath(image)}"
            if not taken[image]:
                _link(source, folder / place)
            taken[image] += 1
            for entry in pair:
                line = reader.read(entry)
                stream.write(replace_image(line, image, f"{subset}/{place}"))
    report.pairs, report.images = taken.total(), len(taken)
    report.left_out["no_partner"] = report.records - 2 * report.pairs - report.left_out.total()
    write_json(folder / "report.json", report.to_json())
    return report


def replace_image(line: bytes, old: str, new: str) -> bytes:
    """Return a record's line with another `image`.

    All else stays byte for byte as it was, unless the image stands behind a list or an object.

    Args:
        line: a JSON object whose field `image` is `old`.
        old: its image.
        new: its image in the line that is returned, which ends in a newline.
    """
    field = _IMAGE_FIELD.match(line)
    if field and orjson.loads(field[1]) == old:
        start, end = field.span(1)
        return line[:start] + orjson.dumps(new) + line[end:].rstrip() + b"\n"
    return orjson.dumps(orjson.loads(line) | {"image": new}, option=orjson.OPT_APPEND_NEWLINE)


def _usable_pairs(
    index: ProcessIndex, images: Path, options: PairExtraction, report: PairReport
) -> Iterator[tuple[str, Path, tuple[Entry, Entry]]]:
    """Yield image, its file and a pair, as many an image as allowed; report the others."""
    found: dict[str, Path | str] = {}
    taken: Counter[str] = Counter()
    for image, entries in index.questions():
        for pair in _pairs_of_question(entries, report.left_out):
            if image not in found:
                found[image] = _find_image(images, image)
                if isinstance(found[image], str) and len(report.unusable_images) < options.listed:
                    report.unusable_images.append(image)
            source = found[image]
            if isinstance(source, str):
                report.left_out[source] += 2
            elif taken[image] == options.pairs_per_image:
                report.left_out["over_cap"] += 2
            else:
                taken[image] += 1
                yield image, source, pair


def _pairs_of_question(
    entries: Sequence[Entry], left_out: Counter[str]
) -> Iterator[tuple[Entry, Entry]]:
    """Yield the disjoint pairs of one question's records; count copies."""
    distinct: dict[int, Entry] = {}
    for entry in entries:
        distinct.setdefault(entry.content, entry)
    left_out["duplicate"] += len(entries) - len(distinct)
    right = [entry for entry in distinct.values() if entry.is_right]
    wrong = [entry for entry in distinct.values() if not entry.is_right]
    for pair in zip(right, wrong, strict=False):
        yield min(pair), max(pair)


def _find_image(folder: Path, image: str) -> Path | str:
    """Return an image's file, or why it cannot be linked, a key of REASONS."""
    try:
        path = resolve_image(folder, image)
    except ImageError as error:
        return error.failure.kind
    # Not Path.is_file: that raises for a name too long or a folder without permission.
    return path.resolve() if os.path.isfile(path) else "missing_image"  # noqa: PTH113


def _link(source: Path, target: Path) -> None:
    """Make target the same file as source: a hard link, or a symbolic one across file systems."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):
        return
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        target.symlink_to(source)


def _table(reports: Sequence[PairReport]) -> str:
    reasons = [reason for reason in REASONS if any(report.left_out[reason] for report in reports)]
    rows = [
        [report.subset, report.records, report.pairs, report.images]
        + [report.left_out[reason] for reason in reasons]
        for report in reports
    ]
    names = [reason.replace("_", " ") for reason in reasons]
    headers = ["subset", "records", "pairs", "images", *names]
    return tabulate(rows, headers, tablefmt="github", intfmt=",")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="DIR",
        help="folder of the annotation files; every *.jsonl below it is read",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR",
        help="folder with one folder of images a subset",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write SUBSET/… in"
    )
    add_options(parser, PairExtraction)
    arguments = parser.parse_args(argv)
    options = read_options(arguments, PairExtraction)
    if not arguments.images.is_dir():
        raise UserError(f"{arguments.images}: expected a folder with one folder a subset")
    folders = sorted(path.name for path in arguments.images.iterdir() if path.is_dir())
    found = find_annotations(arguments.annotations, folders, options.subset_of)
    if unknown := sorted(set(options.subsets) - set(found)):
        known = ", ".join(found)
        raise UserError(f"--subsets: no annotation file of {unknown[0]!r}; there are {known}")

    reports = []
    subsets = options.subsets or list(found)
    for subset in track(subsets, str(arguments.output), "subsets", len(subsets)):
        images = arguments.images / subset
        reports.append(extract_subset(subset, found[subset], images, arguments.output, options))
        logger.info("%s: %d pairs of %d records", subset, reports[-1].pairs, reports[-1].records)
    print(_table(reports))
    if not any(report.pairs for report in reports):
        left_out = sum((report.left_out for report in reports), Counter[str]())
        reason, count = left_out.most_common(1)[0] if left_out else ("no record", 0)
        meaning = REASONS.get(reason, "the annotation files are empty")
        raise UserError(f"{arguments.annotations}: no pairs; {count:,} records: {meaning}")
    return 0
