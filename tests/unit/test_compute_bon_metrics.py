"""The command from scored files to metrics, on cases small enough to work out by hand."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from evpv_prm.compute_bon_metrics import main
from evpv_prm.jsonl import read_document
from evpv_prm.metrics.bon_file import BonMetrics
from evpv_prm.reward import gate
from tests.stages import outcome


def candidate(answer, raw, visual=(), p=1.0, failures=()):
    return {
        "reasoningprocess": [{"steptext": "step", "visualdependency": None} for _ in raw],
        "finalanswer": answer,
        "eval": {
            "local_p_score": p,
            "raw_step_scores": raw,
            "final_step_scores": gate(raw, visual, p),
            "failures": list(failures),
        },
    }


def question(pid, *candidates, answer="B", datasource="X", image="1.png", **more):
    fields = {"pid": pid, "question": "Which?", "answer": answer, "image": image}
    responses = {f"vlmresponse{n}": response for n, response in enumerate(candidates, 1)}
    return fields | {"datasource": datasource} | more | responses


FAILED = {"error": "truncated", "rawoutput": "{"}

BY_HAND = [
    # Gated, the wrong answer wins 1 : 0.75; ungated it is a tie. The vote is a tie.
    question("q1", candidate("B", [1, 1], visual=[0], p=0.5), candidate("A", [1, 1])),
    # The one candidate that exists wins: it alone has a score and a vote.
    question("q2", candidate("A", [1, -1]), FAILED, answer="A"),
    question("q3", error="missing_image", detail="no such file"),
]


@pytest.fixture
def compute(tmp_path, capsys):
    """Run the command on rows; return the metrics, or the error line of a refused input."""

    def run_on(*files, options=()):
        paths = []
        for number, rows in enumerate(files):
            path = tmp_path / f"scored{number}.jsonl"
            if isinstance(rows, bytes):
                path.write_bytes(rows)
            else:
                path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
            paths.append(str(path))
        output = tmp_path / "out" / "m.json"
        argv = ["--scored", *paths, "--output", str(output), "--bootstrap-samples", "50", *options]
        return outcome(lambda: main(argv), output, capsys)

    return run_on


def test_numbers_worked_out_by_hand(compute):
    metrics = compute(BY_HAND)["datasources"]["X"]

    assert (metrics["n"], metrics["n_scored"], metrics["n_candidates"]) == (3, 2, 4)
    assert metrics["failures"] == {"candidate:truncated": 1, "question:missing_image": 1}
    assert metrics["n_unscored_candidates"] == {"gated": 1, "raw": 1}
    assert metrics["pass_at_k"] == {"1": 0.5, "2": 1.0}
    assert metrics["random_choice"] == 0.5
    assert metrics["majority_vote"] == {"1": 0.5, "2": 0.75}
    assert metrics["bon_at_k"]["gated"]["correctness_rate"] == {"1": 0.5, "2": 0.5}
    assert metrics["bon_at_k"]["raw"]["correctness_rate"] == {"1": 0.5, "2": 0.75}
    assert metrics["bon_gain"]["gated"]["correctness_rate"]["estimate"] == 0
    assert metrics["bon_gain"]["raw"]["correctness_rate"]["estimate"] == 0.25
    gain = metrics["bon_gain_over_majority_vote"]["gated"]["correctness_rate"]
    assert gain["estimate"] == -0.25
    # Both questions are on one image: one cluster, no spread.
    assert metrics["gate_gain"]["correctness_rate"] == {"estimate": -0.25, "ci95": [-0.25, -0.25]}
    assert metrics["intervals"]["pass_at_k"]["2"] == [1.0, 1.0]


def test_overall_pools_questions_and_the_macro_average_weighs_datasources_alike(compute):
    right, wrong = candidate("B", [1]), candidate("A", [1])
    rows = [question(f"x{i}", right, right) for i in range(3)]
    rows += [question("y", wrong, wrong, datasource="Y")]

    metrics = compute(rows)

    assert metrics["datasources"]["OVERALL"]["pass_at_k"]["2"] == 0.75
    assert metrics["macro_average"]["pass_at_k"]["2"] == 0.5
    assert metrics["datasources"]["OVERALL"]["n"] == metrics["macro_average"]["n"] == 4
    assert metrics["datasources"]["OVERALL"]["n_unscored_candidates"] == {"gated": 0, "raw": 0}


def test_verifier_failures_are_counted_by_stage_and_leave_no_score(compute):
    """Regression: failed audits and judgements looked like low scores."""
    unjudged = candidate("B", [1, None], failures=["judge[1]:timeout"])
    unaudited = candidate("B", [1, 1], visual=[0], p=None, failures=["audit:invalid_json"])
    rows = [question("q1", unjudged, candidate("A", [-1]))]
    rows += [question("q2", unaudited, candidate("A", [-1]))]

    metrics = compute(rows)["datasources"]["X"]

    assert metrics["failures"] == {"audit:invalid_json": 1, "judge:timeout": 1}
    assert metrics["n_unscored_candidates"] == {"gated": 2, "raw": 1}
    assert metrics["bon_at_k"]["gated"]["streak_score"]["2"] == 0
    assert metrics["bon_at_k"]["raw"]["streak_score"]["2"] == 0.5


def test_candidates_without_steps_are_counted(compute):
    metrics = compute([question("q", candidate("B", []), candidate("A", [-1]))])

    assert metrics["datasources"]["X"]["failures"] == {"candidate:no_steps": 1}
    assert metrics["datasources"]["X"]["bon_at_k"]["raw"]["geometric_mean"]["2"] == 0


def test_blank_answers_do_not_vote(compute):
    rows = [question("q", candidate(" ", [1]), candidate(" ", [1]), candidate("B", [1]))]

    assert compute(rows)["datasources"]["X"]["majority_vote"]["3"] == 1


def test_equal_answers_in_different_dress_vote_together(compute):
    rows = [question("q", *(candidate(text, [1]) for text in ("B", "A", " **B** ")))]

    assert compute(rows)["datasources"]["X"]["majority_vote"]["3"] == 1


def test_a_datasource_without_rates_is_null_and_so_is_the_macro_average(compute):
    rows = [*BY_HAND, question("z", datasource="Z", error="missing_image")]

    metrics = compute(rows)

    assert metrics["datasources"]["Z"]["pass_at_k"] == {"1": None, "2": None}
    assert metrics["datasources"]["Z"]["intervals"]["pass_at_k"]["1"] is None
    assert metrics["macro_average"]["pass_at_k"]["1"] is None
    assert metrics["datasources"]["OVERALL"]["pass_at_k"]["1"] == 0.5


def sample_rows(count=40):
    rng = random.Random(5)
    return [
        question(
            f"q{i}",
            *(
                candidate(
                    rng.choice("AB"),
                    [rng.choice([1, 1, -1]) for _ in range(3)],
                    visual=[1],
                    p=rng.choice([0.3, 0.8]),
                )
                for _ in range(4)
            ),
            datasource=rng.choice("XY"),
            image=f"{i // 2}.png",
        )
        for i in range(count)
    ]


def test_shards_and_their_order_change_nothing(compute):
    rows = sample_rows()
    whole = compute(rows)
    by_source = sorted(rows, key=lambda row: row["datasource"], reverse=True)

    sharded = compute(by_source[:7], [], by_source[7:])

    assert sharded == whole


def test_same_input_gives_the_same_bytes_and_another_seed_other_intervals(tmp_path, compute):
    rows = sample_rows()
    output = tmp_path / "out" / "m.json"
    compute(rows)
    first = output.read_bytes()
    compute(rows)
    assert output.read_bytes() == first

    other = compute(rows, options=["--seed", "1"])["datasources"]["OVERALL"]

    same = json.loads(first)["datasources"]["OVERALL"]
    assert other["bon_at_k"] == same["bon_at_k"]
    assert other["intervals"] != same["intervals"]


def test_intervals_of_a_datasource_do_not_depend_on_the_others(compute):
    rows = sample_rows()

    alone = compute([row for row in rows if row["datasource"] == "Y"])["datasources"]["Y"]

    assert compute(rows)["datasources"]["Y"] == alone


def test_aggregations_are_chosen(tmp_path, compute):
    metrics = compute(BY_HAND, options=["--aggregations", "streak_score"])

    assert metrics["aggregations"] == ["streak_score"]
    assert list(metrics["datasources"]["X"]["gate_gain"]) == ["streak_score"]
    assert read_document(tmp_path / "out" / "m.json", BonMetrics).aggregations == ["streak_score"]


def test_bon_never_exceeds_pass(compute):
    for summary in compute(sample_rows())["datasources"].values():
        for by_aggregation in summary["bon_at_k"].values():
            for rates in by_aggregation.values():
                assert rates["1"] == summary["pass_at_k"]["1"] == summary["random_choice"]
                assert all(rates[k] <= summary["pass_at_k"][k] for k in rates)


GOOD = BY_HAND[0]


def broken(**changes):
    return GOOD | changes


def with_eval(**changes):
    response = GOOD["vlmresponse1"]
    return broken(vlmresponse1=response | {"eval": response["eval"] | changes})


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (broken(pid=""), "pid: expected a text"),
        (broken(answer=5), "answer: expected a text, found int '5'"),
        (broken(image=None), "image: expected a path or a list of paths, found nothing"),
        (broken(choices="A"), "choices: expected a list of texts or null"),
        (broken(error=3), "error: expected a text or null"),
        (broken(datasource="OVERALL"), "datasource: 'OVERALL' is the name of"),
        (broken(vlmresponse2="B"), "vlmresponse2: expected an object, found str 'B'"),
        (broken(vlmresponse4=FAILED), "without gaps, found [1, 2, 4]"),
        (broken(vlmresponse3=FAILED), "expected 2 responses as before, found 3"),
        (broken(vlmresponse1={"error": None}), "vlmresponse1.error: expected the kind of failure"),
        (broken(vlmresponse1={"eval": {}}), "vlmresponse1.finalanswer: expected a text"),
        (broken(vlmresponse1={"finalanswer": "B"}), "vlmresponse1.eval: expected an object"),
        (with_eval(raw_step_scores=[1, 0]), "raw_step_scores.1: expected 1, -1 or null"),
        (with_eval(raw_step_scores=[1, True]), "raw_step_scores.1: expected 1, -1 or null"),
        (with_eval(final_step_scores=[1, False]), "final_step_scores.1: expected -1, null or"),
        (with_eval(raw_step_scores=None), "raw_step_scores: expected a list"),
        (with_eval(final_step_scores=[1, 1.5]), "final_step_scores.1: expected -1, null or"),
        (with_eval(final_step_scores=[1]), "final_step_scores: expected 2 scores"),
        (with_eval(failures=None), "failures: expected a list of texts"),
        (question("q"), "expected vlmresponse1, vlmresponse2"),
        (broken(pid="q0"), "'q0' is also the pid of"),
    ],
)
def test_bad_field_is_named_with_file_and_line(compute, row, complaint):
    error = compute([GOOD | {"pid": "q0"}, row])

    assert complaint in error
    assert "scored0.jsonl:2: " in error


def test_bad_file_is_one_clear_line(compute):
    assert "scored0.jsonl:2: not valid JSON" in compute(orjson.dumps(GOOD) + b"\n{\n")
    assert "expected a JSON object, found list" in compute(b"[]\n")
    assert "scored0.jsonl: expected at least one record" in compute(b"")


def test_duplicate_pid_over_files_names_both_places(compute):
    error = compute([GOOD], [GOOD])

    assert "scored1.jsonl:1: pid: 'q1' is also the pid of" in error
    assert "scored0.jsonl:1" in error


def test_no_candidates_at_all_is_an_error(compute):
    error = compute([BY_HAND[2]])

    assert error == "error: no question has candidates (question:missing_image 1)\n"


def test_missing_file_ends_the_process_with_status_2(tmp_path):
    command = [sys.executable, "-m", "evpv_prm.compute_bon_metrics"]
    output = tmp_path / "m.json"
    arguments = ["--scored", str(tmp_path / "none.jsonl"), "--output", str(output)]
    root = Path(__file__).parents[2]

    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=root)

    assert done.returncode == 2
    assert (
        done.stderr == f"error: {tmp_path}/none.jsonl: cannot be read: No such file or directory\n"
    )
    assert not output.exists()
