"""From step-level metrics files to tables and figures, with published results beside them."""

from __future__ import annotations

import csv
import io
import re

import orjson
import pytest

from evpv_prm import compute_step_metrics, figures, tables
from evpv_prm.cli import run
from evpv_prm.jsonl import read_document
from evpv_prm.metrics.step_file import StepMetrics
from evpv_prm.metrics.step_frame import step_level_frame
from evpv_prm.metrics.step_tables import as_published
from evpv_prm.plots.step_level import draw_step_level, step_level_drawn
from evpv_prm.published import PUBLISHED

LABELLED = {"+": 1, "0": 0, "-": -1, "?": None}

# Worked out by hand: of Diagrams, 3 of 4 right and 2 of 4 wrong steps are called what they are.
GOLDEN = """\
**Step-level metrics (%)**

| Source or policy | Macro-F1 with 95 % interval | F1 right | F1 wrong | AUROC | First error |
| :-- | --: | --: | --: | --: | --: |
| Diagrams | 61.9 [50.0, 73.3] | 66.7 | 57.1 | 87.5 | 50.0 |
| MMMU | 40.0 [40.0, 40.0] | 80.0 | 0.0 | – | 0.0 |
| by P | 61.9 [50.0, 73.3] | 66.7 | 57.1 | 87.5 | 50.0 |
| by Q | 40.0 [40.0, 40.0] | 80.0 | 0.0 | – | 0.0 |
| All steps pooled | 60.7 [53.0, 68.6] | 71.4 | 50.0 | 91.7 | 33.3 |

Step-weighted mean of sources: macro-F1 55.9 [47.3, 64.2].

Macro-F1 is the mean of F1 over right and over wrong steps; a judgement that failed counts \
against both. AUROC leaves out steps without a probability. First error: share of solutions whose \
first wrong step was found, or rightly none; a judgement that failed up to there is a miss.

Intervals: bootstrap over solutions within each source, 100 resamples, seed 0.

**Solutions and steps behind the metrics**

| Source or policy | Solutions | with labels | Steps | Right steps | Wrong steps | No probability \
| Neutral |
| :-- | --: | --: | --: | --: | --: | --: | --: |
| Diagrams | 2 | 2 | 8 | 4 (3 / 1 / 0) | 4 (2 / 2 / 0) | 0 | 1 |
| MMMU | 1 | 1 | 3 | 3 (2 / 0 / 1) | 0 (0 / 0 / 0) | 1 | 0 |
| by P | 2 | 2 | 8 | 4 (3 / 1 / 0) | 4 (2 / 2 / 0) | 0 | 1 |
| by Q | 1 | 1 | 3 | 3 (2 / 0 / 1) | 0 (0 / 0 / 0) | 1 | 0 |
| All steps pooled | 3 | 3 | 11 | 7 (5 / 1 / 1) | 4 (2 / 2 / 0) | 1 | 1 |

Steps are those labelled right or wrong; neutral ones are left out. With labels: solutions that \
have such a step. In parentheses: steps called right / called wrong / without a verdict, because \
the judgement failed.

Failed requests by reason: judge:timeout 1.
"""


def judged(pid, labels, verdicts, probabilities, source="Diagrams", policy="P"):
    return {
        "pid": pid,
        "image": "1.png",
        "question": "How many?",
        "response": {
            "steps": ["step"] * len(labels),
            "process_correctness": [LABELLED[label] for label in labels],
        },
        "policy_model": policy,
        "data_source": source,
        "step_predict": [LABELLED[verdict] for verdict in verdicts],
        "step_probabilities": probabilities,
        "failures": [f"judge[{i}]:timeout" for i, verdict in enumerate(verdicts) if verdict == "?"],
    }


ROWS = [
    judged("d1", "++0--", "+-+-+", [0.9, 0.4, 0.5, 0.2, 0.6]),
    judged("d2", "++--", "++-+", [0.9, 0.8, 0.2, 0.7]),
    judged("m1", "+++", "++?", [0.9, 0.8, None], source="MMMU_DEV_VAL", policy="Q"),
]


@pytest.fixture
def metrics_file(tmp_path):
    def write(rows=ROWS, name="m.json"):
        predictions, path = tmp_path / "p.jsonl", tmp_path / name
        predictions.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        argv = ["--predictions", str(predictions), "--output", str(path)]
        argv += ["--bootstrap-samples", "100", "--markdown", str(path.with_suffix(".md"))]
        assert compute_step_metrics.main(argv) == 0
        return path

    return write


@pytest.fixture
def make(tmp_path):
    def call(command, *metrics, options=()):
        stem = tmp_path / "out" / "step_level"
        argv = ["step-level", "--metrics", *metrics, "--output-stem", str(stem), *options]
        return run(lambda: command.main(argv)), stem

    return call


