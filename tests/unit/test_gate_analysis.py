"""The command that analyses the gate, and its tables and figure."""

from __future__ import annotations

import csv
import json

import orjson
import pytest

from evpv_prm import compute_bon_metrics, figures, gate_analysis, tables
from evpv_prm.cli import run
from evpv_prm.reward import gate
from tests.stages import outcome


def candidate(answer, raw, visual=(), p=1.0, failures=()):
    scores = {
        "local_p_score": p,
        "visual_step_indices": list(visual),
        "raw_step_scores": raw,
        "final_step_scores": gate(raw, visual, p),
        "failures": list(failures),
    }
    return {"reasoningprocess": [], "finalanswer": answer, "eval": scores}


def question(pid, *candidates, datasource="X", **more):
    row = {"pid": pid, "question": "?", "answer": "B", "image": pid, "datasource": datasource}
    return row | {f"vlmresponse{n}": c for n, c in enumerate(candidates, 1)} | more


def judged(pid, labels, verdicts, visual=(), p=1.0, failures=()):
    return {
        "pid": pid,
        "image": "1.png",
        "question": "?",
        "response": {"steps": ["step"] * len(labels), "process_correctness": labels},
        "policy_model": "P",
        "data_source": "X",
        "step_predict": verdicts,
        "step_probabilities": [None] * len(labels),
        "failures": list(failures),
        "visual_step_indices": list(visual),
        "local_p_score": p,
        "final_step_scores": gate(verdicts, visual, p),
    }


SCORED = [
    # The gate breaks a tie for the wrong answer, then one for the right answer.
    question("q1", candidate("B", [1, 1], [0], 0.5), candidate("A", [1, 1])),
    question("q2", candidate("B", [1, 1]), candidate("A", [1, 1], [1], 0.8)),
    # Nothing to choose: both answers are the same.
    question("q3", candidate("B", [1], [0], 0.5), candidate("B", [1]), datasource="Y"),
    question("q4", candidate("B", [1], [0], None, ["audit:slow"]), {"error": "truncated"}),
    question("q5", error="missing_image", datasource="Y"),
]
SOLUTIONS = [
    judged("s1", [1, -1, 1], [1, 1, 1], [0, 1], 0.2),
    judged("s2", [1, -1, 0], [1, -1, 1], [0], 1.0),
    judged("s3", [-1, 1], [1, 1]),
]


@pytest.fixture
def write(tmp_path):
    def write_rows(name, rows):
        path = tmp_path / name
        content = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        path.write_bytes(rows if isinstance(rows, bytes) else content)
        return path

    return write_rows


@pytest.fixture
def analyse(tmp_path, write, capsys):
    """Run the command; return what it wrote, or the error line of a refused input."""

    def run_on(scored=SCORED, solutions=SOLUTIONS, words=None):
        files = {"s": write("scored.jsonl", scored), "p": write("judged.jsonl", solutions)}
        output = tmp_path / "out" / "gate.json"
        argv = ["--scored", *(words or [f"tiny={files['s']}"]), "--predictions", str(files["p"])]
        options = ["--bootstrap-samples", "50", "--workers", "1", "--markdown"]
        argv += ["--output", str(output), *options, str(output.with_suffix(".md"))]
        return outcome(lambda: gate_analysis.main(argv), output, capsys)

    return run_on


def test_candidates_by_hand(analyse):
    tiny = analyse()["policies"]["tiny"]

    spread = tiny["distribution"]
    assert (spread["n"], spread["n_without_facts"], spread["n_failed"]) == (8, 3, 2)
    assert spread["failures"] == {"audit:slow": 1, "candidate:truncated": 1}
    assert {p: n for p, n in spread["counts"].items() if n} == {"0.5": 2, "0.8": 1}
    x = tiny["datasources"]["X"]
    assert (x["n"], x["n_scored"]) == (3, 3)
    found = x["decisions"]["correctness_rate"]
    assert (found["n_changed"], found["n_better"], found["n_worse"]) == (3, 1, 2)
    # q1: 0 after 1/2, q2: 1 after 1/2; q4: a tie of two unscored ones, after a right one.
    assert found["gain"]["estimate"] == pytest.approx((-1 / 2 + 1 / 2 - 1 / 2) / 3)
    assert found["p_value"] == 1
    y = tiny["datasources"]["Y"]
    assert (y["n"], y["n_scored"], y["failures"]) == (2, 1, {"question:missing_image": 1})
    found = y["decisions"]["geometric_mean"]
    assert (found["n_changed"], found["n_better"], found["n_worse"]) == (1, 0, 0)
    assert found["p_value"] is None
    pooled = tiny["datasources"]["OVERALL"]["decisions"]["correctness_rate"]
    assert (pooled["n_changed"], pooled["n_better"], pooled["n_worse"]) == (4, 1, 2)


