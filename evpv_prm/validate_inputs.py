"""Check every input of a run at once, before anything expensive starts.

Errors (lines and fields that cannot be read, pids that repeat, paths that leave the image folder)
stop the run. Questions whose image is missing, damaged or too large become failures in the run;
more of them than --max-missing-images stop it. Answers that nothing can be compared with,
repeated questions, markers of images that a question does not have, and questions that a model's
context may not hold are reported only.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

import orjson
from pydantic import TypeAdapter, ValidationError
from tabulate import tabulate

from evpv_prm import cli
from evpv_prm.data.contexts import ModelInput, Role
from evpv_prm.data.inputs import (
    ERROR_KINDS,
    KINDS,
    BenchmarkInput,
    BenchmarkReport,
    Finding,
    InputReport,
    check_inputs,
)
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_json, write_text

EXAMPLES = 3
"""Findings that the summary shows of each kind and benchmark; errors are shown in full."""


def report_json(report: InputReport) -> dict[str, Any]:
    """Return the report as written: counts by kind and by benchmark, models, all findings."""
    return {
        "counts": _counts(report.findings),
        "models": {
            model.name: {"checkpoint": model.checkpoint, "counted": model.token_count() is not None}
            for model in report.models
        },
        "benchmarks": {
            entry.benchmark.name: {
                "questions_file": str(entry.benchmark.questions),
                "images_root": str(entry.benchmark.images),
                "datasource": entry.benchmark.datasource,
                "limit": entry.benchmark.limit,
                "questions": entry.questions,
                "images": entry.images,
                "questions_without_image": entry.without_images,
                "beyond_context": dict(entry.beyond_context),
                "counts": _counts(entry.findings),
            }
            for entry in report.benchmarks
        },
        "findings": [asdict(finding) for finding in report.findings],
    }


def summary(report: InputReport) -> str:
    """Return the report for people, in Markdown: a table of counts, then examples of each kind."""
    totals = _counts(report.findings)
    kinds = [kind for kind in KINDS if totals[kind]]
    rows: list[list[str | int]] = []
    for entry in report.benchmarks:
        found = _counts(entry.findings)
        numbers = [entry.questions, entry.images, entry.without_images]
        rows.append([entry.benchmark.name, *numbers, *(found[kind] for kind in kinds)])
    if report.file_findings:
        found = _counts(report.file_findings)
        rows.append(["(questions files)", 0, 0, 0, *(found[kind] for kind in kinds)])
    if len(rows) > 1:
        rows.append(["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])])
    headers = ["benchmark", "questions", "images", "without image"]
    headers += [kind.replace("_", " ") for kind in kinds]
    table = tabulate(rows, headers, "github", intfmt=",")
    sections = [_section(kind, report.findings) for kind in kinds] or ["Nothing to report."]
    contexts = [_contexts(report)] if report.models else []
    return "\n\n".join(["# Inputs", table, *contexts, *sections]) + "\n"


def verdict(report: InputReport, max_missing_images: float) -> None:
    """Decide whether a run may start.

    Raises:
        UserError: there are errors, or a benchmark has more questions without a usable image than
            this fraction of its questions.
    """
    counts = _counts(report.findings)
    errors = {kind: counts[kind] for kind in ERROR_KINDS if counts[kind]}
    if errors:
        named = ", ".join(f"{count:,} × {kind}" for kind, count in errors.items())
        raise UserError(f"the inputs have errors, listed above: {named}")
    short = [
        entry
        for entry in report.benchmarks
        if entry.without_images > max_missing_images * entry.questions
    ]
    if short:
        named = ", ".join(
            f"{entry.benchmark.name} {entry.without_images:,} of {entry.questions:,} "
            f"(in {entry.benchmark.images})"
            for entry in short
        )
        needed = max(math.ceil(100 * _fraction_without_images(entry)) / 100 for entry in short)
        raise UserError(
            f"questions without a usable image: {named}; complete the image folders, or allow "
            f"them with --max-missing-images {needed:g} and they count as failures"
        )


def parse_benchmark(words: Sequence[str]) -> BenchmarkInput:
    """Read `name=… questions=… images=… [datasource=…] [limit=…]`.

    `solutions=…` in place of `questions=…` names a file of labelled solutions; these have no
    datasource.

    Raises:
        UserError: a key is unknown, missing, given twice or not for this kind of file, or the limit
            is no positive number.
    """
    values = _values("--benchmark", words, _BENCHMARK_KEYS)
    is_labelled = "solutions" in values
    needed = ("name", "solutions" if is_labelled else "questions", "images")
    if missing := [key for key in needed if key not in values]:
        raise UserError(f"--benchmark {' '.join(words)}: expected {missing[0]}=…")
    if is_labelled and (extra := [key for key in ("questions", "datasource") if key in values]):
        raise UserError(f"--benchmark {' '.join(words)}: {extra[0]}=… does not go with solutions=…")
    limit = values.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit() and int(limit) > 0):
        raise UserError(f"--benchmark: limit={limit}: expected a whole number above 0")
    return BenchmarkInput(
        values["name"],
        Path(values["solutions" if is_labelled else "questions"]),
        Path(values["images"]),
        values.get("datasource"),
        int(limit) if limit else None,
        is_labelled,
    )


def parse_model(words: Sequence[str]) -> ModelInput:
    """Read `name=… role=… checkpoint=… max_model_len=… max_images=… reply=… [processor=JSON]`.

    Raises:
        UserError: a key is unknown, missing or given twice, or has a value that is not allowed.
    """
    values: dict[str, Any] = dict(_values("--model", words, _MODEL_KEYS))
    try:
        if processor := values.get("processor"):
            values["processor"] = orjson.loads(processor)
        return TypeAdapter(ModelInput).validate_python(values)
    except orjson.JSONDecodeError as error:
        raise UserError(f"--model: processor={processor}: expected a JSON object") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise UserError(f"--model: {problem['loc'][0]}=…: {problem['msg']}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see --help."""
    arguments = _parser().parse_args(argv)
    benchmarks = [parse_benchmark(words) for words in arguments.benchmark]
    names = Counter(benchmark.name for benchmark in benchmarks)
    if repeated := [name for name, count in names.items() if count > 1]:
        raise UserError(f"--benchmark: name={repeated[0]} is given twice")
    if not 0 <= arguments.max_missing_images <= 1:
        raise UserError("--max-missing-images: expected a fraction from 0 to 1")
    if arguments.workers < 1:
        raise UserError("--workers: expected at least 1")
    models = [parse_model(words) for words in arguments.model]
    report = check_inputs(benchmarks, arguments.workers, models)
    write_json(arguments.report, report_json(report))
    text = summary(report)
    if arguments.markdown:
        write_text(arguments.markdown, text)
    print(text, flush=True)
    verdict(report, arguments.max_missing_images)
    return 0


