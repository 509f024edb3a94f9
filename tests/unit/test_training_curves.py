"""Curves of trainings, from ms-swift's logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evpv_prm.cli import run
from evpv_prm.errors import InputError
from evpv_prm.jsonl import write_rows
from evpv_prm.training_curves import curves_frame, draw_curves, main

SUMMARY = {"last_model_checkpoint": "c", "global_step": 3, "log_history": []}


def logged(step: int, **values: float) -> dict[str, Any]:
    return {"global_step/max_steps": f"{step}/3", "learning_rate": 0.1, **values}


@pytest.fixture
def sft(tmp_path: Path) -> Path:
    """Killed after step 2, resumed from step 1."""
    rows = [
        logged(1, loss=3.0, token_acc=0.1), logged(2, loss=9.0, token_acc=0.9),
        logged(2, loss=2.0, token_acc=0.2), logged(2, eval_loss=2.5, eval_token_acc=0.3),
        logged(3, loss=1.0, token_acc=0.3), SUMMARY,
    ]  # fmt: skip
    write_rows(tmp_path / "sft.jsonl", rows)
    return tmp_path / "sft.jsonl"


@pytest.fixture
def dpo(tmp_path: Path) -> Path:
    values = {"loss": 0.6, "rewards/accuracies": 1.0, "rewards/margins": 0.2}
    write_rows(tmp_path / "dpo.jsonl", [logged(1, **values), SUMMARY])
    return tmp_path / "dpo.jsonl"


def values(frame: pd.DataFrame, data: str, metric: str) -> list[tuple[int, float]]:
    rows = frame[(frame["data"] == data) & (frame["metric"] == metric)]
    return list(zip(rows["step"], rows["value"], strict=True))


def test_step_that_was_logged_twice_counts_once(sft: Path) -> None:
    frame = curves_frame({"SFT": sft})
    assert values(frame, "train", "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert values(frame, "train", "accuracy") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert values(frame, "validation", "loss") == [(2, 2.5)]
    assert values(frame, "validation", "accuracy") == [(2, 0.3)]


def test_dpo_has_a_margin_and_its_pairs_accuracy(dpo: Path) -> None:
    frame = curves_frame({"DPO": dpo})
    assert values(frame, "train", "margin") == [(1, 0.2)]
    assert values(frame, "train", "accuracy") == [(1, 1.0)]


def test_figure_has_a_panel_for_each_curve_there_is(sft: Path, dpo: Path) -> None:
    figure = draw_curves(curves_frame({"SFT": sft, "DPO": dpo}), 6.75)
    shown = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_ylabel() for panel in shown] == [
        *("Loss", "Loss", "Accuracy", "Accuracy", "Reward margin"),
    ]
    assert [panel.get_title() for panel in shown[:2]] == ["SFT", "DPO"]


def test_command_writes_figure_and_numbers(sft: Path, dpo: Path, tmp_path: Path) -> None:
    stem = tmp_path / "figures/curves"
    words = ["--log", f"SFT={sft}", f"DPO={dpo}", "--output-stem", str(stem), "--dpi", "50"]
    assert run(lambda: main(words)) == 0
    first = {suffix: stem.with_suffix(suffix).read_bytes() for suffix in (".csv", ".pdf", ".png")}
    assert len(pd.read_csv(stem.with_suffix(".csv"))) == 11
    assert run(lambda: main(words)) == 0
    assert first == {suffix: stem.with_suffix(suffix).read_bytes() for suffix in first}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([SUMMARY], r"log.jsonl: expected at least one line with a loss"),
        ([{"global_step/max_steps": "x", "loss": 1}], r"log.jsonl:1: .*N/TOTAL, found 'x'"),
    ],
)
def test_log_without_curves_is_named(
    rows: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    write_rows(tmp_path / "log.jsonl", rows)
    with pytest.raises(InputError, match=message):
        curves_frame({"SFT": tmp_path / "log.jsonl"})