def test_gains_are_those_of_best_of_n(analyse, write, tmp_path):
    metrics = tmp_path / "m.json"
    argv = ["--scored", str(write("s.jsonl", SCORED)), "--output", str(metrics)]
    assert compute_bon_metrics.main([*argv, "--bootstrap-samples", "50"]) == 0
    expected = json.loads(metrics.read_bytes())["datasources"]

    for name, found in analyse()["policies"]["tiny"]["datasources"].items():
        gains = {aggregation: each["gain"] for aggregation, each in found["decisions"].items()}
        assert gains == expected[name]["gate_gain"]


def test_shards_of_a_policy_belong_together(analyse, write):
    files = [write(f"shard{n}.jsonl", SCORED[n::2]) for n in (0, 1)]
    words = [f"tiny={file}" for file in files]
    other = write("other.jsonl", SCORED[:1])

    found = analyse(words=[words[0], f"other={other}", words[1]])["policies"]

    assert list(found) == ["tiny", "other"]
    assert found["tiny"]["distribution"] == analyse()["policies"]["tiny"]["distribution"]
    assert found["tiny"]["datasources"]["OVERALL"]["n"] == 5


def without(row, response, field):
    evaluation = {k: v for k, v in row[response]["eval"].items() if k != field}
    return row | {response: row[response] | {"eval": evaluation}}


UNGATED = [{k: v for k, v in row.items() if k not in ("final_step_scores",)} for row in SOLUTIONS]


