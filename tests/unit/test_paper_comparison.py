"""Published numbers beside those of a run."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import compare_with_paper, published
from evpv_prm.cli import run
from evpv_prm.jsonl import write_json
from evpv_prm.metrics.bon_file import BonMetrics
from evpv_prm.metrics.paper_comparison import Comparison, Measured, Run, compare, comparison_frame
from evpv_prm.prompts import CATEGORIES, SUBCATEGORIES
from evpv_prm.published import BENCHMARK_QUESTIONS, SOURCE_SOLUTIONS
from tests.measured import AGGREGATION, policy, steps


def by_subject(found: Run, quantity: str) -> dict[str, Comparison]:
    return {row.subject: row for row in compare(found) if row.quantity == quantity}


@pytest.mark.parametrize(
    ("interval", "tolerance", "verdict"),
    [
        ((0.60, 0.70), 0.005, "within the interval"),
        ((0.67461, 0.70), 0.005, "within the interval"),
        ((0.676, 0.70), 0.005, "above"),
        ((0.60, 0.673), 0.005, "below"),
        ((0.676, 0.70), 1.0, "within the interval"),
        (None, 0.005, "not comparable"),
    ],
)
def test_a_verdict_says_where_the_interval_lies(
    interval: tuple[float, float] | None, tolerance: float, verdict: str
) -> None:
    measured = Measured(0.65, interval)
    row = Comparison("Macro-F1", "", "", 67.46, tolerance, "somewhere", measured)
    assert row.verdict == verdict
    assert bool(row.reason) == (verdict == "not comparable")


@given(st.floats(0, 100), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.text(min_size=1))
def test_what_cannot_be_compared_has_no_difference(
    value: float, ours: float, one: float, other: float, obstacle: str
) -> None:
    interval = (min(one, other), max(one, other))
    free = Comparison("", "", "", value, 0, "", Measured(ours, interval))
    assert free.difference == pytest.approx(ours - value / 100)
    held = Comparison("", "", "", value, 0, "", Measured(ours, interval, obstacle))
    assert (held.verdict, held.difference) == ("not comparable", None)


def test_a_full_run_is_compared_in_everything() -> None:
    found = Run({"InternVL2.5-8B": policy()}, AGGREGATION, steps())
    gains = by_subject(found, "BoN@8 gain")
    assert gains["InternVL2.5-8B"].verdict == "within the interval"
    assert gains["InternVL2.5-8B"].difference == pytest.approx(0.09 - 0.0883)
    assert gains["InternVL2.5-38B"].reason == "InternVL2.5-38B is not in this run"
    assert by_subject(found, "Policy alone")["InternVL2.5-8B"].verdict == "within the interval"
    assert {row.verdict for row in by_subject(found, "Macro-F1").values()} == {
        "within the interval"
    }
    alone = {r.benchmark: r for r in compare(found) if r.quantity == "Policy alone, by benchmark"}
    assert alone["MathVision"].verdict == "above"
    assert alone["MMMU"].verdict == "below"
    assert "groups of problems" in alone["WeMath"].reason


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        (policy({"Lengths": 8}), "the benchmarks are not the paper's six, but Lengths"),
        (policy({**BENCHMARK_QUESTIONS, "MMMU": 30}), "30 of 900 questions of MMMU"),
        (policy(k=4), "4 candidates a question, not 8"),
    ],
)
def test_other_questions_or_candidates_cannot_be_compared(metrics: BonMetrics, reason: str) -> None:
    rows = by_subject(Run({"InternVL2.5-8B": metrics}, AGGREGATION), "BoN@8 gain")
    assert rows["InternVL2.5-8B"].reason == reason


@pytest.mark.parametrize(
    ("solutions", "reason"),
    [
        ({"Angles": 5}, "the solutions are not VisualProcessBench's, but those of Angles"),
        ({**SOURCE_SOLUTIONS, "WeMath": 3}, "2,578 of VisualProcessBench's 2,866 solutions"),
    ],
)
def test_other_solutions_cannot_be_compared(solutions: dict[str, int], reason: str) -> None:
    rows = by_subject(Run({}, AGGREGATION, steps(solutions)), "Macro-F1")
    assert {row.reason for row in rows.values()} == {reason}


def test_a_caution_keeps_everything_from_being_compared() -> None:
    run = Run({"InternVL2.5-8B": policy()}, AGGREGATION, steps(), caution="Random weights.")
    frame = comparison_frame(compare(run))
    assert set(frame["verdict"]) == {"not comparable"}
    assert frame["difference"].isna().all()
    assert "Random weights" in set(frame["reason"])


def test_every_row_has_a_source_and_a_published_number() -> None:
    frame = comparison_frame(compare(Run({}, AGGREGATION)))
    assert (frame["reference"] != "").all()
    assert frame["published"].between(0, 1).all()
    assert {67.46, 8.83, 9.52, 9.78} <= set((100 * frame["published"]).round(2))


def test_the_published_categories_are_those_of_the_teacher() -> None:
    assert tuple(published.ERROR_SHARES["category"]) == CATEGORIES
    assert tuple(published.ERROR_SHARES["subcategory"]) == SUBCATEGORIES
    for shares in published.ERROR_SHARES.values():
        assert sum(shares.values()) == pytest.approx(1)


# The command


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    write_json(tmp_path / "bon.json", policy({"Lengths": 8}).model_dump(mode="json"))
    write_json(tmp_path / "steps.json", steps({"A": 3}).model_dump(mode="json", by_alias=True))
    categories = pd.DataFrame(
        [
            {"level": level, "category": name, "share": share, "ci95_low": 0.0, "ci95_high": 1.0}
            for level, shares in published.ERROR_SHARES.items()
            for name, share in shares.items()
        ]
    )
    categories.to_csv(tmp_path / "categories.csv", index=False)
    return [
        *("--best-of-n", f"tiny={tmp_path / 'bon.json'}"),
        *("--step-level", str(tmp_path / "steps.json")),
        *("--error-categories", str(tmp_path / "categories.csv")),
        *("--table-stem", str(tmp_path / "out/table")),
        *("--output-stem", str(tmp_path / "out/figure")),
        *("--dpi", "50"),
    ]


def test_a_demo_says_that_nothing_is_comparable_and_why(words: list[str], tmp_path: Path) -> None:
    assert run(lambda: compare_with_paper.main([*words, "--note", "Tiny models."])) == 0
    for suffix in ("md", "tex"):
        text = (tmp_path / f"out/table.{suffix}").read_text()
        assert "Tiny models. Nothing in this run can be compared with the paper." in text
        assert "InternVL2.5-8B is not in this run" in text
    rows = list(csv.DictReader((tmp_path / "out/figure.csv").open()))
    assert rows == list(csv.DictReader((tmp_path / "out/table.csv").open()))
    assert {row["verdict"] for row in rows} == {"not comparable"}
    pdf = (tmp_path / "out/figure.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


@pytest.mark.parametrize("width", ["3.375", "6.75"])
def test_without_a_caution_the_rest_is_compared(
    words: list[str], tmp_path: Path, width: str
) -> None:
    assert run(lambda: compare_with_paper.main([*words, "--width-in", width])) == 0
    text = (tmp_path / "out/table.md").read_text()
    assert "Nothing in this run" not in text
    assert "| Share of wrong steps | logical | of wrong steps | 19 [1] | 19.0 [0.0, 100.0]" in text
    assert "| 40 ± 1 [3] | – | – | not comparable (b) |" in text


@pytest.mark.parametrize(
    ("flag", "content", "complaint"),
    [
        ("--aggregation", None, "--aggregation: expected one of geometric_mean, found 'mean'"),
        ("--error-categories", "level,share\n", "expected the columns category, ci95_high"),
        ("--step-level", "{}", "bootstrap_samples: Field required"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    flag: str, content: str | None, complaint: str,
) -> None:  # fmt: skip
    bad = tmp_path / "bad"
    bad.write_text(content or "")
    value = "mean" if content is None else str(bad)
    assert run(lambda: compare_with_paper.main([*words, flag, value])) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
