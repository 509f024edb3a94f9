"""What is wrong with the wrong steps, from the labels of the step-judge data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.cli import run
from evpv_prm.error_categories import categories_frame, draw_categories, main, wrong_steps
from evpv_prm.jsonl import write_rows
from evpv_prm.metrics.shares import clustered_share
from evpv_prm.prompts import CATEGORIES, SUBCATEGORIES

VISUAL, LOGICAL, CALCULATION, *_ = CATEGORIES
VALUE = "value_misreading"

RIGHT = {"score": 1, "category": None, "subcategory": None}
MISREAD = {"score": -1, "category": VISUAL, "subcategory": VALUE}
ILLOGICAL = {"score": -1, "category": LOGICAL, "subcategory": None}


def solution(image: str, *results: Mapping[str, Any]) -> dict[str, Any]:
    judged = [{"step": number, **result} for number, result in enumerate(results, start=1)]
    return {"image": image, "question": "Q?", "step_judge_result": judged}


def labels(folder: Path, *rows: Mapping[str, Any]) -> Path:
    write_rows(folder / "labels.jsonl", rows)
    return folder / "labels.jsonl"


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Five wrong steps of nine, on two of three images."""
    return labels(
        tmp_path,
        solution("A/1.png", RIGHT, MISREAD, MISREAD),
        solution("A/1.png", RIGHT, MISREAD),
        solution("A/2.png", ILLOGICAL, MISREAD, RIGHT),
        solution("B/1.png", RIGHT),
    )


def frame_of(path: Path) -> pd.DataFrame:
    return categories_frame(wrong_steps(path)).set_index(["level", "category"])


def test_wrong_steps_are_counted_by_category_and_subcategory(mixed: Path) -> None:
    frame = frame_of(mixed)
    counts = {key: count for key, count in frame["count"].items() if count}
    assert counts == {
        ("category", VISUAL): 4,
        ("category", LOGICAL): 1,
        ("subcategory", VALUE): 4,
    }
    assert frame.loc[("category", VISUAL), "share"] == 0.8
    assert set(frame.loc["category", "n"]) == {5}
    assert set(frame.loc["subcategory", "n"]) == {4}
    assert set(frame["n_images"]) == {2}


def test_absent_categories_are_listed_with_an_interval(mixed: Path) -> None:
    frame = frame_of(mixed)
    assert list(frame.loc["category"].index) == [*CATEGORIES, "unlabelled"]
    assert list(frame.loc["subcategory"].index) == [*SUBCATEGORIES, "unlabelled"]
    absent = frame.loc[("category", CALCULATION)]
    assert (absent["count"], absent["share"], absent["ci95_low"]) == (0, 0, 0)
    assert 0.3 < absent["ci95_high"] < 1, "two images tell little"


def test_wrong_steps_without_a_category_count_as_unlabelled(tmp_path: Path) -> None:
    bare = {"score": -1, "category": None}
    path = labels(tmp_path, solution("a.png", bare, MISREAD, {**MISREAD, "subcategory": None}))
    frame = frame_of(path)
    assert frame.loc[("category", "unlabelled"), "count"] == 1
    assert frame.loc[("subcategory", "unlabelled"), "count"] == 1
    figure = draw_categories(frame.reset_index(), 6.75)
    assert [panel.get_yticklabels()[-1].get_text() for panel in figure.axes] == ["Unlabelled"] * 2


