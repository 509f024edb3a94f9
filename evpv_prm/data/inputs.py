"""Checks of everything that a run reads, before anything expensive starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pillow

from evpv_prm.answers import broken_reason
from evpv_prm.data.contexts import ModelInput
from evpv_prm.data.images import load_images
from evpv_prm.data.picture_tokens import TokenCount
from evpv_prm.data.questions import QuestionFile, content_digest, scan_questions
from evpv_prm.data.step_records import StepFile, StepRecord, scan_step_records
from evpv_prm.engine.base import Failure
from evpv_prm.errors import InputError
from evpv_prm.markers import markers_beyond
from evpv_prm.progress import track
from evpv_prm.records import Question

KINDS = {
    "unreadable_file": "a questions file without questions, or no such folder of images",
    "unknown_datasource": "a datasource that its questions file does not have",
    "malformed_line": "a line that is not a JSON object",
    "invalid_field": "a missing or wrong field, or a pid that repeats",
    "image_outside_root": "an image path that leaves the image folder",
    "missing_image": "an image that does not exist",
    "unreadable_image": "an image that cannot be decoded",
    "image_too_large": "an image above the size limit",
    "broken_answer": "an answer that no reply can be compared with",
    "duplicate": "a question that repeats another: same image, question and answer",
    "extra_marker": "a question that names more images than it has, as panels of one picture",
    "beyond_context": "a question that a model's context may not hold: too many images, or no room "
    "for the longest reply",
}
"""Every kind of finding and what it means, the gravest first."""

ERROR_KINDS = tuple(KINDS)[:5]
"""Findings that stop a run: what a file says cannot be used."""


@dataclass(frozen=True)
class BenchmarkInput:
    """One benchmark of a run: the first `limit` questions of a datasource; None stands for all.

    With `is_labelled`, its file holds labelled solutions (VisualProcessBench), and each of them
    counts as a question.
    """

    name: str
    questions: Path
    images: Path
    datasource: str | None = None
    limit: int | None = None
    is_labelled: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing to know about the inputs; `kind` is a key of KINDS.

    `benchmark` is None for what concerns a whole questions file, `line` and `pid` for what
    concerns no single question.
    """

    kind: str
    benchmark: str | None
    file: str
    line: int | None
    pid: str | None
    detail: str


@dataclass(frozen=True)
class BenchmarkReport:
    """What one benchmark puts into a run.

    `without_images` questions lack an image that works; `beyond_context` has, for each model that
    is asked them and whose pictures can be counted, the questions that it may not hold.
    """

    benchmark: BenchmarkInput
    questions: int
    images: int
    without_images: int
    findings: list[Finding]
    beyond_context: Mapping[str, int]


@dataclass(frozen=True)
class InputReport:
    """Everything found: per benchmark, and in the questions files that they share."""

    benchmarks: list[BenchmarkReport]
    file_findings: list[Finding]
    models: Sequence[ModelInput] = ()

    @property
    def findings(self) -> list[Finding]:
        """All findings: the files', then each benchmark's in the order of its questions."""
        return self.file_findings + [
            finding for report in self.benchmarks for finding in report.findings
        ]


"""Passes items on while it shows how many of a total went by."""


def check_inputs(
    benchmarks: Sequence[BenchmarkInput], workers: int, models: Sequence[ModelInput] = ()
) -> InputReport:
    """Read every questions file and decode every image of a run once; collect all findings.

    `workers` processes decode images. `models` are those that will be asked.
    """
    files: dict[FileKey, QuestionFile | StepFile | None] = {}
    file_findings: list[Finding] = []
    for key in dict.fromkeys(_file_key(benchmark) for benchmark in benchmarks):
        files[key], findings = _read_file(*key)
        file_findings += findings

    selected = [_select(benchmark, files[_file_key(benchmark)]) for benchmark in benchmarks]
    wanted = {
        (benchmark.images, image)
        for benchmark, (entries, _) in zip(benchmarks, selected, strict=True)
        for _, question in entries
        for image in question.images
        if benchmark.images.is_dir()
    }
    images = dict(_check_images(sorted(wanted), workers))
    counts = [(model, count) for model in models if (count := model.token_count())]
    return InputReport(
        [
            _report(benchmark, entries, findings, images, counts)
            for benchmark, (entries, findings) in zip(benchmarks, selected, strict=True)
        ],
        file_findings,
        models,
    )


Entries = Sequence[tuple[int, Question | StepRecord]]
FileKey = tuple[Path, bool]
ImageKey = tuple[Path, str]
Size = tuple[int, int]
"""Width and height, in pixels."""