def test_markdown_of_the_metrics_command_is_exactly_this(metrics_file):
    assert metrics_file().with_suffix(".md").read_text() == GOLDEN


# The table


def test_our_rows_stand_beside_the_published_ones(metrics_file, make):
    path = metrics_file()
    options = ("--note", "Made up.")
    status, stem = make(tables, f"caption={path}", f"direct={path}", options=options)
    assert status == 0
    text = stem.with_suffix(".md").read_text()

    assert text.startswith("> Made up.\n\n**Macro-F1 (%) of step verification**")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    first = rows[: 4 + len(PUBLISHED)]
    assert first[0][3:] == ["Diagrams", "MMMU", "Pooled", "Mean", "As published"]
    assert first[2] == ["This run", "caption", "", "61.9", "40.0", "60.7", "55.9", "–"]
    assert first[3][:2] == ["This run", "direct"]
    assert [row[0] for row in first[4:]] == ["Published"] * len(PUBLISHED)
    assert [row[1] for row in first[4:]] == [result.system for result in PUBLISHED]
    visual_prm = next(row for row in first if row[1] == "VisualPRM-8B")
    assert visual_prm[2:] == ["arXiv 2503.10291, table 3", "–", "58.5", "–", "–", "62.0"]
    beta = next(row for row in first if row[1] == "BetaPRM")
    assert beta[-1] == "61.0–62.9"
    assert "BIS (InternVL3-14B): threshold tuned on the test file." in text
    assert "| caption | All steps pooled | 3 | 3 | 11 |" in text
    assert "Failed requests of direct by reason: judge:timeout 1." in text


def test_latex_separates_this_run_from_the_published_results(metrics_file, make):
    _, stem = make(tables, f"caption_1={metrics_file()}")
    first = stem.with_suffix(".tex").read_text().split(r"\end{table}")[0]

    ours, published = first.split(r"\midrule")[1:]
    assert ours.strip() == r"This run & caption\_1 &  & 61.9 & 40.0 & 60.7 & 55.9 & -- \\"
    assert published.strip().startswith("Published & InternVL2.5-8B as judge & arXiv 2503.10291")


def test_csv_holds_every_number(metrics_file, make):
    path = metrics_file()
    _, stem = make(tables, f"caption={path}")
    rows = list(csv.DictReader(io.StringIO(stem.with_suffix(".csv").read_text())))

    measured = [row for row in rows if row["results"] == "this run"]
    # Two sources, two policies and all pooled with five metrics each, and the mean of sources.
    assert len(measured) == 5 * 5 + 1
    key = {"group": "policy", "name": "P", "metric": "macro_f1"}
    (row,) = [row for row in measured if key.items() <= row.items()]
    summary = orjson.loads(path.read_bytes())["policies"]["P"]
    assert float(row["estimate"]) == summary["macro_f1"]
    assert [float(row["ci95_low"]), float(row["ci95_high"])] == summary["ci95"]
    assert (row["n_samples"], row["n_steps"], row["n_neutral"]) == ("2", "8", "1")
    (pooled,) = [r for r in measured if (r["name"], r["metric"]) == ("pooled", "auroc")]
    assert (pooled["n_without_probability"], pooled["n_failed_steps"]) == ("1", "1")
    assert pooled["failures"] == "judge:timeout=1"

    published = [row for row in rows if row["results"] == "published"]
    assert len(published) == sum(len(r.by_source) + len(r.macro_f1) for r in PUBLISHED)
    (evpv,) = [row for row in published if row["system"] == "EVPV-PRM"]
    assert float(evpv["estimate"]) == 0.6746
    assert all(row["reference"].startswith("arXiv ") for row in published)
    assert not any(row["n_samples"] or row["ci95_low"] for row in published)


# The figure


def test_figure_is_the_same_every_time_and_its_numbers_stand_beside_it(metrics_file, make):
    arguments = [f"system $_{i}={metrics_file()}" for i in range(2)]
    status, stem = make(figures, *arguments, options=("--dpi", "50"))
    assert status == 0
    first = {suffix: stem.with_suffix(suffix).read_bytes() for suffix in (".pdf", ".png", ".csv")}

    make(figures, *arguments, options=("--dpi", "50"))

    assert first == {suffix: stem.with_suffix(suffix).read_bytes() for suffix in first}
    assert b"/Type3" not in first[".pdf"]
    rows = list(csv.DictReader(io.StringIO(first[".csv"].decode())))
    assert {row["metric"] for row in rows} == {"macro_f1"}
    assert {row["name"] for row in rows if row["group"] == "source"} == {"Diagrams", "MMMU_DEV_VAL"}


