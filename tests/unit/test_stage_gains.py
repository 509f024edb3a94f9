"""What each training adds: numbers worked out by hand, tables and figure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import cli, compute_stage_gains, figures, tables
from evpv_prm.jsonl import write_rows

Compute = Callable[..., Any]


def described(image: str, *right: bool) -> dict[str, Any]:
    facts = [
        {"name": "x", "value": str(number), "statement": f"It {'so ' * number}shows {number}."}
        for number in range(len(right))
    ]
    return {
        "pid": image, "question": "Q?", "answer": "A", "image": image, "datasource": "D",
        "facts": facts, "image_description": "d", "facts_right": list(right), "failures": [],
    }  # fmt: skip


def judged(image: str, labels: Sequence[int], verdicts: Sequence[int | None]) -> dict[str, Any]:
    return {
        "pid": image, "image": image, "question": "Q?", "policy_model": "P", "data_source": "S",
        "response": {"steps": ["s"] * len(labels), "process_correctness": list(labels)},
        "step_predict": list(verdicts), "step_probabilities": [None] * len(labels),
        "failures": [f"judge[{n}]:timeout" for n, v in enumerate(verdicts) if v is None],
    }  # fmt: skip


def write(folder: Path, facts: Sequence[Any], solutions: Sequence[Any]) -> str:
    if facts:
        write_rows(folder / "descriptions.jsonl", facts)
    write_rows(folder / "solutions.jsonl", solutions)
    return f"{folder.name}={folder}"


# Two images, so that a resample has one of three contents: both, or one of them twice. A central
# interval of 95 % over many resamples reaches from the smallest to the largest of the three values.
LABELS = (1, -1)
STAGES = {
    "base": (
        [described("a", False, False), described("b", True, False)],
        [judged("a", LABELS, (1, 1)), judged("b", LABELS, (1, 1))],
    ),
    "vision_sft": (
        [described("a", True, True), described("b", True, False)],
        [judged("a", LABELS, (1, 1)), judged("b", LABELS, (1, 1))],
    ),
    "step_judge_sft": (
        [described("a", True, True), described("b", True, True)],
        [judged("a", LABELS, (1, -1)), judged("b", LABELS, (1, -1))],
    ),
}


@pytest.fixture
def compute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compute:
    """Run the command on stages; return the metrics, or the error line of a refused input."""

    def perform(stages: dict[str, Any], *words: str) -> Any:
        folders = [write(tmp_path / name, *content) for name, content in stages.items()]
        arguments = [
            *("--stages", *folders, "--output", str(tmp_path / "m.json")),
            *("--markdown", str(tmp_path / "m.md"), "--bootstrap-samples", "400", *words),
        ]
        status = cli.run(lambda: compute_stage_gains.main(arguments))
        error = capsys.readouterr().err
        return error if status else json.loads((tmp_path / "m.json").read_text())

    return perform


def test_facts_by_hand(compute: Compute) -> None:
    metrics = compute(STAGES)
    assert [stage["stage"] for stage in metrics["stages"]] == list(STAGES)
    assert (metrics["n_questions"], metrics["n_facts"]) == (2, 4)
    base, vision, last = (stage["facts"] for stage in metrics["stages"])
    assert base == {
        "estimate": 0.25, "ci95": [0.0, 0.5], "to_previous": None, "to_base": None,
    }  # fmt: skip
    # All of a's two facts are won, none of b's.
    assert vision == {
        "estimate": 0.75,
        "ci95": [0.5, 1.0],
        "to_previous": {"estimate": 0.5, "ci95": [0.0, 1.0]},
        "to_base": {"estimate": 0.5, "ci95": [0.0, 1.0]},
    }
    assert last == {
        "estimate": 1.0,
        "ci95": [1.0, 1.0],
        "to_previous": {"estimate": 0.25, "ci95": [0.0, 0.5]},
        "to_base": {"estimate": 0.75, "ci95": [0.5, 1.0]},
    }


def test_judgements_by_hand(compute: Compute) -> None:
    metrics = compute(STAGES)
    assert (metrics["n_solutions"], metrics["n_steps"], metrics["n_neutral"]) == (2, 4, 0)
    base, vision, last = (stage["macro_f1"] for stage in metrics["stages"])
    # Of right steps F1 = 2·2 / (2·2 + 2) = 2/3, of wrong ones 0.
    assert base["estimate"] == pytest.approx(1 / 3)
    assert base["ci95"] == pytest.approx([1 / 3, 1 / 3])
    assert vision["to_base"] == {"estimate": 0.0, "ci95": [0.0, 0.0]}
    assert last["estimate"] == 1.0
    assert last["to_previous"]["estimate"] == pytest.approx(2 / 3)
    assert last["to_previous"]["ci95"] == pytest.approx([2 / 3, 2 / 3])


def test_solutions_about_one_image_are_drawn_together(compute: Compute) -> None:
    """Whatever is drawn of a single image, the levels are the same: the interval is a point."""

    def alike(content: Any) -> Any:
        facts, solutions = content
        return [{**row, "image": "same.png"} for row in facts], [
            {**row, "image": "same.png"} for row in solutions
        ]

    metrics = compute({name: alike(content) for name, content in STAGES.items()})
    for stage in metrics["stages"]:
        for measure in (stage["facts"], stage["macro_f1"]):
            assert measure["ci95"] == pytest.approx([measure["estimate"]] * 2)


def test_what_failed_counts_as_wrong(compute: Compute) -> None:
    failed = {**described("a", False, False), "image_description": None}
    failed["failures"] = ["describe:truncated"]
    base = [failed, described("b", True, True)], [judged("a", (1, -1, 0), (None, -1, None))]
    metrics = compute({"base": base})
    (stage,) = metrics["stages"]
    assert (stage["n_failed_descriptions"], stage["n_failed_steps"]) == (1, 1)
    assert stage["facts"]["estimate"] == 0.5
    assert (metrics["n_steps"], metrics["n_neutral"]) == (2, 1)
    assert stage["macro_f1"]["estimate"] == pytest.approx((0 + 2 / 3) / 2)


def test_without_facts_there_are_judgements_alone(compute: Compute, tmp_path: Path) -> None:
    metrics = compute({name: ([], solutions) for name, (_, solutions) in STAGES.items()})
    assert all(stage["facts"] is None for stage in metrics["stages"])
    assert (tmp_path / "m.md").read_text().count("\n**") == 0
    frame = show(tmp_path, figures, "stage-gains")
    assert {row["measure"] for row in frame} == {"macro_f1"}


@pytest.mark.parametrize(
    ("stages", "words", "error"),
    [
        ({"vision_sft": STAGES["base"]}, (), "--stages: expected the base, too"),
        ({"base": STAGES["base"], "rest": STAGES["base"]}, (), "'rest': expected one of base,"),
        (
            {"base": STAGES["base"], "vision_sft": (STAGES["base"][0], STAGES["base"][1][:1])},
            (),
            "vision_sft: expected the questions and solutions of the first model",
        ),
        ({"base": ([], [judged("a", (0,), (1,))])}, (), "no step is labelled right or wrong"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    compute: Compute, stages: dict[str, Any], words: tuple[str, ...], error: str
) -> None:
    assert error in compute(stages, *words)


def show(tmp_path: Path, command: Any, name: str, *words: str) -> list[dict[str, str]]:
    """Make tables or a figure; return the rows of the CSV file."""
    stem = tmp_path / "shown"
    arguments = [name, "--metrics", f"v={tmp_path / 'm.json'}", "--output-stem", str(stem), *words]
    assert cli.run(lambda: command.main(arguments)) == 0
    return list(csv.DictReader(io.StringIO(stem.with_suffix(".csv").read_text())))


def test_the_table_and_the_figure_show_the_numbers(compute: Compute, tmp_path: Path) -> None:
    metrics = compute(STAGES)
    rows = show(tmp_path, tables, "stage-gains")
    text = (tmp_path / "shown.md").read_text()
    assert "| Vision SFT | 75.0 [50.0, 100.0] | +50.0 [0.0, 100.0] | +50.0 [0.0, 100.0] | 0 |" in (
        text
    )
    assert "| Base | 33.3 [33.3, 33.3] | – | – | 0 |" in text
    assert "Of the 4 facts that the pictures of 2 questions show" in text
    assert text.startswith((tmp_path / "m.md").read_text()[:40])
    assert len(rows) == 2 * (1 + 3 + 3)
    key = {"stage": "step_judge_sft", "measure": "facts", "compared_with": "previous"}
    (row,) = [row for row in rows if key.items() <= row.items()]
    assert float(row["estimate"]) == metrics["stages"][2]["facts"]["to_previous"]["estimate"]
    assert (row["n_questions"], row["n_facts"], row["n_failed"]) == ("2", "4", "0")

    for width in ("3.3", "6.75"):
        drawn = show(tmp_path, figures, "stage-gains", "--width-in", width)
        assert drawn == rows
        assert (tmp_path / "shown.pdf").read_bytes().startswith(b"%PDF")
