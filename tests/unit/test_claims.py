"""The method's claims: verdicts from intervals, where visual errors are common, the table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from evpv_prm import cli, figures, tables, tabulate_claims
from evpv_prm.data.picture_facts import PictureFact
from evpv_prm.jsonl import write_json, write_rows
from evpv_prm.metrics.bon_file import BonMetrics
from evpv_prm.metrics.claims import (
    CORRUPTION,
    GATE,
    GATE_ON_ERRORS,
    Evidence,
    examine_claims,
    verdict_on,
    verdict_on_trend,
)
from evpv_prm.metrics.claims_file import Claim, ClaimedDifference, ClaimVerdict
from evpv_prm.metrics.corruption_file import CorruptionMetrics, Difference, Scores, Trend
from evpv_prm.metrics.intervention_file import InterventionMetrics
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.metrics.stage_file import StageMetrics
from evpv_prm.records import CandidateRecord
from evpv_prm.reward import gate
from evpv_prm.tabulate_claims import errors_are_common, misread_candidates
from tests import measured

AGGREGATION = measured.AGGREGATION


# Verdicts


@pytest.mark.parametrize(
    ("interval", "claimed", "verdict"),
    [
        ((0.01, 0.2), "higher", "holds"),
        ((-0.2, -0.01), "higher", "contradicted"),
        ((-0.2, -0.01), "lower", "holds"),
        ((0.01, 0.2), "lower", "contradicted"),
        ((-0.1, 0.1), "higher", "not shown"),
        ((0.0, 0.2), "higher", "not shown"),
        ((-0.2, 0.0), "lower", "not shown"),
        (None, "higher", "not shown"),
    ],
)
def test_a_claim_holds_where_the_interval_lies_on_its_side(
    interval: Any, claimed: Any, verdict: str
) -> None:
    assert verdict_on(interval, claimed) == verdict


def step(verdict: ClaimVerdict) -> ClaimedDifference:
    return ClaimedDifference(
        compared="20 %", against="10 %", n=1, of=1, unit="steps", value=0.5, reference=0.5,
        estimate=0.0, ci95=(0.0, 0.0), claimed="lower", verdict=verdict,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spearman", "p_value", "steps", "verdict"),
    [
        (-0.9, 0.01, ("holds", "not shown"), "holds"),
        (-0.9, 0.01, ("holds", "contradicted"), "contradicted"),
        (-0.9, 0.06, ("holds", "holds"), "not shown"),
        (0.9, 0.01, ("not shown", "not shown"), "contradicted"),
        (None, None, ("not shown",), "not shown"),
    ],
)
def test_a_trend_holds_where_it_falls_and_no_step_rises(
    spearman: float | None, p_value: float | None, steps: Sequence[Any], verdict: str
) -> None:
    trend = Trend(spearman=spearman, p_value=p_value)
    assert verdict_on_trend(trend, [step(each) for each in steps]) == verdict


# What the metrics say of each claim


def best_of_n(gain: float = 0.1) -> BonMetrics:
    one = measured.summary(300, n_scored=290, best=0.4 + gain)
    return measured.policy({OVERALL: 300}).model_copy(update={"datasources": {OVERALL: one}})


def scores(ratio: float, macro_f1: float, before: float | None) -> Scores:
    change = None
    if before is not None:
        change = Difference(
            estimate=macro_f1 - before, ci95=measured.around(macro_f1 - before), p_value=0.5
        )
    return Scores(
        ratio=ratio, items=10, changed=0, unchangeable=0, realised=ratio, macro_f1=macro_f1,
        ci95=measured.around(macro_f1), difference=change, to_previous=change, auroc=None,
        auroc_ci95=None, failures={},
    )  # fmt: skip


def corruption() -> CorruptionMetrics:
    levels = [0.9, 0.8, 0.795]
    first, *others = (
        scores(ratio, level, before)
        for ratio, level, before in zip((0, 0.5, 1), levels, [None, *levels[:-1]], strict=True)
    )
    curve = {str(each.ratio): each for each in others}
    trend = Trend(spearman=-1.0, p_value=0.02)
    view = {"baseline": first, "drop": curve, "flip": curve}
    trends = {"drop": trend, "flip": trend.model_copy(update={"p_value": 0.3})}
    return CorruptionMetrics(
        n_samples=9, n_steps=30, n_neutral=4, bootstrap_samples=10, seed=0,
        views={"with_image": {**view, "trend": trends}},
    )  # fmt: skip


def intervention() -> InterventionMetrics:
    gains = {"cond2": 0.2, "cond3": -0.3, "cond4": -0.4}

    def condition(name: str) -> dict[str, Any]:
        gain = gains.get(name, 0.0)
        level = {"estimate": 0.5 + gain, "ci95": measured.around(0.5 + gain), "n": 40}
        change = {"estimate": gain, "ci95": measured.around(gain), "n": 38}
        names = ("accuracy", "step_score", "step_probability")
        return {
            **dict.fromkeys(("n_asked", "n_answered", "n_scored", "n_steps"), 40),
            "failures": {},
            "measures": dict.fromkeys(names, level),
            "differences": {} if name == "cond1" else dict.fromkeys(names, change),
        }

    part = {"n": 42, "conditions": {name: condition(name) for name in ("cond1", *gains)}}
    return InterventionMetrics.model_validate(
        {"bootstrap_samples": 10, "seed": 0, "datasources": {OVERALL: part}}
    )


def stages(*, with_facts: bool = True) -> StageMetrics:
    def measure(level: float, before: float | None, base: float) -> dict[str, Any]:
        def gain(reference: float | None) -> Any:
            if before is None or reference is None:
                return None
            return {"estimate": level - reference, "ci95": measured.around(level - reference)}

        return {
            "estimate": level, "ci95": measured.around(level),
            "to_previous": gain(before), "to_base": gain(base),
        }  # fmt: skip

    names = ("base", "vision_sft", "step_judge_sft")
    levels = {"facts": (0.1, 0.95, 0.952), "macro_f1": (0.5, 0.48, 0.91)}
    found = []
    for index, name in enumerate(names):
        measures = {
            key: measure(values[index], values[index - 1] if index else None, values[0])
            for key, values in levels.items()
        }
        if not with_facts:
            measures["facts"] = None
        counts = {"n_failed_descriptions": 0, "n_failed_steps": 0}
        found.append({"stage": name, **measures, **counts})
    return StageMetrics.model_validate(
        {
            **{"n_questions": 20, "n_facts": 60, "n_solutions": 10, "n_steps": 30},
            **{"n_neutral": 5, "bootstrap_samples": 10, "seed": 0, "stages": found},
        }
    )


def whole_evidence() -> Evidence:
    return Evidence(
        best_of_n={"tiny": best_of_n()},
        visual_errors={"tiny": best_of_n(0.3)},
        corruption=corruption(),
        interventions={"tiny": intervention()},
        stages=stages(),
    )


def found_claims(evidence: Evidence) -> dict[tuple[str, str], Claim]:
    report = examine_claims(evidence, AGGREGATION)
    claims = {(claim.statement, claim.subject): claim for claim in report.claims}
    assert len(claims) == len(report.claims)
    return claims


def test_every_claim_is_put_to_the_test() -> None:
    report = examine_claims(whole_evidence(), AGGREGATION)
    assert report.not_run == []
    assert [(claim.statement, claim.subject, claim.verdict) for claim in report.claims] == [
        ("Best-of-8 beats a random choice", "tiny", "holds"),
        ("Best-of-8 beats the majority vote", "tiny", "holds"),
        (GATE, "tiny", "holds"),
        (GATE_ON_ERRORS, "tiny", "holds"),
        (CORRUPTION, "Image and caption, DROP", "holds"),
        (CORRUPTION, "Image and caption, FLIP", "not shown"),
        ("A right description helps to answer", "tiny", "holds"),
        ("A wrong description in the picture's place hurts answers", "tiny", "holds"),
        ("A right description helps to reason", "tiny", "holds"),
        ("A wrong description in the picture's place hurts the reasoning", "tiny", "holds"),
        ("The training makes descriptions truer", "Vision SFT", "holds"),
        ("The training makes descriptions truer", "All trainings", "holds"),
        ("The training makes judgements truer", "Step-judge SFT", "holds"),
        ("The training makes judgements truer", "All trainings", "holds"),
    ]


def test_a_claim_has_its_numbers_and_denominators() -> None:
    claims = found_claims(whole_evidence())
    [random_choice] = claims["Best-of-8 beats a random choice", "tiny"].differences
    assert (random_choice.value, random_choice.reference) == (0.5, 0.4)
    assert random_choice.estimate == pytest.approx(0.1)
    assert random_choice.ci95 == pytest.approx((0.09, 0.11))
    assert (random_choice.n, random_choice.of, random_choice.unit) == (290, 300, "questions")
    steps = claims[CORRUPTION, "Image and caption, DROP"].differences
    assert [(each.against, each.compared) for each in steps] == [("0 %", "50 %"), ("50 %", "100 %")]
    assert [each.verdict for each in steps] == ["holds", "not shown"]
    assert [(each.n, each.of) for each in steps] == [(30, 34)] * 2
    [helped] = claims["A right description helps to answer", "tiny"].differences
    assert (helped.n, helped.of) == (38, 42)
    [trained] = claims["The training makes judgements truer", "Step-judge SFT"].differences
    assert trained.reference == 0.48
    assert trained.estimate == pytest.approx(0.43)
    [overall] = claims["The training makes judgements truer", "All trainings"].differences
    assert overall.estimate == pytest.approx(0.41)


def test_a_contradicted_claim_is_called_that() -> None:
    claims = found_claims(Evidence(best_of_n={"tiny": best_of_n(-0.1)}))
    assert {claim.verdict for claim in claims.values()} == {"contradicted"}


def test_claims_that_were_not_tested_are_listed_with_the_reason() -> None:
    report = examine_claims(Evidence(best_of_n={"tiny": best_of_n()}), AGGREGATION)
    reasons = {each.statement: each.reason for each in report.not_run}
    assert "stages.facts is null" in reasons[GATE_ON_ERRORS]
    assert reasons[CORRUPTION] == "step_level is null"
    assert list(reasons.values()).count("intervention is null") == 4
    assert list(reasons.values()).count("stages is null") == 2
    report = examine_claims(
        Evidence(
            best_of_n={"tiny": best_of_n()},
            visual_errors={"tiny": None},
            stages=stages(with_facts=False),
        ),
        AGGREGATION,
    )
    reasons = {each.statement: each.reason for each in report.not_run}
    assert reasons[GATE_ON_ERRORS] == "tiny has no such questions"
    assert "no facts are known" in reasons["The training makes descriptions truer"]
    assert [claim.subject for claim in report.claims if claim.topic == "stages"] == [
        "Step-judge SFT",
        "All trainings",
    ]


# Where visual errors are common


FACT = {"name": "red bar", "value": "7", "statement": "The red bar shows 7."}


def candidate(
    answer: str, *premises: str | None, p: float = 1.0, verdict: int = 1
) -> dict[str, Any]:
    raw = [verdict] * len(premises)
    visual = [index for index, premise in enumerate(premises) if premise]
    return {
        "reasoningprocess": [{"steptext": "s", "visualdependency": each} for each in premises],
        "finalanswer": answer,
        "eval": {
            "image_description": "d", "visual_checklist": "", "visual_step_indices": visual,
            "visual_checklist_evaluation": None, "local_p_score": p, "raw_step_scores": raw,
            "final_step_scores": gate(raw, visual, p), "step_probabilities": [None] * len(raw),
            "failures": [],
        },
    }  # fmt: skip


def question(pid: str, *candidates: dict[str, Any]) -> dict[str, Any]:
    row = {"pid": pid, "question": "Q?", "answer": "B", "image": f"{pid}.png", "datasource": "D"}
    return row | {f"vlmresponse{n}": each for n, each in enumerate(candidates, start=1)}


SEEN, MISREAD, UNKNOWN = "The red bar shows 7.", "The red bar shows 1.", "Bars are coloured."
FAILED = {"error": "truncated"}


@pytest.mark.parametrize(
    ("candidates", "is_common"),
    [
        ([candidate("A", SEEN)] * 8, False),
        ([candidate("B", MISREAD)] + [candidate("A", SEEN)] * 7, False),  # an eighth
        ([candidate("B", MISREAD)] * 2 + [candidate("A", SEEN)] * 6, True),  # a quarter
        ([candidate("A", MISREAD)] * 2 + [candidate("B", SEEN)] * 6, True),  # whatever is right
        ([candidate("A", SEEN, MISREAD)] + [FAILED] * 3, True),
        ([candidate("A", UNKNOWN, None)] * 4, False),
        ([FAILED] * 4, False),
    ],
)
def test_errors_are_common_where_a_quarter_of_the_candidates_makes_one(
    candidates: list[dict[str, Any]], is_common: bool
) -> None:
    record = CandidateRecord.model_validate(question("q", *candidates))
    misread = misread_candidates(record, [PictureFact.model_validate(FACT)])
    assert errors_are_common(misread) is is_common


# The command


Compute = Callable[..., Any]


@pytest.fixture
def compute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compute:
    """Run the command; return what it wrote, or the error line of a refused input."""
    evidence = whole_evidence()
    (tiny,) = evidence.best_of_n.values()
    # Both questions have two candidates; on the first the gate turns a tie into the right choice.
    rows = [
        question("q1", candidate("B", SEEN), candidate("A", MISREAD, p=0.5)),
        question("q2", candidate("A", SEEN), candidate("A", SEEN)),
    ]
    write_rows(tmp_path / "scored.jsonl", rows)
    facts = [{**FACT, "value": 7}]
    known = [
        {"id": row["pid"], **{k: row[k] for k in ("question", "answer", "image", "datasource")}}
        for row in rows
    ]
    write_rows(tmp_path / "facts.jsonl", [{**row, "facts": facts} for row in known])
    files = {
        "bon": tiny,
        "corruption": evidence.corruption,
        "intervention": evidence.interventions["tiny"],
        "stages": evidence.stages,
    }
    for name, metrics in files.items():
        assert metrics is not None
        write_json(tmp_path / f"{name}.json", metrics.model_dump(mode="json"))

    def perform(*words: str) -> Any:
        named = [word.format(folder=tmp_path) for word in words]
        arguments = [
            *("--best-of-n", f"tiny={tmp_path / 'bon.json'}", "--aggregation", AGGREGATION),
            *("--output", str(tmp_path / "claims.json"), "--markdown", str(tmp_path / "m.md")),
            *("--bootstrap-samples", "50", "--workers", "1", *named),
        ]
        status = cli.run(lambda: tabulate_claims.main(arguments))
        error = capsys.readouterr().err
        return error if status else json.loads((tmp_path / "claims.json").read_text())

    return perform


EVERYTHING = (
    *("--scored", "tiny={folder}/scored.jsonl", "--facts", "{folder}/facts.jsonl"),
    *("--corruption", "{folder}/corruption.json", "--stages", "{folder}/stages.json"),
    *("--intervention", "tiny={folder}/intervention.json"),
)


def test_the_gate_is_examined_where_errors_are_common(compute: Compute) -> None:
    report = compute(*EVERYTHING)
    [claim] = [each for each in report["claims"] if each["statement"] == GATE_ON_ERRORS]
    [found] = claim["differences"]
    # One question: gated, its right candidate is chosen; ungated, there is a tie.
    assert (found["n"], found["of"]) == (1, 300)
    assert (found["value"], found["reference"], found["estimate"]) == (1.0, 0.5, 0.5)
    assert found["ci95"] == [0.5, 0.5]
    assert claim["verdict"] == "holds"
    assert report["not_run"] == []


def test_misread_candidates_are_counted_and_those_that_the_judge_finds(
    compute: Compute, tmp_path: Path
) -> None:
    file = tmp_path / "scored.jsonl"
    found, missed = (candidate("A", MISREAD, verdict=verdict) for verdict in (-1, 1))
    falsely_found = candidate("A", SEEN, verdict=-1)
    write_rows(file, [question("q1", found, missed), question("q2", falsely_found, FAILED)])
    report = compute(*EVERYTHING)
    assert report["misreadings"] == {"tiny": {"candidates": 2, "found": 1}}
    show(tmp_path, tables)
    table = (tmp_path / "shown.md").read_text()
    assert "Of 2 candidates of tiny that rely on such a fact, the judge calls a step of 1" in table
    assert compute()["misreadings"] == {}


def test_what_cannot_be_read_is_refused(compute: Compute) -> None:
    assert "expected the scored files of every policy" in compute("--facts", "{folder}/facts.jsonl")
    assert "'other': tiny has geometric_mean" in compute("--aggregation", "other")


def show(tmp_path: Path, command: Any, *words: str) -> list[dict[str, str]]:
    stem = tmp_path / "shown"
    metrics = f"run={tmp_path / 'claims.json'}"
    arguments = ["claims", "--metrics", metrics, "--output-stem", str(stem), *words]
    assert cli.run(lambda: command.main(arguments)) == 0
    return list(csv.DictReader(io.StringIO(stem.with_suffix(".csv").read_text())))


def test_the_table_says_what_holds(compute: Compute, tmp_path: Path) -> None:
    compute(*EVERYTHING)
    rows = show(tmp_path, tables)
    lines = (tmp_path / "shown.md").read_text().splitlines()
    assert (
        "| Best-of-8 beats a random choice | tiny | BoN@8 | 50.0 | a random choice | 40.0 "
        "| +10.0 [9.0, 11.0] | 290 of 300 questions | holds |"
    ) in lines
    assert (
        f"| {CORRUPTION} | Image and caption, FLIP | 100 % | 79.5 | 0 % | 90.0 "
        "| Spearman −1.00, p 0.300 | 30 of 34 steps | not shown |"
    ) in lines
    assert (
        "| Image and caption, DROP | 50 % | 80.0 | 0 % | 90.0 | −10.0 [−11.0, −9.0] "
        "| 30 of 34 steps |"
    ) in lines
    assert not any(line.startswith("Not run") for line in lines)
    assert len(rows) == 12 + 2 * 2
    assert {row["verdict"] for row in rows} == {"holds", "not shown"}
    compute()
    rows = show(tmp_path, tables)
    assert {row["statement"]: row["reason"] for row in rows}[CORRUPTION] == "step_level is null"
    text = (tmp_path / "shown.md").read_text()
    assert f"Not run: {CORRUPTION} (step_level is null)." in text


def test_the_figure_shows_every_difference(compute: Compute, tmp_path: Path) -> None:
    compute(*EVERYTHING)
    expected = show(tmp_path, tables)
    for width in ("3.3", "6.75"):
        assert show(tmp_path, figures, "--width-in", width) == expected
        assert (tmp_path / "shown.png").read_bytes().startswith(b"\x89PNG")
