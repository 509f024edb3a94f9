"""The comparison of the ablation suite's configurations, its table and its figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from evpv_prm import cli, figures, summarise_ablations, tables
from evpv_prm.ablations import NAMES
from evpv_prm.data.ablated_records import AblatedRecord
from evpv_prm.jsonl import write_rows
from evpv_prm.metrics.ablation_summary import holm
from evpv_prm.metrics.step_level import paired_difference, record_confusions, step_outcomes

Verdicts = Sequence[Sequence[int | None]]
TRUTH = [[1, 1, -1], [1, -1, 0], [1], [-1, -1], [1, 1, 1, -1], [-1, 1]] * 4


def rows(
    name: str, verdicts: Sequence[Sequence[int | None]], seed: int = 1
) -> list[dict[str, Any]]:
    return [
        {
            "pid": f"p{number}",
            "image": "a.png",
            "question": "Q?",
            "response": {"steps": ["s"] * len(labels), "process_correctness": labels},
            "policy_model": "P",
            "data_source": "D",
            "step_predict": predicted,
            "step_probabilities": [None] * len(labels),
            "failures": [f"judge[{i}]:timeout" for i, v in enumerate(predicted) if v is None],
            "ablation_name": name,
            "ablation_meta": {"seed": seed, "imputed_steps": []},
        }
        for number, (labels, predicted) in enumerate(zip(TRUTH, verdicts, strict=True))
    ]


def flipped(share: float, seed: int) -> list[list[int | None]]:
    """Verdicts of which this share is wrong."""
    draw = np.random.default_rng(seed)
    return [
        [-(label or 1) if draw.random() < share else (label or 1) for label in labels]
        for labels in TRUTH
    ]


class Summary:
    """The command, its files and what it wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Path] = []

    def add(self, name: str, verdicts: Verdicts, seed: int = 1) -> None:
        path = self.folder / f"{len(self.files)}.jsonl"
        write_rows(path, rows(name, verdicts, seed))
        self.files.append(path)

    def run(self, *words: str) -> int:
        files = list(map(str, self.files))
        output = ["--output", str(self.folder / "M.json"), "--bootstrap-samples", "200"]
        arguments = ["--predictions", *files, *output, *words]
        return cli.run(lambda: summarise_ablations.main(arguments))

    @property
    def metrics(self) -> dict[str, Any]:
        return json.loads((self.folder / "M.json").read_text())

    def of(self, name: str) -> dict[str, Any]:
        (entry,) = [c for c in self.metrics["configurations"] if c["name"] == name]
        return entry


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return Summary(tmp_path)


@pytest.fixture
def suite(summary: Summary) -> Summary:
    for number, name in enumerate(reversed(NAMES)):
        summary.add(name, flipped(0.15 + 0.25 * (name == "history_none"), number))
    return summary


def test_macro_f1_and_differences_are_those_of_all_steps(suite: Summary) -> None:
    assert suite.run() == 0
    assert [entry["name"] for entry in suite.metrics["configurations"]] == list(NAMES)
    assert suite.metrics["n_compared"] == 28
    expected = {}
    for number, name in enumerate(reversed(NAMES)):
        verdicts = flipped(0.15 + 0.25 * (name == "history_none"), number)
        pairs = [
            (label, verdict)
            for labels, predicted in zip(TRUTH, verdicts, strict=True)
            for label, verdict in zip(labels, predicted, strict=True)
            if label
        ]
        expected[name] = f1_score(*zip(*pairs, strict=True), average="macro")
        assert suite.of(name)["macro_f1"] == pytest.approx(expected[name])
        assert suite.of(name)["n_steps"] == len(pairs)
    for name in NAMES:
        found = suite.of(name)["comparison"]
        if name == "baseline":
            assert found is None
            continue
        reference = "free_decoding" if name.startswith("parse_fail") else "baseline"
        assert found["reference"] == reference
        assert found["estimate"] == pytest.approx(expected[name] - expected[reference])
        assert found["ci95"][0] <= found["estimate"] <= found["ci95"][1]
        assert (found["p_corrected"] is None) == (name == "free_decoding")


def test_intervals_and_p_values_are_paired_and_corrected(suite: Summary) -> None:
    assert suite.run("--seed", "3") == 0
    files = {rows[0]["ablation_name"]: rows for rows in map(_read, suite.files)}
    names = [name for name in NAMES if name not in ("baseline", "free_decoding")]
    found = {}
    for name in names:
        reference = "free_decoding" if name.startswith("parse_fail") else "baseline"
        sides = []
        for side in (name, reference):
            # The file's order does not matter: the draws go by the sorted pids.
            records = sorted(files[side], key=lambda row: row["pid"])
            outcomes = step_outcomes([AblatedRecord.model_validate(row) for row in records])
            sides.append(record_confusions(outcomes, len(records)))
        found[name] = paired_difference(*sides, 200, 3)
        assert suite.of(name)["comparison"]["ci95"] == pytest.approx(found[name].ci95)
        assert suite.of(name)["comparison"]["p_value"] == pytest.approx(found[name].p_value)
    corrected = holm([found[name].p_value for name in names])
    for name, value in zip(names, corrected, strict=True):
        assert suite.of(name)["comparison"]["p_corrected"] == pytest.approx(value)
    assert suite.of("history_none")["comparison"]["estimate"] < 0


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_other_form_is_named_as_it_was_in_the_run(suite: Summary) -> None:
    assert suite.run() == 0
    assert suite.of("judge_other_form")["differs_in"] == "judge form: other"
    place = [*reversed(NAMES)].index("judge_other_form")
    found = _read(suite.files[place])
    for row in found:
        row["ablation_meta"]["judge_form"] = "evidence_then_verdict"
    write_rows(suite.files[place], found)
    assert suite.run() == 0
    entry = suite.of("judge_other_form")
    assert entry["differs_in"] == "judge form: evidence_then_verdict"
    assert entry["comparison"]["reference"] == "baseline"


