"""What the report of a small run is written from, with names that look like HTML."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from PIL import Image

from evpv_prm.jsonl import write_json, write_text
from evpv_prm.metrics.rendering import Table, to_latex, to_markdown
from evpv_prm.run_report.exhibits import EXHIBITS, SUFFIXES
from evpv_prm.stage_costs import COLUMNS
from tests.measured import PROVENANCE, policy, steps, summary

MARKUP = "<script>document.title = 'run'</script>"
NOTE = "Tiny models; nothing to learn here."
LONG = "ablations"
"""The table with many rows."""

FAILED = {"candidate:truncated": 3, "audit:no_reply": 1, "question:missing_image": 2}


def report_words(folder: Path) -> list[str]:
    """Write the files of a run and return the words for `write_report`.

    Its policy has 10 questions of Lengths: 2 were never asked, 3 of 64 candidates not made and one
    more not scored.
    """
    lengths = summary(
        10,
        n_scored=8,
        n_candidates=64,
        n_unscored_candidates={"gated": 4, "raw": 3},
        failures=FAILED,
    )
    metrics = policy({"Lengths": 10}).model_copy(update={"datasources": {"Lengths": lengths}})
    write_json(folder / "bon.json", metrics.model_dump(mode="json"))
    write_json(folder / "steps.json", steps({"Angles": 4}).model_dump(mode="json", by_alias=True))
    inputs = {"questions_file": "q.jsonl", "questions": 10, "images": 9}
    found = {"Lengths": inputs | {"counts": {"missing_image": 2, "duplicate": 0}}}
    write_json(folder / "inputs.json", {"benchmarks": found})
    split = {"rows": 5, "images": 4}
    card = {"title": "Vision", "records_read": 12, "dropped": {"labelled -": 2}}
    write_json(folder / "card.json", card | {"files": {"train": split, "validation": split}})
    config = {"seed": 7, "policies": {"tiny": {"model": "tiny/model"}}, "diagrams": {"note": NOTE}}
    verifier = {"name": MARKUP, "backend": "vllm", "model": "0123456789abcdef", "revision": "v2"}
    record = PROVENANCE | {"config": config, "verifier": verifier}
    write_json(folder / "provenance.json", record)
    costs = pd.DataFrame([["score", 2, 7200.0, 60.0, 14400.0, 2048.0]], columns=list(COLUMNS))
    write_text(folder / "costs.csv", costs.to_csv(index=False))
    shown = [write_exhibit(folder, kind, name) for kind, name in named()]
    tables = [str(path) for path in shown if path.suffix == ".md"]
    figures = [str(path) for path in shown if path.suffix == ".png"]
    return [
        *("--provenance", str(folder / "provenance.json"), "--inputs", str(folder / "inputs.json")),
        *("--best-of-n", f"tiny={folder / 'bon.json'}"),
        *("--step-level", f"direct={folder / 'steps.json'}"),
        *("--cards", str(folder / "card.json"), "--costs", str(folder / "costs.csv")),
        *("--tables", *tables, "--figures", *figures),
        *("--case-browser", str(folder / "cases/index.html")),
        *("--output", str(folder / "report.html")),
        *("--gallery", str(folder / "figures/index.html")),
    ]


def named() -> list[tuple[str, str]]:
    """Kind and name of every exhibit."""
    return [(exhibit.kind, exhibit.name) for exhibit in EXHIBITS]


def write_exhibit(folder: Path, kind: str, name: str) -> Path:
    """Write the files of a table or a figure and return the one that is shown."""
    stem = folder / kind / name
    stem.parent.mkdir(parents=True, exist_ok=True)
    if kind == "tables":
        rows = [[f"a|b {MARKUP}", "1.0"]]
        if name == LONG:
            rows += [[f"row {number}", "1.0"] for number in range(60)]
        table = Table(f"Table of {name}", ["Name", "Value"], rows, 1, ["A note."])
        write_text(stem.with_suffix(".md"), to_markdown([table], NOTE))
        write_text(stem.with_suffix(".tex"), to_latex([table], NOTE))
    else:
        Image.new("RGB", (600, 300), "white").save(stem.with_suffix(".png"), dpi=(300, 300))
        stem.with_suffix(".pdf").write_bytes(b"%PDF-")
    stem.with_suffix(".csv").write_text("name,value\n")
    return stem.with_suffix(SUFFIXES["tables" if kind == "tables" else "figures"][0])
