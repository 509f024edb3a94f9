"""From judged answers to the intervention's metrics, tables and figure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import compute_intervention_metrics as command
from evpv_prm import figures, tables
from evpv_prm.cli import run
from evpv_prm.data.conditions import CONDITIONS, SETTINGS
from evpv_prm.jsonl import write_rows
from evpv_prm.metrics.intervention_file import InterventionMetrics

CAPTION = {"caption": "c", "key_facts": []}
META = {
    "oracle_description": CAPTION,
    "noisy_description": {"text": "d", "source": "rules", "errors": []},
    "failures": [],
}


def solution(final: str, *scores: int | None, p: float | None = 0.5) -> dict[str, Any]:
    failures = [f"judge[{n}]:timeout" for n, score in enumerate(scores) if score is None]
    evaluation = {
        "steps": [f"s{n}" for n in range(len(scores))],
        "step_scores": list(scores),
        "step_probabilities": [p for _ in scores],
        "failures": failures,
    }
    return {"reasoning": "r", "final": final, "prm_eval": evaluation}


def failed(error: str) -> dict[str, Any]:
    return {"error": error, "detail": "", "rawoutput": ""}


def judged(pid: str, *conditions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    row = {"pid": pid, "question": "?", "answer": "B", "image": f"{pid}.png", "datasource": "D"}
    experiments = dict(zip(CONDITIONS, conditions, strict=True))
    return {
        **row,
        "perception_intervention_meta": META,
        "perception_intervention_exps": experiments,
        **fields,
    }


RIGHT, WRONG = solution("B", 1, 1), solution("A", 1, -1, p=0.25)
ROWS = [
    judged("q1", RIGHT, RIGHT, WRONG, WRONG),
    judged("q2", WRONG, RIGHT, WRONG, failed("solve:truncated")),
    judged("q3", RIGHT, failed("describe:timeout"), failed("describe:timeout"), WRONG),
    judged("q4", WRONG, solution("B", 1, None), failed("noise:unchanged"), RIGHT),
    judged("q5", *[failed("question:missing_image")] * 4),
]


@pytest.fixture
def compute(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def perform(rows: list[dict[str, Any]], *words: str) -> dict[str, Any]:
        write_rows(tmp_path / "judged.jsonl", rows)
        arguments = [
            "--judged", str(tmp_path / "judged.jsonl"), "--output", str(tmp_path / "m.json"),
            "--markdown", str(tmp_path / "m.md"), "--bootstrap-samples", "200", *words,
        ]  # fmt: skip
        assert run(lambda: command.main(arguments)) == 0
        value: dict[str, Any] = json.loads((tmp_path / "m.json").read_text())
        return value

    return perform


def numbers(metrics: dict[str, Any], kind: str, measure: str) -> list[tuple[float | None, int]]:
    """Estimate and denominator under each condition that has the measure."""
    conditions = metrics["datasources"]["D"]["conditions"]
    found = (conditions[name][kind].get(measure) for name in CONDITIONS)
    return [(one["estimate"], one["n"]) for one in found if one is not None]


def test_the_means_are_those_of_the_questions_that_count(
    compute: Callable[..., dict[str, Any]],
) -> None:
    metrics = compute(ROWS)
    # A reply that failed is wrong; a condition that could not be had is neither right nor wrong.
    assert numbers(metrics, "measures", "accuracy") == [
        (0.5, 4), (1.0, 3), (0.0, 2), (pytest.approx(1 / 4), 4)
    ]  # fmt: skip
    # A solution with a failed judgement has no score.
    assert numbers(metrics, "measures", "step_score") == [
        (0.75, 4), (1.0, 2), (0.5, 2), (pytest.approx(2 / 3), 3)
    ]  # fmt: skip
    assert numbers(metrics, "measures", "step_probability") == [
        (0.375, 4), (0.5, 2), (0.25, 2), (pytest.approx(1 / 3), 3)
    ]  # fmt: skip


def test_differences_are_paired(compute: Callable[..., dict[str, Any]]) -> None:
    metrics = compute(ROWS)
    # q1, q2, q4 have both: 0, +1, +1; not the difference of the means, 0.5.
    assert numbers(metrics, "differences", "accuracy") == [
        (pytest.approx(2 / 3), 3), (-0.5, 2), (-0.25, 4)
    ]  # fmt: skip
    assert numbers(metrics, "differences", "step_score")[0] == (0.25, 2)
    assert "accuracy" not in metrics["datasources"]["D"]["conditions"]["cond1"]["differences"]


def test_counts_and_failures_by_reason(compute: Callable[..., dict[str, Any]]) -> None:
    part = compute(ROWS)["datasources"]["D"]
    assert part["n"] == 5
    counts = {
        name: tuple(one[key] for key in ("n_asked", "n_answered", "n_scored", "n_steps"))
        for name, one in part["conditions"].items()
    }
    assert counts == {
        "cond1": (4, 4, 4, 8), "cond2": (3, 3, 2, 4), "cond3": (2, 2, 2, 4), "cond4": (4, 3, 3, 6)
    }  # fmt: skip
    assert {name: one["failures"] for name, one in part["conditions"].items()} == {
        "cond1": {"question:missing_image": 1},
        "cond2": {"describe:timeout": 1, "judge:timeout": 1, "question:missing_image": 1},
        "cond3": {"describe:timeout": 1, "noise:unchanged": 1, "question:missing_image": 1},
        "cond4": {"question:missing_image": 1, "solve:truncated": 1},
    }


def test_questions_on_one_image_are_drawn_together(
    compute: Callable[..., dict[str, Any]],
) -> None:
    apart = [
        judged(f"{n}", *([RIGHT] * 4 if n % 2 else [WRONG] * 4), image=f"{n}.png")
        for n in range(40)
    ]
    together = [{**row, "image": f"{n // 10}.png"} for n, row in enumerate(apart)]
    wide = compute(apart)["datasources"]["D"]["conditions"]["cond1"]["measures"]["accuracy"]
    low, high = wide["ci95"]
    assert low < 0.5 < high
    # Each image has as many right answers as wrong ones: drawing images changes nothing.
    same = compute(together)["datasources"]["D"]["conditions"]["cond1"]["measures"]["accuracy"]
    assert same["ci95"] == [0.5, 0.5]


def test_an_interval_of_a_paired_difference_is_narrower_than_the_means(
    compute: Callable[..., dict[str, Any]],
) -> None:
    rows = [judged(f"{n}", *([RIGHT] * 4 if n % 2 else [WRONG] * 4)) for n in range(40)]
    condition = compute(rows)["datasources"]["D"]["conditions"]["cond4"]
    assert condition["differences"]["accuracy"] == {"estimate": 0.0, "ci95": [0.0, 0.0], "n": 40}
    low, high = condition["measures"]["accuracy"]["ci95"]
    assert high - low > 0.2


def test_datasources_are_pooled_and_independent(compute: Callable[..., dict[str, Any]]) -> None:
    other = [judged("x1", RIGHT, WRONG, WRONG, WRONG, datasource="E")]
    both, alone = compute(ROWS + other), compute(ROWS)
    assert both["datasources"]["D"] == alone["datasources"]["D"]
    pooled = both["datasources"]["OVERALL"]["conditions"]["cond1"]["measures"]["accuracy"]
    assert (pooled["estimate"], pooled["n"]) == (0.6, 5)
    assert compute(ROWS) == alone
    assert compute(ROWS, "--seed", "1") != alone


def test_what_nobody_answered_has_no_number(compute: Callable[..., dict[str, Any]]) -> None:
    metrics = compute([judged("q", RIGHT, *[failed("describe:timeout")] * 2, RIGHT)])
    condition = metrics["datasources"]["D"]["conditions"]["cond2"]
    assert condition["measures"]["accuracy"] == {"estimate": None, "ci95": None, "n": 0}
    assert condition["differences"]["step_score"] == {"estimate": None, "ci95": None, "n": 0}
    InterventionMetrics.model_validate(metrics)


def test_verdicts_without_probabilities_are_scores(
    compute: Callable[..., dict[str, Any]],
) -> None:
    metrics = compute([judged("q", *[solution("B", 1, -1, p=None)] * 4)])
    assert numbers(metrics, "measures", "step_score")[0] == (0.5, 1)
    assert numbers(metrics, "measures", "step_probability")[0] == (None, 0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "expected at least one record"),
        ([ROWS[0], ROWS[0]], "judged.jsonl:2: pid: 'q1' is also the pid of"),
        ([{**ROWS[0], "datasource": "OVERALL"}], "judged.jsonl:1: datasource: 'OVERALL' is"),
        (
            [judged("q", {"reasoning": "r", "final": "B"}, RIGHT, RIGHT, RIGHT)],
            "judged.jsonl:1: perception_intervention_exps.cond1.prm_eval: expected the output of",
        ),
        (
            [judged("q", {"reasoning": "r"}, RIGHT, RIGHT, RIGHT)],
            "judged.jsonl:1: perception_intervention_exps.cond1.solution.final: Field required",
        ),
    ],
)
def test_bad_files_are_one_line(
    rows: list[dict[str, Any]],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_rows(tmp_path / "judged.jsonl", rows)
    words = ["--judged", str(tmp_path / "judged.jsonl"), "--output", str(tmp_path / "m.json")]
    assert run(lambda: command.main(words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "m.json").exists()


# Tables and figures


def make(kind: Any, tmp_path: Path, *words: str) -> Path:
    stem = tmp_path / "out" / "intervention"
    files = [f"one={tmp_path / 'm.json'}", f"two={tmp_path / 'm.json'}"]
    arguments = ["intervention", "--metrics", *files, "--output-stem", str(stem), *words]
    assert run(lambda: kind.main(arguments)) == 0
    return stem


def test_the_tables_state_numbers_denominators_and_failures(
    compute: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    compute([*ROWS, judged("x1", RIGHT, WRONG, WRONG, WRONG, datasource="E")])
    stem = make(tables, tmp_path, "--note", "Random models.")
    markdown = stem.with_suffix(".md").read_text()
    assert markdown.startswith("> Random models.")
    assert "| one | D | Image | 5" in markdown
    assert "| two | All questions pooled | Question alone |" in markdown
    assert "| one | E | Image + oracle description | −100.0 [−100.0, −100.0] |" in markdown
    assert "| one | D | Image + oracle description | 3 | 3 | 2 | 4 | 3 |" in markdown
    assert "Questions: D 5, E 1, All questions pooled 6." in markdown
    assert "Question alone: question:missing_image 1, solve:truncated 1" in markdown
    assert r"\begin{tabular}{lllrrr}" in stem.with_suffix(".tex").read_text()
    rows = list(csv.DictReader(io.StringIO(stem.with_suffix(".csv").read_text())))
    found = {(r["policy"], r["benchmark"], r["condition"], r["metric"]): r for r in rows}
    assert len(found) == len(rows) == 2 * 3 * (4 * 3 + 3 * 3)
    row = found["one", "D", "cond2", "accuracy_difference"]
    assert float(row["estimate"]) == pytest.approx(2 / 3)
    assert (row["n"], row["n_questions"], row["n_asked"]) == ("3", "5", "3")
    assert row["failures"] == "describe:timeout=1;judge:timeout=1;question:missing_image=1"


def test_one_policy_and_one_benchmark_need_no_columns_of_their_own(
    compute: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    compute(ROWS)
    markdown = (tmp_path / "m.md").read_text()
    assert "| Benchmark | Condition | Accuracy |" in markdown
    assert "pooled" not in markdown


def test_the_figure_holds_the_numbers_that_it_draws(
    compute: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    compute(ROWS)
    stem = make(figures, tmp_path, "--width-in", "5", "--dpi", "50")
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(stem.with_suffix(".csv").read_text())))
    assert {row["benchmark"] for row in rows} == {"D"}
    assert {row["setting"] for row in rows} == {setting.label for setting in SETTINGS.values()}
    drawn = {(r["policy"], r["metric"], r["condition"]): r["estimate"] for r in rows}
    assert len(drawn) == 2 * 2 * 4
    assert float(drawn["one", "accuracy", "cond2"]) == 1.0


def test_an_estimate_outside_its_interval_is_drawn(
    compute: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    metrics = compute(ROWS)
    for condition in metrics["datasources"]["D"]["conditions"].values():
        condition["measures"]["accuracy"]["ci95"] = [0.9, 0.95]
    (tmp_path / "m.json").write_text(json.dumps(metrics))
    assert make(figures, tmp_path).with_suffix(".png").stat().st_size > 0