def _file_key(benchmark: BenchmarkInput) -> FileKey:
    return benchmark.questions, benchmark.is_labelled


def _read_file(
    path: Path, is_labelled: bool
) -> tuple[QuestionFile | StepFile | None, list[Finding]]:
    file: QuestionFile | StepFile
    try:
        file = scan_step_records(path) if is_labelled else scan_questions(path)
    except InputError as problem:
        finding = Finding("unreadable_file", None, str(path), None, None, problem.expected)
        return None, [finding]
    return file, [
        Finding(
            "invalid_field" if problem.field else "malformed_line",
            None,
            str(path),
            problem.line,
            None,
            f"{problem.field}: {problem.expected}" if problem.field else problem.expected,
        )
        for problem in file.problems
    ]


def _select(
    benchmark: BenchmarkInput, file: QuestionFile | StepFile | None
) -> tuple[Entries, list[Finding]]:
    name, path = benchmark.name, str(benchmark.questions)
    findings = []
    if not benchmark.images.is_dir():
        detail = "expected a directory of images"
        folder = str(benchmark.images)
        findings.append(Finding("unreadable_file", name, folder, None, None, detail))
    if file is None:
        return [], findings
    if isinstance(file, StepFile):
        return file.records[: benchmark.limit], findings
    try:
        return file.select(benchmark.datasource, benchmark.limit), findings
    except InputError as problem:
        detail = problem.expected
        return [], [*findings, Finding("unknown_datasource", name, path, None, None, detail)]


def _check_images(
    keys: Sequence[ImageKey], workers: int
) -> Iterator[tuple[ImageKey, Failure | Size]]:
    roots, paths = [root for root, _ in keys], [path for _, path in keys]
    with ProcessPoolExecutor(workers) as pool:
        results = pool.map(_check_image, roots, paths, chunksize=16)
        tracked = track(results, "checking", "images", len(keys))
        yield from zip(keys, tracked, strict=True)


def _check_image(root: Path, relative: str) -> Failure | Size:
    result = load_images(root, [relative])
    if isinstance(result, Failure):
        return result
    with Pillow.open(result[0].path) as image:
        return image.size


def _report(
    benchmark: BenchmarkInput,
    entries: Entries,
    findings: list[Finding],
    images: dict[ImageKey, Failure | Size],
    counts: Sequence[tuple[ModelInput, TokenCount]],
) -> BenchmarkReport:
    found = list(findings)
    asked = [each for each in counts if each[0].role == "verifier" or not benchmark.is_labelled]
    beyond_context = Counter({model.name: 0 for model, _ in asked})
    first: dict[str, tuple[int, str]] = {}
    without_images = 0
    for line, question in entries:
        looked_up = {image: images.get((benchmark.images, image)) for image in question.images}
        failures = [each for each in looked_up.values() if isinstance(each, Failure)]
        without_images += bool(failures)
        notes = [(failure.kind, failure.detail) for failure in failures]
        if isinstance(question, Question):
            if reason := broken_reason(question.question, question.answer, question.choices):
                notes.append(("broken_answer", reason))
            original = first.setdefault(content_digest(question.to_row()), (line, question.pid))
            if original[0] != line:
                notes.append(("duplicate", f"repeats line {original[0]} ({original[1]})"))
        if beyond := markers_beyond(question.question, len(question.images)):
            named = ", ".join(map(str, beyond))
            notes.append(("extra_marker", f"names image {named} of {len(question.images)}"))
        if problems := _problems(question, looked_up, asked):
            beyond_context.update(problems.keys())
            named = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
            notes.append(("beyond_context", named))
        found += [
            Finding(kind, benchmark.name, str(benchmark.questions), line, question.pid, detail)
            for kind, detail in notes
        ]
    distinct = {image for _, question in entries for image in question.images}
    return BenchmarkReport(
        benchmark, len(entries), len(distinct), without_images, found, beyond_context
    )


def _problems(
    question: Question | StepRecord,
    images: Mapping[str, Failure | Size | None],
    asked: Sequence[tuple[ModelInput, TokenCount]],
) -> dict[str, str]:
    """Return, by model, why its context may not hold a question."""
    sizes = [size for image in question.images if isinstance(size := images[image], tuple)]
    if len(sizes) < len(question.images):
        return {}  # It lacks an image and is shown to no model.
    problems = ((model.name, model.problem(question.question, sizes, c)) for model, c in asked)
    return {name: problem for name, problem in problems if problem}
