"""The page of files and formats, from the models that the files are read and written with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from evpv_prm.data.ablated_records import AblatedRecord
from evpv_prm.data.constraint_records import ConstraintRecord
from evpv_prm.data.descriptions import Description
from evpv_prm.data.intervention_records import AnsweredQuestion, DescribedQuestion
from evpv_prm.data.picture_facts import ExaminedQuestion, KnownQuestion
from evpv_prm.data.step_records import JudgedRecord, StepRecord
from evpv_prm.metrics.ablation_file import AblationMetrics, RequestsReport
from evpv_prm.metrics.bon_file import BonMetrics
from evpv_prm.metrics.claims_file import ClaimsReport
from evpv_prm.metrics.corruption_file import CorruptionMetrics
from evpv_prm.metrics.gate_file import GateMetrics
from evpv_prm.metrics.intervention_file import InterventionMetrics
from evpv_prm.metrics.metrics_file import Strict
from evpv_prm.metrics.stage_file import StageMetrics
from evpv_prm.metrics.step_file import StepMetrics
from evpv_prm.provenance import Provenance
from evpv_prm.records import CandidateRecord, Question, Record
from evpv_prm.training.data import DpoRow, SftRow
from evpv_prm.type_names import type_name

Model = type[BaseModel]
Files = Mapping[Model, tuple[str, ...]]

RECORDS: Files = {
    Question: ("data/benchmarks/*.jsonl", "results/questions/"),
    CandidateRecord: ("results/candidates/", "results/scored/"),
    StepRecord: ("data/visualprocessbench/test.jsonl", "results/step_level/solutions/"),
    JudgedRecord: (
        "results/step_level/caption/",
        "results/step_level/direct/",
        "results/stages/STAGE/solutions.jsonl",
    ),
    ConstraintRecord: ("results/corruption/",),
    AblatedRecord: ("results/ablations/NAME.jsonl",),
    DescribedQuestion: ("results/intervention/described/",),
    AnsweredQuestion: ("results/intervention/answered/", "results/intervention/judged/"),
    KnownQuestion: ("results/world/facts.jsonl",),
    ExaminedQuestion: ("results/stages/STAGE/descriptions.jsonl",),
    Description: ("results/data/vision_sft/descriptions.jsonl",),
    SftRow: (
        "results/data/vision_sft/{train,validation}.jsonl",
        "results/data/step_judge_sft/{train,validation}.jsonl",
    ),
    DpoRow: ("results/data/dpo/{train,validation}.jsonl",),
}
"""The model of a line, and the files or folders of files."""

DOCUMENTS: Files = {
    BonMetrics: ("results/metrics/best_of_n/POLICY.json",),
    StepMetrics: ("results/metrics/step_level/{caption,direct}.json",),
    CorruptionMetrics: ("results/metrics/corruption.json",),
    RequestsReport: ("results/ablations/requests/SHARD.json",),
    AblationMetrics: ("results/metrics/ablations.json",),
    GateMetrics: ("results/metrics/gate.json",),
    InterventionMetrics: ("results/metrics/intervention/POLICY.json",),
    StageMetrics: ("results/metrics/stages.json",),
    ClaimsReport: ("results/metrics/claims.json",),
    Provenance: ("results/tables/provenance.json",),
}
"""The model of a whole file, and the files."""

HEAD = """\
# Files and formats

What the files hold that a run reads and writes. Generated from the classes with which they are
checked, by `python -m evpv_prm.config_docs`; a field that is missing or of another type is refused
with file, line and field. Records are JSON Lines, one object a line, in UTF-8; fields beyond those
below are kept from stage to stage. Rates are fractions in [0, 1], `ci95` is a 95 % interval.

[Input files](data.md) says where the inputs come from, [training data](training-data.md) how the
files in `results/data/` follow from each other, [the case browser](cases.md) what lies in
`results/cases/`; a page in `results/` lists all folders."""

BASES = (BaseModel, Record, Strict)


def render_formats() -> str:
    """Return docs/formats.md: which file is read as what, then a table of fields for each class."""
    lines = [HEAD, "", "| file | what it holds |", "|---|---|"]
    for files, each in ((RECORDS, "a line: "), (DOCUMENTS, "")):
        lines += [f"| {_paths(files[model])} | {each}{_link(model)} |" for model in files]
    for title, models in (("Records", RECORDS), ("Metrics and provenance", DOCUMENTS)):
        lines += ["", f"## {title}"]
        for model in _with_nested(models):
            lines += _section(model)
    return "\n".join(lines) + "\n"


def _with_nested(models: Mapping[Model, Any]) -> list[Model]:
    """Return the models, each followed by those in its fields that were not there before."""
    found: dict[Model, None] = {}

    def visit(model: Model) -> None:
        if model not in found:
            found[model] = None
            for field in _own_fields(model).values():
                for nested in _models(field.annotation):
                    visit(nested)

    for model in models:
        visit(model)
    return list(found)


def _models(annotation: Any) -> Iterator[Model]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _own_fields(model: Model) -> dict[str, FieldInfo]:
    """Return the fields that do not stand in the section of the class that it extends."""
    base = _base(model)
    inherited = base.model_fields if base else {}
    return {n: field for n, field in model.model_fields.items() if n not in inherited}


def _base(model: Model) -> Model | None:
    """Return the class that it extends, if that has a section of its own."""
    base = model.__bases__[0]
    has_section = base not in BASES and not base.__name__.startswith("_")
    return base if has_section and issubclass(base, BaseModel) else None


def _section(model: Model) -> list[str]:
    base, fields = _base(model), _own_fields(model)
    lines = ["", f"### {model.__name__}", "", _as_json(inspect.cleandoc(model.__doc__ or "")), ""]
    if base:
        lines += [f"All fields of {_link(base)}, and:", ""]
    rows = [
        (f"`{field.title or field.alias or name}`", _type(field), field.description or "")
        for name, field in fields.items()
    ]
    columns = 3 if any(meaning for *_, meaning in rows) else 2
    for row in [("field", "type", "meaning"), ("---",) * 3, *rows]:
        lines.append(f"| {' | '.join(row[:columns])} |")
    return lines


def _as_json(text: str) -> str:
    return re.sub(r"\bNone\b", "null", text)


def _type(field: FieldInfo) -> str:
    if field.exclude:  # its items stand in the record, one a field
        return type_name(get_args(field.annotation)[0], _link)
    return type_name(field.annotation, _link) + ("" if field.is_required() else "; may be left out")


def _link(model: Model) -> str:
    return f"[{model.__name__}](#{model.__name__.lower()})"


def _paths(files: tuple[str, ...]) -> str:
    return ", ".join(f"`{file}`" for file in files)