@pytest.mark.parametrize(
    ("scored", "solutions", "complaint"),
    [
        ([without(SCORED[0], "vlmresponse2", "visual_step_indices")], SOLUTIONS,
         "scored.jsonl:1: vlmresponse2.eval.visual_step_indices: expected a list of indices"),
        ([question("q", candidate("B", [1], [0], 0.5) | {"eval": {
            **candidate("B", [1], [0], 0.5)["eval"], "local_p_score": 1.5}})], SOLUTIONS,
         "vlmresponse1.eval.local_p_score: expected null or a number from 0 to 1, found float"),
        ([SCORED[0], SCORED[0]], SOLUTIONS, "scored.jsonl:2: pid: 'q1' is also the pid of"),
        (SCORED, UNGATED, "judged.jsonl: no solution has a gate; expected those of step_verifier"),
        (SCORED, [SOLUTIONS[0] | {"local_p_score": 2}], "judged.jsonl:1: local_p_score: Input sho"),
        (SCORED, [judged("s", [0], [1])], "judged.jsonl: no step is labelled right or wrong"),
        (SCORED, b"{", "judged.jsonl:1: not valid JSON"),
        ([question("q", error="gone")], SOLUTIONS, "no question has candidates (question:gone 1)"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(analyse, scored, solutions, complaint):
    assert complaint in analyse(scored, solutions)


@pytest.mark.parametrize("word", ["scored.jsonl", "=scored.jsonl", "tiny="])
def test_a_scored_file_needs_the_name_of_its_policy(analyse, word):
    assert f"--scored: expected NAME=FILE, found {word!r}" in analyse(words=[word])


# Tables and figure


@pytest.fixture
def gate_file(analyse, tmp_path):
    def write(*arguments):
        analyse(*arguments)
        return tmp_path / "out" / "gate.json"

    return write


def tabulate(tmp_path, *words):
    stem = tmp_path / "tables" / "gate"
    status = run(lambda: tables.main(["gate", "--output-stem", str(stem), "--metrics", *words]))
    return status, stem


def draw(tmp_path, *words):
    stem = tmp_path / "figures" / "gate"
    argv = ["gate", "--output-stem", str(stem), "--dpi", "50", "--metrics", *words]
    return run(lambda: figures.main(argv)), stem


def test_tables_state_every_denominator(gate_file, tmp_path):
    status, stem = tabulate(tmp_path, f"verifier={gate_file()}")

    assert status == 0
    text = stem.with_suffix(".md").read_text()
    assert text == (tmp_path / "out" / "gate.md").read_text()
    assert "| tiny | 8 | 3 | 2 | 3 | 0 | 0 | 0 | 0 | 0 | 2 | 0 | 0 | 1 | 0 | 0 |" in text
    assert "No p of tiny, by reason: audit:slow 1, candidate:truncated 1." in text
    assert "| tiny | Correctness | 4 | 4 | 1 | 2 | 1 | −12.5 [" in text
    assert "| tiny | Y | 1 | 1 (0 / 0 / 1) |" in text
    assert "tiny: 4 of 5 questions with 2 candidates each; 2 candidates without gated" in text
    assert "| Wrong | 1 | 0 | 0 | 1 | 0 | 1 | 100.0 [" in text
    assert "| Right | 2 | 0 | 0 | 2 | 0 | 1 | 50.0 [" in text
    assert "Of 7 steps labelled right or wrong, 3 rest on a visual fact, 0 of them" in text
    assert r"\begin{table}" in stem.with_suffix(".tex").read_text()


def test_csv_holds_every_number(gate_file, tmp_path):
    path = gate_file()
    _, stem = tabulate(tmp_path, f"verifier={path}")
    rows = list(csv.DictReader(stem.with_suffix(".csv").read_text().splitlines()))

    # 2 + 11 counts of p for the policy and the solutions; 11 shares and two measures twice; six
    # numbers of five aggregations in three groups; five of two labels; two verdicts and the gain.
    assert len(rows) == 2 * 13 + 2 * 13 + 3 * 5 * 6 + 2 * 5 + 2 * 2 + 1
    key = {"group": "OVERALL", "aggregation": "streak_score", "metric": "gain"}
    (row,) = [row for row in rows if key.items() <= row.items()]
    pooled = json.loads(path.read_bytes())["policies"]["tiny"]["datasources"]["OVERALL"]
    assert float(row["estimate"]) == pooled["decisions"]["streak_score"]["gain"]["estimate"]
    assert (row["n"], row["count"]) == ("4", "")


@pytest.mark.parametrize(
    "solutions",
    [SOLUTIONS, [judged("s", [1, -1], [1, 1])]],
    ids=["visual steps", "no visual steps"],
)
def test_figure_is_drawn_and_the_same_every_time(gate_file, tmp_path, solutions):
    path = gate_file(SCORED, solutions)
    status, stem = draw(tmp_path, f"verifier={path}")
    assert status == 0
    first = {suffix: stem.with_suffix(suffix).read_bytes() for suffix in (".pdf", ".png", ".csv")}
    assert first[".pdf"].startswith(b"%PDF")
    assert first[".png"].startswith(b"\x89PNG")

    draw(tmp_path, f"verifier={path}")
    assert first == {suffix: stem.with_suffix(suffix).read_bytes() for suffix in first}
    rows = list(csv.DictReader(first[".csv"].decode().splitlines()))
    # 11 values of p for the policy and the solutions, 11 shares twice, three counts of choices.
    assert len(rows) == 2 * 11 + 2 * 11 + 3


def test_an_aggregation_that_is_not_there_is_refused(gate_file, tmp_path, capsys):
    stem = tmp_path / "figures" / "gate"
    argv = ["gate", "--metrics", f"a={gate_file()}", "--output-stem", str(stem)]

    assert run(lambda: figures.main([*argv, "--aggregation", "sum"])) == 2
    assert "--aggregation: expected one of correctness_rate, " in capsys.readouterr().err
    assert not stem.parent.exists()


def test_another_metrics_file_is_refused(tmp_path, write, capsys):
    path = write("m.json", b'{"seed": 1}')

    for make in (tabulate, draw):
        status, stem = make(tmp_path, f"a={path}")
        assert status == 2
        assert "m.json: threshold: Field required" in capsys.readouterr().err
        assert not stem.parent.exists()
