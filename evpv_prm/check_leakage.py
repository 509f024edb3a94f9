"""Report the benchmark questions whose image or text occurs in the training data.

Images are compared by their pixels and questions by their text without case, punctuation and
spaces. The report names a training record (its image's path) for every benchmark question found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

from evpv_prm import cli
from evpv_prm.data.leakage import Subject, digest_below, find_leakage
from evpv_prm.data.pair_records import read_pair_records
from evpv_prm.data.questions import read_questions
from evpv_prm.jsonl import write_json
from evpv_prm.progress import track


class _Digests:
    """Pixel digests of images below a folder, in several processes."""

    def __init__(
        self,
        pool: ProcessPoolExecutor,
        root: Path,
        images: Iterable[str],
        *,
        may_link_out: bool = False,
    ) -> None:
        distinct = sorted(set(images))
        roots, options = repeat(root), repeat(may_link_out)
        digests = pool.map(digest_below, roots, distinct, options, chunksize=16)
        tracked = track(digests, f"{root}: reading", "images", len(distinct))
        self._digests = dict(zip(distinct, tracked, strict=True))

    def of(self, images: Sequence[str]) -> tuple[str | None, ...]:
        return tuple(self._digests[image] for image in images)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "check_leakage")
    parser.add_argument(
        "--pairs", type=Path, nargs="+", required=True, help="JSONL files of labelled solutions"
    )
    parser.add_argument(
        "--images", type=Path, required=True, help="folder that their image paths are relative to"
    )
    parser.add_argument(
        "--benchmark", nargs=3, action="append", required=True,
        metavar=("NAME", "QUESTIONS", "IMAGES"),
        help="a benchmark's name, JSONL file and folder of images; once for each",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="JSON report to write")
    parser.add_argument(
        "--workers", type=int, default=2, help="processes that decode images (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    seen = {(r.image, r.question) for path in arguments.pairs for r in read_pair_records(path)}
    questions = {name: read_questions(file) for name, file, _ in arguments.benchmark}
    with ProcessPoolExecutor(max(1, arguments.workers)) as pool:
        trained = (image for image, _ in seen)
        digests = _Digests(pool, arguments.images, trained, may_link_out=True)
        training = [Subject(i, question, digests.of([i])) for i, question in sorted(seen)]
        benchmarks = {}
        for name, _, folder in arguments.benchmark:
            images = (image for question in questions[name] for image in question.images)
            digests = _Digests(pool, Path(folder), images)
            benchmarks[name] = [
                Subject(q.pid, q.question, digests.of(q.images)) for q in questions[name]
            ]
    report = find_leakage(training, benchmarks)
    write_json(arguments.output, report)
    for name, found in report["benchmarks"].items():
        print(
            f"{name}: of {found['questions']:,} questions {found['same_image']:,} share an image "
            f"with the training data, {found['same_question']:,} a text, "
            f"{found['same_image_and_question']:,} both"
        )
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