_BENCHMARK_KEYS = ("name", "questions", "solutions", "images", "datasource", "limit")
_MODEL_KEYS = tuple(field.name for field in fields(ModelInput))


def _values(flag: str, words: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or key in values or key not in keys or not value:
            expected = ", ".join(f"{key}=…" for key in keys)
            raise UserError(f"{flag}: {word!r}: expected each once of {expected}")
        values[key] = value
    return values


def _fraction_without_images(entry: BenchmarkReport) -> float:
    return entry.without_images / entry.questions


def _counts(findings: Iterable[Finding]) -> dict[str, int]:
    found = Counter(finding.kind for finding in findings)
    return {kind: found[kind] for kind in KINDS}


def _section(kind: str, findings: Sequence[Finding]) -> str:
    chosen = [finding for finding in findings if finding.kind == kind]
    lines = [f"## {kind} ({len(chosen):,}): {KINDS[kind]}", ""]
    for (benchmark, file), group in groupby(
        chosen, key=lambda found: (found.benchmark, found.file)
    ):
        members = list(group)
        shown = members if kind in ERROR_KINDS else members[:EXAMPLES]
        name = f"{benchmark}: {len(members):,} in {file}" if benchmark else file
        lines += [f"- {name}", *(f"  - {_line(finding)}" for finding in shown)]
        if rest := len(members) - len(shown):
            lines.append(f"  - … and {rest:,} more")
    return "\n".join(lines)


def _contexts(report: InputReport) -> str:
    """Return how many questions each model's context may not hold, by benchmark."""
    rows = [
        [
            model.name,
            *(entry.beyond_context.get(model.name, "-") for entry in report.benchmarks),
            "" if model.token_count() else f"not counted: {model.checkpoint} is of an unknown kind",
        ]
        for model in report.models
    ]
    headers = ["model", *(entry.benchmark.name for entry in report.benchmarks), ""]
    table = tabulate(rows, headers, "github", intfmt=",")
    return f"Questions that a model's context may not hold:\n\n{table}"


def _line(finding: Finding) -> str:
    line = f"line {finding.line}" if finding.line is not None else None
    return ": ".join(filter(None, (line, finding.pid, finding.detail)))


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "validate_inputs")
    parser.add_argument(
        "--benchmark",
        action="append",
        nargs="+",
        required=True,
        metavar="KEY=VALUE",
        help="one benchmark, repeatable: name=NAME questions=FILE.jsonl images=DIR and, to take "
        "a part of the file, datasource=NAME and limit=N (the first N questions of it); "
        "solutions=FILE.jsonl in place of questions= for labelled solutions (VisualProcessBench)",
    )
    parser.add_argument(
        "--model",
        action="append",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="one model that will be asked, repeatable, to count the questions that its context "
        f"may not hold: name=NAME role={{{','.join(get_args(Role))}}} checkpoint=DIR (or a name, "
        "where there is no such folder yet) max_model_len=TOKENS max_images=N reply=TOKENS (the "
        "longest) and, to outrank what the checkpoint says, processor=JSON (arguments of its image "
        "processor)",
    )
    parser.add_argument("--report", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--markdown", type=Path, help="file to write the printed summary to")
    parser.add_argument(
        "--max-missing-images",
        type=float,
        default=0.0,
        metavar="FRACTION",
        help="largest fraction of a benchmark's questions that may lack a usable image (missing, "
        "damaged or too large); default: %(default)g",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes that decode images; default: all cores (%(default)s)",
    )
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