def drawn(metrics_file, **systems):
    metrics = {n: read_document(metrics_file(r), StepMetrics) for n, r in systems.items()}
    return draw_step_level(step_level_drawn(step_level_frame(metrics, PUBLISHED)), 6.75)


def test_the_best_system_is_on_top_whoever_measured_it(metrics_file):
    perfect = [judged("a", "++-", "++-", [None] * 3)]
    useless = [judged("a", "++-", "--+", [None] * 3)]
    _, overall = drawn(metrics_file, perfect=perfect, useless=useless).axes

    names = [label.get_text() for label in overall.get_yticklabels()]
    assert (names[0], names[1], names[-1]) == ("perfect", "EVPV-PRM", "useless")
    bottom, top = overall.get_ylim()
    assert bottom > top, "the first row is on top"


def test_a_run_may_have_the_name_of_a_published_system(metrics_file):
    sources, overall = drawn(metrics_file, **{"VisualPRM-8B": ROWS}).axes

    # MMMU has two values, ours and the published one.
    assert len([line for line in sources.lines if line.get_marker() == "D"]) == 1
    names = [label.get_text() for label in overall.get_yticklabels()]
    assert names.count("VisualPRM-8B") == 1


def test_what_is_not_measured_leaves_a_gap(metrics_file, make):
    neutral = judged("n", "00", "+-", [None] * 2, source="Neutral")
    path = metrics_file([*ROWS, neutral])

    assert make(figures, f"a={path}", options=("--dpi", "50"))[0] == 0
    status, stem = make(tables, f"a={path}")
    assert status == 0
    text = stem.with_suffix(".md").read_text()
    assert "| a | Neutral | – | – | – | – | – |" in text
    assert "| a | Neutral | 1 | 0 | 0 | 0 (0 / 0 / 0) | 0 (0 / 0 / 0) | 0 | 2 |" in text


def test_an_interval_beside_its_estimate_is_drawn(metrics_file, make):
    path = metrics_file()
    metrics = orjson.loads(path.read_bytes())
    pooled = metrics["OVERALL"]["pooled"]
    pooled["ci95"] = [pooled["macro_f1"] - 0.2, pooled["macro_f1"] - 0.1]
    path.write_bytes(orjson.dumps(metrics))

    assert make(figures, f"a={path}", options=("--dpi", "50"))[0] == 0


# Published values


def test_published_results_are_percentages_with_a_reference():
    for result in PUBLISHED:
        assert 2025 <= result.year <= 2026
        assert re.match(r"arXiv \d{4}\.\d{5}", result.reference)
        assert list(result.macro_f1) == sorted(result.macro_f1)
        assert all(40 < value < 70 for value in (*result.macro_f1, *result.by_source.values()))
        assert all(0 < gain.points < 15 for gain in result.gains)
        assert bool(result.gains) == (result.gains_reference is not None)
    names = [result.system for result in PUBLISHED]
    assert len(set(names)) == len(names)


def test_the_one_published_overall_value_with_sources_is_not_their_mean():
    steps = {"MMMU_DEV_VAL": 2406, "MathVision_MINI": 6225, "MathVerse_MINI_Vision_Only": 8727,
             "DynaMath": 4560, "WeMath": 2358}  # fmt: skip
    (result,) = [result for result in PUBLISHED if result.by_source]
    mean = sum(result.by_source[name] * n for name, n in steps.items()) / sum(steps.values())
    assert result.macro_f1 == (62.0,)
    assert result.note == f"the step-weighted mean of its sources is {mean:.1f}"


@pytest.mark.parametrize(("value", "text"), [(62.0, "62.0"), (66.05, "66.05"), (67.46, "67.46")])
def test_published_values_keep_their_digits(value, text):
    assert as_published(value) == text


# Errors


@pytest.mark.parametrize("command", [tables, figures])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{path}"], "--metrics: expected NAME=FILE, found"),
        (["a={path}", "a={path}"], "--metrics: 'a' is given twice"),
        (["a={path}.none"], "m.json.none: cannot be read: No such file"),
        (["a={other}"], "other.json: seed: Field required"),
    ],
)
def test_bad_metrics_are_one_clear_line(
    tmp_path, metrics_file, make, capsys, command, arguments, complaint
):
    other = tmp_path / "other.json"
    other.write_bytes(b'{"bootstrap_samples": 1}')
    words = [argument.format(path=metrics_file(), other=other) for argument in arguments]
    status, stem = make(command, *words)

    error = capsys.readouterr().err
    assert status == 2
    assert complaint in error
    assert error.count("\n") == 1
    assert not stem.parent.exists(), "nothing may be written"
