"""The command from judged solutions to metrics, on cases small enough to work out by hand."""

from __future__ import annotations

import random

import orjson
import pytest

from evpv_prm.cli import run
from evpv_prm.compute_step_metrics import main
from tests.stages import outcome


def judged(pid, labels, verdicts, *, source="X", policy="P", probabilities=None, failures=()):
    """A row from texts: + right, - wrong, 0 neutral, ? failed."""
    values = {"+": 1, "0": 0, "-": -1, "?": None}
    return {
        "pid": pid,
        "image": ["1.png"],
        "question": "How many?",
        "answer": "3",
        "response": {
            "steps": [f"step {i}" for i in range(len(labels))],
            "process_correctness": [values[label] for label in labels],
        },
        "policy_model": policy,
        "data_source": source,
        "step_predict": [values[verdict] for verdict in verdicts],
        "step_probabilities": probabilities or [None] * len(labels),
        "failures": list(failures),
    }


BY_HAND = [
    judged("x1", "++0-", "+-+-", probabilities=[0.9, 0.4, 0.8, 0.2], policy="Q"),
    judged("x2", "+-", "??", failures=["caption:timeout"]),
    judged("y1", "+--", "+-+", source="Y", probabilities=[0.7, 0.1, None]),
    judged("y2", "0", "+", source="Y", probabilities=[0.7], failures=["judge[0]:truncated"]),
]


@pytest.fixture
def compute(tmp_path, capsys):
    """Run the command on rows; return the metrics, or the error line of a refused input."""

    def run_on(*files, options=()):
        paths = []
        for number, rows in enumerate(files):
            path = tmp_path / f"judged{number}.jsonl"
            content = b"".join(orjson.dumps(row) + b"\n" for row in rows)
            path.write_bytes(rows if isinstance(rows, bytes) else content)
            paths.append(str(path))
        output = tmp_path / "out" / "m.json"
        argv = ["--predictions", *paths, "--output", str(output), "--bootstrap-samples", "100"]
        return outcome(lambda: main([*argv, *options]), output, capsys)

    return run_on


def test_numbers_worked_out_by_hand(compute):
    metrics = compute(BY_HAND)

    assert list(metrics) == ["bootstrap_samples", "seed", "sources", "policies", "OVERALL"]
    x = metrics["sources"]["X"]
    counts = ("n_samples", "n_with_steps", "n_steps", "n_neutral", "n_without_probability")
    assert [x[name] for name in counts] == [2, 2, 5, 1, 2]
    assert x["confusion"] == {
        "right": {"right": 1, "wrong": 1, "failed": 1},
        "wrong": {"right": 0, "wrong": 1, "failed": 1},
    }
    assert x["failures"] == {"caption:timeout": 1}
    # Right: 1 hit, 2 missed, 1 false. Wrong: 1 hit, 1 missed, 2 false.
    assert x["f1_correct"] == pytest.approx(2 / 5)
    assert x["f1_incorrect"] == pytest.approx(2 / 5)
    assert x["macro_f1"] == pytest.approx(2 / 5)
    assert x["auroc"] == 1
    assert x["first_error_accuracy"] == 0
    y = metrics["sources"]["Y"]
    assert [y[name] for name in counts] == [2, 1, 3, 1, 1]
    assert y["macro_f1"] == pytest.approx(2 / 3)  # one hit and one error on either side
    assert y["first_error_accuracy"] == 1
    pooled = metrics["OVERALL"]["pooled"]
    assert [pooled[name] for name in counts] == [4, 3, 8, 2, 3]
    # Right: 2 hits, 2 missed, 2 false. Wrong: 2 hits, 2 missed, 2 false.
    assert pooled["macro_f1"] == 0.5
    assert pooled["first_error_accuracy"] == pytest.approx(1 / 3)
    assert pooled["failures"] == {"caption:timeout": 1, "judge:truncated": 1}
    weighted = metrics["OVERALL"]["source_weighted"]
    assert weighted["macro_f1"] == pytest.approx((5 * 2 / 5 + 3 * 2 / 3) / 8)
    assert metrics["policies"]["Q"]["n_samples"] == 1
    assert metrics["policies"]["P"]["n_samples"] == 3