def test_a_failed_step_counts_against_both_classes(summary: Summary) -> None:
    perfect = [[label or 1 for label in labels] for labels in TRUTH]
    failed: list[list[int | None]] = [list(labels) for labels in perfect]
    failed[0][0] = failed[3][1] = None
    summary.add("baseline", perfect)
    summary.add("history_none", failed)
    assert summary.run() == 0
    assert summary.of("baseline")["macro_f1"] == 1
    entry = summary.of("history_none")
    assert entry["n_failed"] == 2
    assert entry["failures"] == {"judge:timeout": 2}
    truth = [label for labels in TRUTH for label in labels if label]
    counted = [
        (-label if verdict is None else verdict)
        for labels, predicted in zip(TRUTH, failed, strict=True)
        for label, verdict in zip(labels, predicted, strict=True)
        if label
    ]
    assert entry["macro_f1"] == pytest.approx(f1_score(truth, counted, average="macro"))


def test_repetitions_of_a_solution_belong_together(summary: Summary) -> None:
    """Twice the same judgements are no more evidence than once."""
    for seed in (1, 2):
        summary.add("baseline", flipped(0.1, 0), seed)
        summary.add("history_none", flipped(0.3, 1), seed)
    assert summary.run() == 0
    assert summary.metrics["repetitions"] == 2
    twice = summary.of("history_none")
    once = Summary(summary.folder / "once")
    once.folder.mkdir()
    once.add("baseline", flipped(0.1, 0))
    once.add("history_none", flipped(0.3, 1))
    assert once.run() == 0
    assert twice["n_steps"] == 2 * once.of("history_none")["n_steps"]
    assert twice["comparison"] == once.of("history_none")["comparison"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_s_correction(p_values: list[float]) -> None:
    corrected = holm(p_values)
    count = len(p_values)
    for own, found in zip(p_values, corrected, strict=True):
        assert own <= found <= min(1, count * own) or found == own == 0
    order = sorted(range(count), key=lambda index: p_values[index])
    assert sorted(corrected) == [corrected[index] for index in order]
    assert min(corrected) == pytest.approx(min(1, count * min(p_values)))
    assert max(corrected) >= max(p_values)


def test_holm_s_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["history_none"], "history_none is compared with baseline, which is missing"),
        (["baseline", "parse_fail_to_1"], "compared with free_decoding, which is missing"),
        (["baseline", "no_such"], "1.jsonl:1: no ablation configuration 'no_such'"),
        (["baseline", "baseline"], "1.jsonl:1: pid: 'p0' is also the pid of "),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    names: list[str], part: str, summary: Summary, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in names:
        summary.add(name, flipped(0.1, 0))
    assert summary.run() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert part in line
    assert not (summary.folder / "M.json").exists()


def test_other_solutions_are_refused(summary: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    summary.add("baseline", flipped(0.1, 0))
    summary.add("history_none", flipped(0.1, 0))
    summary.files[1].write_text("".join(summary.files[1].read_text().splitlines(True)[1:]))
    assert summary.run() == 2
    assert "history_none and baseline judge different solutions" in capsys.readouterr().err


# Table and figure


@pytest.fixture
def made(suite: Summary) -> Summary:
    counts = {"requests": 1000, "distinct": 1000, "new": 10}
    for shard in ("1", "2"):
        report = {
            "asked": {"requests": 29000, "distinct": 20000, "new": 290},
            "configurations": dict.fromkeys(NAMES, counts),
            "engine": {},
        }
        (suite.folder / f"{shard}.json").write_text(json.dumps(report))
    requests = [str(suite.folder / f"{shard}.json") for shard in ("1", "2")]
    assert suite.run("--requests", *requests) == 0
    words = ["ablations", "--metrics", f"verifier={suite.folder / 'M.json'}"]
    assert tables.main([*words, "--output-stem", str(suite.folder / "table")]) == 0
    assert figures.main([*words, "--output-stem", str(suite.folder / "figure")]) == 0
    return suite


def test_the_table_shows_every_configuration(made: Summary) -> None:
    text = (made.folder / "table.md").read_text()
    results, requests = text.split("**What the ablations ask for**")
    for name in NAMES:
        (line,) = [line for line in results.splitlines() if f"| {name} |" in line]
        entry = made.of(name)
        assert f"| {100 * entry['macro_f1']:.1f} [" in line
        assert f"| {name} | 2,000 | 2,000 | 20 |" in requests
    assert "| All together | 58,000 | 40,000 | 580 |" in requests
    assert "corrected for 28 comparisons" in results
    assert "\\begin{table}" in (made.folder / "table.tex").read_text()
    with (made.folder / "table.csv").open() as stream:
        written = {row["configuration"]: row for row in csv.DictReader(stream)}
    for name in NAMES:
        found = made.of(name)["comparison"]
        if found is None:
            assert written[name]["difference"] == ""
        else:
            assert float(written[name]["difference"]) == pytest.approx(found["estimate"])
            assert written[name]["compared_with"] == found["reference"]


def test_the_figure_is_drawn_with_its_numbers(made: Summary) -> None:
    stem = made.folder / "figure"
    assert Path(f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    assert Path(f"{stem}.png").read_bytes().startswith(b"\x89PNG")
    assert Path(f"{stem}.csv").read_text() == (made.folder / "table.csv").read_text()
