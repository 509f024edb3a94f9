"""The page of files and formats: nothing that a file holds is left out of it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

from pydantic import BaseModel

import evpv_prm.data
import evpv_prm.metrics
from evpv_prm import format_docs
from evpv_prm.metrics.metrics_file import Strict
from evpv_prm.records import Record

PAGE = format_docs.render_formats()


def sections() -> dict[str, str]:
    parts = re.split(r"^### (\w+)$", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in model.__subclasses__():
        yield each
        yield from subclasses(each)


def test_every_class_has_one_section_to_link_to() -> None:
    headings = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert set(re.findall(r"\]\(#(\w+)\)", PAGE)) <= {h.lower() for h in headings}


def test_every_record_and_metrics_file_of_the_package_is_there() -> None:
    for package in (evpv_prm.data, evpv_prm.metrics):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    known = [model for base in (Record, Strict) for model in subclasses(base)]
    names = {
        model.__name__
        for model in known
        if model.__module__.startswith(("evpv_prm.records", "evpv_prm.data", "evpv_prm.metrics"))
        and not model.__name__.startswith("_")
    }
    assert {"Question", "GateMetrics"} < names
    assert names <= set(sections())


def test_a_section_has_its_fields_by_the_names_in_the_file() -> None:
    found = sections()
    assert "| `steptext` | text | What the step says |" in found["Step"]
    assert "| `OVERALL` | [Overall](#overall) |" in found["StepMetrics"]
    assert "`vlmresponse1, vlmresponse2, …`" in found["CandidateRecord"]
    assert "`candidates`" not in found["CandidateRecord"]
    assert "All fields of [Question](#question), and:" in found["CandidateRecord"]
    assert "`pid`" not in found["CandidateRecord"]
    assert "list of (number or null)" in found["Evaluation"]
    assert "mapping of [Verdicts](#verdicts) by `right` or `wrong`" in found["StepSummary"]
    assert "None" not in PAGE
