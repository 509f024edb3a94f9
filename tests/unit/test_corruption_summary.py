"""The summary of judgements with corrupted captions: numbers, trend, tables and figure."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import f1_score, roc_auc_score

from evpv_prm import cli, figures, summarise_corruption, tables
from evpv_prm.data.constraint_records import ConstraintRecord
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_rows
from evpv_prm.metrics.corruption_file import CorruptionMetrics
from evpv_prm.metrics.corruption_summary import summarise, trend

RATIOS = ("0.2", "0.6", "1.0")
VIEWS = ("constraint_experiments", "constraint_experiments_without_image")
STEPS = 4
CAPTION = {"caption": "c", "key_facts": ["f"] * 4, "uncertain": []}


def judged(verdicts: Sequence[int | None], **meta: Any) -> dict[str, Any]:
    return {
        "vision_json": CAPTION,
        "step_predict": list(verdicts),
        "step_probabilities": [None if v is None else 0.5 + 0.3 * v for v in verdicts],
        "failures": [f"judge[{n}]:timeout" for n, v in enumerate(verdicts) if v is None],
        **({"meta": meta} if meta else {}),
    }


def extent(mode: str, ratio: str) -> dict[str, Any]:
    """Five items, of which FLIP can change four."""
    chosen = round(5 * float(ratio))
    changed = chosen if mode == "drop" else min(chosen, 4)
    counts = {"items": 5, "changed": changed, "realised": changed / 5, "ratio": float(ratio)}
    if mode == "drop":
        return {"type": mode, "caption_dropped": False, "dropped_key_facts_idx": [], **counts}
    flips = {"caption_flipped": False, "flipped_key_facts_idx": [], "flips": []}
    return {"type": mode, "unchangeable": chosen - changed, **flips, **counts}


def records(count: int = 12) -> list[dict[str, Any]]:
    """Records whose judge errs more often the more is dropped, and without the image."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        truth = [int(label) for label in rng.choice([1, 1, -1], STEPS)]

        def verdicts(accuracy: float, truth: Sequence[int] = truth) -> list[int]:
            return [label if rng.random() < accuracy else -label for label in truth]

        experiments = {
            view: {
                "baseline": judged(verdicts(0.95 - loss)),
                "drop": {
                    r: judged(verdicts(0.95 - loss - 0.4 * float(r)), **extent("drop", r))
                    for r in RATIOS
                },
                "flip": {r: judged(verdicts(0.8), **extent("flip", r)) for r in RATIOS},
            }
            for view, loss in zip(VIEWS, (0, 0.2), strict=True)
        }
        baseline = experiments[VIEWS[0]]["baseline"]
        rows.append(
            {
                "pid": str(number),
                "image": ["a.png"],
                "question": "q",
                "response": {"steps": ["s"] * STEPS, "process_correctness": truth},
                "policy_model": "M",
                "data_source": "S",
                "step_predict": baseline["step_predict"],
                "step_probabilities": baseline["step_probabilities"],
                "failures": [],
                **experiments,
            }
        )
    return rows


def summary(rows: list[dict[str, Any]], seed: int = 0) -> CorruptionMetrics:
    return summarise([ConstraintRecord.model_validate(row) for row in rows], 300, seed)


def labels(rows: list[dict[str, Any]]) -> list[int]:
    return [label for row in rows for label in row["response"]["process_correctness"]]