def test_published_shares_stand_beside_ours(mixed: Path) -> None:
    published = frame_of(mixed)["published_share"]
    assert published["category"].sum() == pytest.approx(1)
    assert published["subcategory"].sum() == pytest.approx(1)
    assert np.isnan(published["category", "unlabelled"])
    figure = draw_categories(frame_of(mixed).reset_index(), 6.75)
    ours, papers = figure.axes[0].containers[:2]
    assert [bar.get_width() for bar in ours] == pytest.approx([80, 20, 0, 0, 0])
    assert [bar.get_width() for bar in papers] == pytest.approx([74, 19, 3, 3, 1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "Step-judge data, 95 % interval",
        "Paper, as published",
    ]


@pytest.mark.parametrize("rows", [[], [solution("a.png", RIGHT)], [solution("a.png", ILLOGICAL)]])
def test_no_wrong_or_no_visual_step_is_no_failure(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    stem = tmp_path / "figures/categories"
    words = ["--labels", str(labels(tmp_path, *rows)), "--output-stem", str(stem), "--dpi", "50"]
    assert run(lambda: main(words)) == 0
    frame = pd.read_csv(stem.with_suffix(".csv"))
    kinds = frame[frame["level"] == "subcategory"]
    assert set(kinds["n"]) == {0}
    assert kinds[["share", "ci95_low", "ci95_high"]].isna().all(axis=None)


def test_command_writes_figure_and_numbers(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stem = tmp_path / "figures/categories"
    words = ["--labels", str(mixed), "--output-stem", str(stem), "--dpi", "50"]
    assert run(lambda: main(words)) == 0
    assert "value_misreading" in capsys.readouterr().out
    first = {suffix: stem.with_suffix(suffix).read_bytes() for suffix in (".csv", ".pdf", ".png")}
    assert run(lambda: main(words)) == 0
    assert first == {suffix: stem.with_suffix(suffix).read_bytes() for suffix in first}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (solution("a.png", {**ILLOGICAL, "category": "x"}), "step_judge_result.0.category: 'x'"),
        (solution("a.png", {**RIGHT, "score": 0}), "step_judge_result.0.score: 0"),
        ({"step_judge_result": []}, "image: Field required"),
    ],
)
def test_a_line_that_is_no_label_is_named(
    row: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(tmp_path, solution("a.png", RIGHT), row)
    words = ["--labels", str(path), "--output-stem", str(tmp_path / "figure")]
    assert run(lambda: main(words)) == 2
    assert f"labels.jsonl:2: {message}" in capsys.readouterr().err
    assert not list(tmp_path.glob("figure*"))


# Intervals

CLUSTERS = st.lists(
    st.integers(1, 20).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=1,
    max_size=30,
)


@given(CLUSTERS)
def test_the_interval_holds_the_share_and_mirrors(clusters: list[tuple[int, int]]) -> None:
    hits, totals = np.transpose(clusters)
    share = clustered_share(hits, totals)
    assert 0 <= share.low <= share.estimate <= share.high <= 1
    assert share.low < share.high
    rest = clustered_share(totals - hits, totals)
    assert (1 - rest.high, 1 - rest.low) == pytest.approx((share.low, share.high))


def test_independent_observations_have_wilsons_interval() -> None:
    share = clustered_share([1] * 10 + [0] * 40, [1] * 50)
    wilson = (0.112, 0.330)  # of 10 in 50
    assert (share.low, share.high) == pytest.approx(wilson, abs=0.003)


def test_copies_of_an_observation_tell_nothing_new() -> None:
    hits = np.array([1] * 10 + [0] * 40)
    once, often = clustered_share(hits, [1] * 50), clustered_share(7 * hits, [7] * 50)
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=0.003)
    assert clustered_share([0, 0], [9, 9]) == clustered_share([0, 0], [1, 1])
    assert clustered_share([3], [9]).high > 0.9, "one cluster tells next to nothing"


@pytest.mark.parametrize("true_share", [0.03, 0.2, 0.74])
def test_the_interval_covers_as_often_as_it_says(true_share: float) -> None:
    draw = np.random.default_rng(5)
    trials, clusters, likeness = 400, 60, 0.5
    scale = 1 / likeness - 1  # of a beta distribution with this correlation within clusters
    covered = 0
    for _ in range(trials):
        totals = 1 + draw.poisson(4, clusters)
        shares = draw.beta(true_share * scale, (1 - true_share) * scale, clusters)
        share = clustered_share(draw.binomial(totals, shares), totals)
        covered += share.low <= true_share <= share.high
    assert 0.9 <= covered / trials <= 0.985


def test_no_clusters_have_no_share() -> None:
    with pytest.raises(ValueError, match="no share of nothing"):
        clustered_share([], [])