def test_what_cannot_be_measured_is_null(compute):
    rows = [
        judged("a", "+-", "+-"),
        judged("b", "00", "+-", source="N"),
        judged("c", "++", "++", source="R", probabilities=[0.9, 0.8]),
    ]
    metrics = compute(rows)

    neutral = metrics["sources"]["N"]
    for name in ("f1_correct", "f1_incorrect", "macro_f1", "ci95", "auroc", "first_error_accuracy"):
        assert neutral[name] is None, name
    assert metrics["sources"]["R"]["auroc"] is None, "there is no wrong step to tell apart"
    assert metrics["OVERALL"]["source_weighted"]["macro_f1"] == pytest.approx(0.75)


def many(count=60):
    rng = random.Random(5)
    rows = []
    for number in range(count):
        labels = "".join(rng.choices("+0-", (6, 1, 3), k=rng.randint(1, 9)))
        verdicts = "".join(
            label if label != "0" and rng.random() < 0.7 else rng.choice("+-?") for label in labels
        )
        names = {"source": rng.choice("XYZ"), "policy": rng.choice("PQ")}
        probabilities = [rng.random() for _ in labels]
        rows.append(judged(f"r{number}", labels, verdicts, probabilities=probabilities, **names))
    return rows


def test_intervals_cover_their_estimates(compute):
    metrics = compute(many())

    overall = metrics["OVERALL"]
    groups = [*metrics["sources"].values(), *metrics["policies"].values(), *overall.values()]
    assert len(groups) == 3 + 2 + 2
    for group in groups:
        low, high = group["ci95"]
        assert 0 < low < group["macro_f1"] < high < 1


def test_neither_order_nor_sharding_matters(compute):
    rows = many()
    shuffled = random.Random(1).sample(rows, len(rows))

    assert compute(shuffled[:20], shuffled[20:]) == compute(rows)


def test_a_source_is_measured_as_if_it_were_alone(compute):
    rows = many()
    alone = [row for row in rows if row["data_source"] == "Y"]

    together = compute(rows)["sources"]["Y"]
    metrics = compute(alone)

    assert metrics["sources"]["Y"] == together
    assert metrics["OVERALL"]["pooled"] == together
    weighted = metrics["OVERALL"]["source_weighted"]
    assert weighted == {name: together[name] for name in ("macro_f1", "ci95")}


def test_the_seed_moves_the_intervals_and_nothing_else(compute):
    one, other = compute(many()), compute(many(), options=("--seed", "1"))

    assert one["OVERALL"]["pooled"].pop("ci95") != other["OVERALL"]["pooled"].pop("ci95")
    assert one["OVERALL"]["pooled"] == other["OVERALL"]["pooled"]


def without(row, field):
    return {name: value for name, value in row.items() if name != field}


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([*BY_HAND, BY_HAND[0]], "judged0.jsonl:5: pid: 'x1' is also the pid of "),
        ([BY_HAND[0], {**BY_HAND[1], "data_source": "OVERALL"}], "judged0.jsonl:2: data_source: "),
        ([without(BY_HAND[0], "step_predict")], "judged0.jsonl:1: step_predict: Field required"),
        ([{**BY_HAND[0], "step_predict": [1]}], "step_predict: expected one entry a step, found 1"),
        ([{**BY_HAND[0], "step_predict": [0] * 4}], "judged0.jsonl:1: step_predict.0: "),
        ([judged("n", "00", "+-")], "judged0.jsonl: no step is labelled right or wrong"),
        ([], "judged0.jsonl: expected at least one record, found an empty file"),
        (b"{\n", "judged0.jsonl:1: not valid JSON"),
    ],
)
def test_bad_input_is_one_clear_line(compute, rows, complaint):
    assert complaint in compute(rows)


def test_a_pid_is_unique_over_all_files(compute):
    error = compute(BY_HAND, BY_HAND[2:3])

    assert "judged1.jsonl:1: pid: 'y1' is also the pid of" in error
    assert error.rstrip().endswith("judged0.jsonl:3")


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    output = tmp_path / "m.json"
    argv = ["--predictions", str(tmp_path / "no.jsonl"), "--output", str(output)]

    assert run(lambda: main(argv)) == 2
    assert capsys.readouterr().err.endswith("no.jsonl: cannot be read: No such file or directory\n")
    assert not output.exists()
