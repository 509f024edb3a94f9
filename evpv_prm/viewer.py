"""Make the case browser: questions, candidates and labelled solutions, each with its verdicts.

It is a folder of files without a server: open FOLDER/index.html. `images` makes the pictures of a
benchmark once; `candidates` writes the cases of one policy and `solutions` those of
VisualProcessBench; `page` puts the page beside them. What is there already is made again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli, reports
from evpv_prm.cases.candidates import CandidateCases
from evpv_prm.cases.collection import in_order, read_blocks, write_collection
from evpv_prm.cases.images import FOLDER, PictureMaker, image_paths, read_pictures
from evpv_prm.cases.page import read_collection, write_page
from evpv_prm.cases.shapes import SOLUTIONS, Collection
from evpv_prm.cases.solutions import configurations_of, read_beside, solution_blocks
from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.jsonl import read_shards, write_json
from evpv_prm.progress import track
from evpv_prm.reward import AGGREGATIONS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    status: int = arguments.make(arguments)
    return status


def images(arguments: argparse.Namespace) -> int:
    """Make the pictures of the images that the records of one benchmark name."""
    folder = arguments.folder / FOLDER
    maker = PictureMaker(arguments.images, folder, arguments.side)
    paths = image_paths(arguments.records)
    output = folder / f"{arguments.name}.json"
    results = in_order(maker, paths, arguments.workers)
    made = list(track(results, str(output), "images", len(paths)))
    pictures = dict(zip(paths, made, strict=True))
    write_json(output, {"side": arguments.side, "pictures": pictures})
    failed = sum("failure" in picture for picture in made)
    print(f"{output}: {len(made):,} pictures, {failed:,} of them cannot be used")
    return 0


def candidates(arguments: argparse.Namespace) -> int:
    """Write the cases of one policy: its scored candidates for every question."""
    scored = reports.grouped_files("--scored", arguments.scored)
    cases = CandidateCases(
        {name: read_pictures(_pictures(arguments.folder, name)) for name in scored},
        arguments.aggregations,
    )
    path = f"candidates/{arguments.policy}"
    about = Collection(
        kind="candidates", name=arguments.policy, path=path, aggregations=arguments.aggregations
    )
    blocks = in_order(cases, read_blocks(scored), arguments.workers)
    total = sum(1 for _ in read_blocks(scored))
    tracked = track(blocks, f"{arguments.folder / path}", "blocks", total)
    return _say(write_collection(arguments.folder / path, about, tracked), arguments.folder)


def solutions(arguments: argparse.Namespace) -> int:
    """Write the cases of the labelled solutions, as they were judged and gated."""
    beside = read_beside(arguments.direct, arguments.ablations)
    configurations = configurations_of(beside)
    blocks = solution_blocks(
        read_shards(arguments.predictions, JudgedRecord),
        beside,
        configurations,
        read_pictures(_pictures(arguments.folder, SOLUTIONS)),
    )
    about = Collection(
        kind="solutions", name=SOLUTIONS, path="solutions", configurations=configurations
    )
    return _say(write_collection(arguments.folder / "solutions", about, blocks), arguments.folder)


def page(arguments: argparse.Namespace) -> int:
    """Write the page that shows the collections of a folder."""
    collections = [read_collection(arguments.folder / path) for path in arguments.collections]
    write_page(
        arguments.folder, collections, aggregation=arguments.aggregation, note=arguments.note
    )
    print(f"{arguments.folder}/index.html: {sum(each['cases'] for each in collections):,} cases")
    return 0


def _pictures(folder: Path, name: str) -> Path:
    return folder / FOLDER / f"{name}.json"


def _say(written: Collection, folder: Path) -> int:
    print(f"{folder / written['path']}: {written['cases']:,} cases")
    return 0


def _parser() -> argparse.ArgumentParser:
    whole = cli.parser(__doc__, "viewer")
    commands = whole.add_subparsers(title="parts", required=True, prog=whole.prog, metavar="NAME")
    parts = {}
    for make in (images, candidates, solutions, page):
        text = (make.__doc__ or "").strip()
        part = commands.add_parser(
            make.__name__, usage="%(prog)s [options]", help=text, description=text,
            allow_abbrev=False,
        )  # fmt: skip
        part.set_defaults(make=make)
        part.add_argument(
            "--folder", type=Path, required=True, metavar="DIR", help="folder of the case browser"
        )
        parts[make.__name__] = part
    _add_images(parts["images"])
    _add_candidates(parts["candidates"])
    _add_solutions(parts["solutions"])
    _add_page(parts["page"])
    return whole


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name", required=True, metavar="NAME",
        help=f"name of the benchmark; {SOLUTIONS} for the labelled solutions",
    )  # fmt: skip
    parser.add_argument(
        "--records", nargs="+", type=Path, required=True, metavar="Q.jsonl",
        help="files of its questions or solutions",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR",
        help="folder that the records' image paths are relative to",
    )  # fmt: skip
    parser.add_argument(
        "--side", type=cli.at_least(16), default=800, metavar="N",
        help="longest side of a picture, in pixels (default: %(default)s)",
    )  # fmt: skip
    _add_workers(parser)


def _add_candidates(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", required=True, metavar="NAME", help="name of the policy")
    parser.add_argument(
        "--scored", nargs="+", required=True, metavar="NAME=S.jsonl",
        help="scored files of the policy and the names of their benchmarks, as in `images`; those "
        "with the same name belong together",
    )  # fmt: skip
    parser.add_argument(
        "--aggregations", nargs="+", choices=list(AGGREGATIONS), default=list(AGGREGATIONS),
        metavar="NAME", help="how step scores become a candidate's score (default: all five)",
    )  # fmt: skip
    _add_workers(parser)


def _add_solutions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--predictions", nargs="+", type=Path, required=True, metavar="P.jsonl",
        help="files of judged solutions, with a gate or without",
    )  # fmt: skip
    parser.add_argument(
        "--direct", nargs="+", type=Path, default=[], metavar="P.jsonl",
        help="the same solutions, judged without a caption",
    )  # fmt: skip
    parser.add_argument(
        "--ablations", nargs="+", type=Path, default=[], metavar="P.jsonl",
        help="the same solutions, judged by configurations of the ablation suite",
    )  # fmt: skip


def _add_page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--collections", nargs="+", required=True, metavar="PATH",
        help="what to show: candidates/POLICY and solutions, as they lie in the folder",
    )  # fmt: skip
    parser.add_argument(
        "--aggregation", choices=list(AGGREGATIONS), default="geometric_mean", metavar="NAME",
        help="the one that the page shows first (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--note", metavar="TEXT", help="a sentence that must stand on the page")


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=cli.at_least(1), default=len(os.sched_getaffinity(0)), metavar="N",
        help="processes (default: all cores, %(default)s)",
    )  # fmt: skip


if __name__ == "__main__":
    cli.run_and_exit(main)