def every_pass(experiments: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [experiments["baseline"], *experiments["drop"].values(), *experiments["flip"].values()]


# Numbers


def test_every_pass_is_scored_as_scikit_learn_scores_it() -> None:
    rows = records()
    found = summary(rows)
    truth = labels(rows)
    for view, key in zip(("with_image", "without_image"), VIEWS, strict=True):
        scores = [*found.views[view].curve("drop"), *found.views[view].curve("flip")[1:]]
        passes = zip(*(every_pass(row[key]) for row in rows), strict=True)
        for score, judgements in zip(scores, passes, strict=True):
            predicted = [v for each in judgements for v in each["step_predict"]]
            p = [v for each in judgements for v in each["step_probabilities"]]
            assert score.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
            assert score.auroc == pytest.approx(roc_auc_score(truth, p))
            assert score.ci95[0] <= score.macro_f1 <= score.ci95[1]
            assert score.auroc_ci95 is not None
            assert score.auroc_ci95[0] <= score.auroc <= score.auroc_ci95[1]
            if score.difference is not None:
                change = score.macro_f1 - scores[0].macro_f1
                assert score.difference.estimate == pytest.approx(change)
                assert score.difference.ci95[0] <= change <= score.difference.ci95[1]
        assert scores[0].difference is None
        assert (scores[0].ratio, scores[0].realised, scores[0].items) == (0, 0, 60)


def test_the_realised_rate_is_that_of_all_items() -> None:
    found = summary(records()).views["with_image"]
    assert [each.realised for each in found.curve("drop")] == [0, 0.2, 0.6, 1.0]
    assert [each.realised for each in found.curve("flip")] == [0, 0.2, 0.6, 0.8]
    assert [each.ratio for each in found.curve("flip")] == [0, 0.2, 0.6, 1.0]
    last = found.flip["1.0"]
    assert (last.items, last.changed, last.unchangeable) == (60, 48, 12)


def test_a_real_fall_is_told_from_none() -> None:
    found = summary(records(60)).views["with_image"]
    loss = found.drop["1.0"].difference
    assert loss is not None
    assert loss.ci95[1] < 0
    assert loss.p_value < 0.01
    assert found.trend["drop"].spearman == -1.0
    rows = records(60)
    for row in rows:
        for mode, ratio in itertools.product(("drop", "flip"), RATIOS):
            row[VIEWS[0]][mode][ratio] |= {
                "step_predict": row[VIEWS[0]]["baseline"]["step_predict"]
            }
    same = summary(rows).views["with_image"]
    assert same.drop["1.0"].difference is not None
    assert same.drop["1.0"].difference.p_value == 1
    assert (same.trend["drop"].spearman, same.trend["drop"].p_value) == (None, None)


def test_a_failed_judgement_is_an_error_and_is_counted() -> None:
    rows = records()
    truth = labels(rows)
    rows[0][VIEWS[0]]["drop"]["0.6"] = judged([None] * STEPS, **extent("drop", "0.6"))
    found = summary(rows).views["with_image"].drop["0.6"]
    predicted = [-label for label in truth[:STEPS]]
    predicted += [v for row in rows[1:] for v in row[VIEWS[0]]["drop"]["0.6"]["step_predict"]]
    assert found.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert found.failures == {"judge:timeout": 4}
    assert summary(rows).views["without_image"].drop["0.6"].failures == {}


def test_records_without_a_caption_have_no_items() -> None:
    rows = records()
    for each in (each for view in VIEWS for each in every_pass(rows[0][view])):
        each |= {"vision_json": None, "step_predict": [None] * STEPS}
        each |= {"step_probabilities": [None] * STEPS, "failures": ["caption:timeout"]}
        if "meta" in each:
            each["meta"] = None
    found = summary(rows).views["with_image"]
    assert {each.items for each in found.curve("drop")} == {55}
    assert found.flip["1.0"].realised == 0.8
    assert found.baseline.failures == {"caption:timeout": 1}


def test_neutral_steps_are_left_out() -> None:
    rows = records()
    rows[0]["response"]["process_correctness"][:2] = [0, 0]
    found = summary(rows)
    assert (found.n_samples, found.n_steps, found.n_neutral) == (12, 46, 2)
    for row in rows:
        row["response"]["process_correctness"] = [0] * STEPS
    with pytest.raises(UserError, match="no step is labelled"):
        summary(rows)


def test_the_same_seed_gives_the_same_numbers() -> None:
    rows = records()
    assert summary(rows, 1) == summary(rows, 1)
    assert summary(rows, 1) != summary(rows, 2)


# Trend


@pytest.mark.parametrize(
    "scores", [[7, 6, 5, 4, 3, 2, 1], [7, 6, 4, 5, 3, 1, 2], [1, 5, 2, 2, 4, 3, 1]]
)
def test_the_trend_is_spearmans_and_its_p_value_counts_all_orders(scores: list[float]) -> None:
    rates = [0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]
    found = trend(rates, scores, 0)
    assert found.spearman == pytest.approx(spearmanr(rates, scores).statistic)
    ranks = np.argsort(np.argsort(rates))
    orders = np.array(list(itertools.permutations(spearman_ranks(scores))))
    dots = orders @ ranks
    here = spearman_ranks(scores) @ ranks
    tails = [(dots <= here + 1e-9).mean(), (dots >= here - 1e-9).mean()]
    assert found.p_value == pytest.approx(min(1, 2 * min(tails)))


def spearman_ranks(scores: Sequence[float]) -> Any:
    values = np.array(scores)
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


def test_a_steady_fall_has_the_smallest_p_value_that_seven_points_allow() -> None:
    found = trend([0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0], [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], 0)
    assert found.spearman == -1
    assert found.p_value == pytest.approx(2 / 5040)


# Commands


@pytest.fixture
def predictions(tmp_path: Path) -> list[Path]:
    rows = records()
    paths = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    write_rows(paths[0], rows[:5])
    write_rows(paths[1], rows[5:])
    return paths


def run(*words: str | Path) -> int:
    return cli.run(lambda: summarise_corruption.main([str(word) for word in words]))


def test_shards_are_summarised_together(predictions: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "m.json"
    words = ["--output", output, "--bootstrap-samples=300", "--seed=0"]
    assert run("--predictions", *predictions, *words) == 0
    assert CorruptionMetrics.model_validate(json.loads(output.read_text())) == summary(records())


def spoil_pid(rows: list[dict[str, Any]]) -> None:
    rows[1]["pid"] = rows[0]["pid"]


def spoil_ratios(rows: list[dict[str, Any]]) -> None:
    for view, mode in itertools.product(VIEWS, ("drop", "flip")):
        del rows[1][view][mode]["0.6"]


def spoil_length(rows: list[dict[str, Any]]) -> None:
    rows[1][VIEWS[0]]["flip"]["0.6"]["step_predict"].pop()


def spoil_field(rows: list[dict[str, Any]]) -> None:
    del rows[1][VIEWS[1]]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_pid, "1.jsonl:2: pid: '0' is "),
        (spoil_ratios, "1.jsonl:2: constraint_experiments: expected the ratios"),
        (spoil_length, "1.jsonl:2: expected one judgement a step in every pass"),
        (spoil_field, f"1.jsonl:2: {VIEWS[1]}: Field required"),
        (list.clear, "1.jsonl: expected at least one record"),
    ],
)
def test_bad_predictions_are_refused(
    spoil: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = records(3)
    spoil(rows)
    write_rows(tmp_path / "1.jsonl", rows)
    output = tmp_path / "m.json"
    assert run("--predictions", tmp_path / "1.jsonl", "--output", output) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


@pytest.fixture
def metrics(predictions: list[Path], tmp_path: Path) -> Path:
    output = tmp_path / "m.json"
    flags = ["--output", output, "--bootstrap-samples=300"]
    assert run("--predictions", *predictions, *flags) == 0
    return output


def test_the_tables_hold_every_pass(metrics: Path, tmp_path: Path) -> None:
    stem = tmp_path / "corruption"
    words = ["corruption", "--metrics", f"V={metrics}", f"--output-stem={stem}", "--note=A demo."]
    assert tables.main(words) == 0
    with stem.with_suffix(".csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 2 * (1 + len(RATIOS))
    found = summary(records())
    last = next(r for r in rows if (r["view"], r["mode"], r["ratio"]) == (
        "without_image", "flip", "1.0"))  # fmt: skip
    expected = found.views["without_image"].flip["1.0"]
    assert float(last["macro_f1"]) == expected.macro_f1
    assert expected.difference is not None
    assert float(last["difference_low"]) == expected.difference.ci95[0]
    assert (last["realised"], last["changed"], last["unchangeable"]) == ("0.8", "48", "12")
    markdown = stem.with_suffix(".md").read_text()
    assert markdown.startswith("> A demo.")
    assert "| Caption alone | FLIP | 100.0 | 80.0 | 48 of 60 | 12 | 0 |" in markdown
    assert markdown.count("| whole | 0.0 | 0.0 | 0 of 60 |") == 2
    drop = found.views["with_image"].trend["drop"]
    assert drop.p_value is not None
    row = f"| Image and caption | DROP | {drop.spearman:.2f} | {drop.p_value:.4f} |"
    assert row.replace("-", "−") in markdown
    assert r"\begin{table}" in stem.with_suffix(".tex").read_text()


def test_the_figure_is_drawn_against_the_realised_rate(metrics: Path, tmp_path: Path) -> None:
    frame = figures.corruption_frame(figures.read_corruption_metrics({"V": metrics}))
    drawn = figures.draw_corruption_curves(frame, 6.75)
    with_image, without_image = drawn.axes
    found = summary(records())
    for panel, view in ((with_image, "with_image"), (without_image, "without_image")):
        for line, mode in zip(panel.lines, ("drop", "flip"), strict=True):
            curve = found.views[view].curve(mode)
            assert list(line.get_xdata()) == pytest.approx([100 * each.realised for each in curve])
            assert list(line.get_ydata()) == pytest.approx([100 * each.macro_f1 for each in curve])
        assert len(panel.collections) == 2
    stem = tmp_path / "corruption"
    words = ["corruption", "--metrics", f"V={metrics}", f"--output-stem={stem}", "--dpi=50"]
    assert figures.main(words) == 0
    for suffix in (".pdf", ".png", ".csv"):
        assert stem.with_suffix(suffix).stat().st_size > 0
