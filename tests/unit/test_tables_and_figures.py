"""From metrics files to tables and figures."""

from __future__ import annotations

import csv
import io
import struct

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import compute_bon_metrics, figures, tables
from evpv_prm.cli import run
from evpv_prm.metrics.rendering import Table, escape_latex, from_markdown, to_markdown
from evpv_prm.reward import gate
from tests import measured

GOLDEN = """\
> Random models.

**Questions, failures, and accuracy without a verifier (%)**

| Policy | Benchmark | Questions | Scored | Failures | Candidates | Unscored | Random (Pass@1) \
| Majority vote@2 | Pass@2 |
| :-- | :-- | --: | --: | --: | --: | --: | --: | --: | --: |
| tiny | X | 3 | 2 | 2 | 4 | 1 | 50.0 | 75.0 | 100.0 |
| tiny | Y | 1 | 1 | 0 | 2 | 0 | 100.0 | 100.0 | 100.0 |
| tiny | All questions pooled | 4 | 3 | 2 | 6 | 1 | 66.7 | 83.3 | 100.0 |
| tiny | Mean of benchmarks | 4 | 3 | 2 | 6 | 1 | 75.0 | 87.5 | 100.0 |

All rates are over the scored questions, those that were put to the policy. A candidate that could \
not be made is wrong; one without a score ranks below all others; ties share the choice equally.

Intervals: bootstrap over questions clustered by image within each benchmark, 100 resamples, \
seed 0; paired for gains.

Failures of tiny by reason. X: candidate:truncated 1, question:missing_image 1.

**BoN@2 accuracy (%), gated scores (raw scores in parentheses)**

| Policy | Benchmark | Geometric |
| :-- | :-- | --: |
| tiny | X | 50.0 (75.0) |
| tiny | Y | 100.0 (100.0) |
| tiny | All questions pooled | 66.7 (83.3) |
| tiny | Mean of benchmarks | 75.0 (87.5) |

Aggregations: geometric mean.

**Gain of BoN@2 with gated scores over a random choice, percentage points with 95 % interval**

| Policy | Benchmark | Geometric |
| :-- | :-- | --: |
| tiny | X | 0.0 [0.0, 0.0] |
| tiny | Y | 0.0 [0.0, 0.0] |
| tiny | All questions pooled | 0.0 [0.0, 0.0] |
| tiny | Mean of benchmarks | 0.0 [0.0, 0.0] |

**Gain of BoN@2 with raw scores over a random choice, percentage points with 95 % interval**

| Policy | Benchmark | Geometric |
| :-- | :-- | --: |
| tiny | X | +25.0 [25.0, 25.0] |
| tiny | Y | 0.0 [0.0, 0.0] |
| tiny | All questions pooled | +16.7 [16.7, 16.7] |
| tiny | Mean of benchmarks | +12.5 [12.5, 12.5] |

**Gain of BoN@2 with gated scores over the majority vote, percentage points with 95 % interval**

| Policy | Benchmark | Geometric |
| :-- | :-- | --: |
| tiny | X | −25.0 [−25.0, −25.0] |
| tiny | Y | 0.0 [0.0, 0.0] |
| tiny | All questions pooled | −16.7 [−16.7, −16.7] |
| tiny | Mean of benchmarks | −12.5 [−12.5, −12.5] |

**Gain of BoN@2 with gated over raw scores, percentage points with 95 % interval**

| Policy | Benchmark | Geometric |
| :-- | :-- | --: |
| tiny | X | −25.0 [−25.0, −25.0] |
| tiny | Y | 0.0 [0.0, 0.0] |
| tiny | All questions pooled | −16.7 [−16.7, −16.7] |
| tiny | Mean of benchmarks | −12.5 [−12.5, −12.5] |
"""


def candidate(answer, raw, visual=(), p=1.0):
    scores = {"raw_step_scores": raw, "final_step_scores": gate(raw, visual, p), "failures": []}
    return {"reasoningprocess": [], "finalanswer": answer, "eval": scores}


def question(pid, datasource, *candidates, **more):
    row = {"pid": pid, "question": "?", "answer": "B", "image": "1.png", "datasource": datasource}
    return row | {f"vlmresponse{n}": c for n, c in enumerate(candidates, 1)} | more


ROWS = [
    question("q1", "X", candidate("B", [1, 1], visual=[0], p=0.5), candidate("A", [1, 1])),
    question("q2", "X", candidate("B", [1, -1]), {"error": "truncated"}),
    question("q3", "X", error="missing_image"),
    question("q4", "Y", candidate("B", [1]), candidate("B", [-1])),
]


@pytest.fixture
def metrics_file(tmp_path):
    def write(rows=ROWS, name="m.json", options=("--aggregations", "geometric_mean")):
        scored = tmp_path / "scored.jsonl"
        scored.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        path = tmp_path / name
        argv = ["--scored", str(scored), "--output", str(path), "--bootstrap-samples", "100"]
        markdown = ["--markdown", str(path.with_suffix(".md"))]
        assert compute_bon_metrics.main([*argv, *markdown, *options]) == 0
        return path

    return write


@pytest.fixture
def best_of_n(tmp_path):
    def make(*metrics, note=()):
        stem = tmp_path / "tables" / "best_of_n"
        argv = ["best-of-n", "--metrics", *metrics, "--output-stem", str(stem), *note]
        return run(lambda: tables.main(argv)), stem

    return make


@pytest.fixture
def bon_curves(tmp_path):
    def make(*metrics, options=("--dpi", "50", "--aggregation", "geometric_mean")):
        stem = tmp_path / "figures" / "bon_curves"
        argv = ["bon-curves", "--metrics", *metrics, "--output-stem", str(stem), *options]
        return run(lambda: figures.main(argv)), stem

    return make


def test_markdown_table_is_exactly_this(metrics_file, best_of_n):
    status, stem = best_of_n(f"tiny={metrics_file()}", note=["--note", "Random\nmodels."])

    assert status == 0
    assert stem.with_suffix(".md").read_text() == GOLDEN


def test_the_metrics_command_writes_the_same_table_without_a_policy(metrics_file):
    text = metrics_file().with_suffix(".md").read_text()

    expected = GOLDEN.removeprefix("> Random models.\n\n")
    for policy, nothing in (("| tiny ", ""), ("| Policy ", ""), ("| :-- | :-- ", "| :-- ")):
        expected = expected.replace(policy, nothing)
    assert text == expected.replace(" of tiny", "")


def test_one_benchmark_needs_no_sums(metrics_file, best_of_n):
    _, stem = best_of_n(f"tiny={metrics_file(ROWS[:3])}")

    text = stem.with_suffix(".md").read_text()
    assert "| tiny | X |" in text
    assert "pooled" not in text
    assert "Mean of" not in text


def test_latex_table_is_booktabs_with_the_note_in_every_caption(metrics_file, best_of_n):
    path = metrics_file()

    _, stem = best_of_n(f"tiny_8B={path}", f"26B={path}", note=["--note", "100% random"])

    text = stem.with_suffix(".tex").read_text()
    assert text.count(r"\begin{table}") == text.count(r"100\% random}") == 6
    assert r"\multirow" not in text
    rows = text.split(r"\midrule")
    assert rows[1].strip().startswith(r"tiny\_8B & X & 3 & 2 & 2 & 4 & 1 & 50.0 & 75.0 & 100.0 \\")
    assert rows[2].strip().startswith("26B & X & 3")
    assert "$-$25.0 [$-$25.0, $-$25.0]" in text


def test_latex_special_characters_are_escaped():
    assert escape_latex(r"a\b_{c}~^|<50%>") == (
        r"a\textbackslash{}b\_\{c\}\textasciitilde{}\textasciicircum{}"
        r"\textbar{}\textless{}50\%\textgreater{}"
    )


def test_csv_holds_every_number_of_the_metrics_file(metrics_file, best_of_n):
    path = metrics_file(options=())
    _, stem = best_of_n(f"tiny={path}")

    rows = list(csv.DictReader(io.StringIO(stem.with_suffix(".csv").read_text())))

    # Per summary: random; pass, majority and ten BoN curves at two k; 10 + 10 + 5 gains.
    assert len(rows) == 4 * (1 + 2 * 2 + 10 * 2 + 25)
    key = {"benchmark": "X", "metric": "bon_at_k", "scores": "raw", "k": "2"}
    key["aggregation"] = "streak_score"
    (row,) = [row for row in rows if key.items() <= row.items()]
    summary = orjson.loads(path.read_bytes())["datasources"]["X"]
    assert float(row["estimate"]) == summary["bon_at_k"]["raw"]["streak_score"]["2"]
    low, high = summary["intervals"]["bon_at_k"]["raw"]["streak_score"]["2"]
    assert (float(row["ci95_low"]), float(row["ci95_high"])) == (low, high)
    assert (row["n"], row["n_scored"]) == ("3", "2")
    assert row["failures"] == "candidate:truncated=1;question:missing_image=1"


def test_a_benchmark_without_rates_shows_dashes_and_an_empty_panel(
    metrics_file, best_of_n, bon_curves
):
    path = metrics_file([*ROWS, question("z", "Z", error="missing_image")])

    status, stem = best_of_n(f"tiny={path}")
    assert status == 0
    assert "| tiny | Z | 1 | 0 | 1 | 0 | 0 | – | – | – |" in stem.with_suffix(".md").read_text()
    assert bon_curves(f"tiny={path}")[0] == 0


@pytest.mark.parametrize("command", ["best_of_n", "bon_curves"])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{path}"], "--metrics: expected NAME=FILE, found"),
        (["a={path}", "a={path}"], "--metrics: 'a' is given twice"),
        (["a={path}", "b={other}"], "--metrics: aggregations of a is ['geometric_mean'], of b"),
        (["a={path}", "b={single}"], "--metrics: num_candidates of a is 2, of b 1"),
        (["a={path}.none"], "m.json.none: cannot be read: No such file"),
        (["a={broken}"], "broken.json: seed: Field required"),
        (["a={text}"], "text.json: not valid JSON"),
        (["a={list}"], "list.json: expected a JSON object, found list"),
    ],
)
def test_bad_metrics_are_one_clear_line(
    request, tmp_path, metrics_file, capsys, command, arguments, complaint
):
    paths = {
        "path": metrics_file(),
        "other": metrics_file(name="other.json", options=()),
        "single": metrics_file([question("q", "X", candidate("B", [1]))], name="single.json"),
    }
    for name, content in (
        ("broken", b'{"num_candidates": 8, "aggregations": ["x"], "bootstrap_samples": 1}'),
        ("text", b"{"),
        ("list", b"[]"),
    ):
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_bytes(content)

    status, stem = request.getfixturevalue(command)(*(a.format(**paths) for a in arguments))

    error = capsys.readouterr().err
    assert status == 2
    assert complaint in error
    assert error.count("\n") == 1
    assert not stem.parent.exists(), "nothing may be written"


def test_unknown_aggregation_is_refused(metrics_file, bon_curves, capsys):
    status, stem = bon_curves(f"a={metrics_file()}", options=("--aggregation", "streak_score"))

    assert status == 2
    assert "--aggregation: expected one of geometric_mean" in capsys.readouterr().err
    assert not stem.parent.exists()


def png_size(content):
    return struct.unpack(">II", content[16:24])


@pytest.mark.parametrize("policies", [1, 2])
def test_figure_is_print_ready_and_the_same_every_time(metrics_file, bon_curves, policies):
    arguments = [f"policy $_{i}={metrics_file()}" for i in range(policies)]
    status, stem = bon_curves(*arguments)
    assert status == 0
    first = {suffix: stem.with_suffix(suffix).read_bytes() for suffix in (".pdf", ".png", ".csv")}

    bon_curves(*arguments)

    assert first == {suffix: stem.with_suffix(suffix).read_bytes() for suffix in first}
    assert b"/FontFile2" in first[".pdf"], "fonts are embedded as TrueType"
    assert b"/Type3" not in first[".pdf"]
    assert b"CreationDate" not in first[".pdf"]
    assert png_size(first[".png"])[0] == int(6.75 * 50)


def test_a_single_panel_takes_one_column_of_a_page(metrics_file, bon_curves):
    _, stem = bon_curves(f"tiny={metrics_file(ROWS[:3])}")

    assert png_size(stem.with_suffix(".png").read_bytes())[0] == int(3.375 * 50)


def test_numbers_of_the_figure_stand_beside_it(metrics_file, bon_curves):
    path = metrics_file(options=())
    _, stem = bon_curves(f"tiny={path}", options=("--dpi", "50", "--aggregation", "streak_score"))

    rows = list(csv.DictReader(io.StringIO(stem.with_suffix(".csv").read_text())))

    # Pass@k, majority vote, gated and ungated BoN for two benchmarks and two k.
    assert len(rows) == 4 * 2 * 2
    assert {row["aggregation"] for row in rows} == {"", "streak_score"}
    assert {row["benchmark"] for row in rows} == {"X", "Y"}


# Tables as Markdown and back

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"], exclude_characters="\\"))
WORD = WORDS.map(lambda word: f"x{word}x")


@st.composite
def some_tables(draw):
    columns = draw(st.lists(WORD, min_size=1, max_size=4))
    rows = draw(st.lists(st.lists(WORDS, min_size=len(columns), max_size=len(columns))))
    labels = draw(st.integers(0, len(columns)))
    return Table(draw(WORD), columns, rows, labels, draw(st.lists(WORD, max_size=2)))


@given(st.lists(some_tables(), max_size=3), st.none() | WORD)
def test_tables_are_read_back_from_their_markdown(made, note):
    assert from_markdown(to_markdown(made, note)) == (note, made)


def test_the_golden_table_is_read_back():
    note, found = from_markdown(GOLDEN)
    assert note == "Random models."
    assert to_markdown(found, note) == GOLDEN


# What Best-of-N adds


@pytest.fixture
def bon_gain(tmp_path):
    def make(*metrics, options=()):
        stem = tmp_path / "figures" / "bon_gain"
        argv = ["bon-gain", "--metrics", *metrics, "--output-stem", str(stem), "--dpi", "50"]
        return run(lambda: figures.main([*argv, *options])), stem

    return make


@pytest.mark.parametrize("width", ["3.375", "6.75"])
def test_gains_are_drawn_in_one_column_and_in_two(metrics_file, bon_gain, width):
    path = metrics_file([*ROWS, question("z", "Z", error="missing_image")])
    options = ("--aggregation", "geometric_mean", "--width-in", width)
    status, stem = bon_gain(f"a $_={path}", f"b={path}", options=options)
    assert status == 0
    pdf = stem.with_suffix(".pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert png_size(stem.with_suffix(".png").read_bytes())[0] == int(float(width) * 50)


def test_gains_stand_beside_those_of_the_paper_where_the_benchmarks_are_its_own(tmp_path, bon_gain):
    for name, questions in (("six", {}), ("other", {"questions": {"Lengths": 8}})):
        document = measured.policy(**questions).model_dump(mode="json")
        (tmp_path / f"{name}.json").write_bytes(orjson.dumps(document))

    def published(name):
        options = ("--aggregation", "geometric_mean")
        status, stem = bon_gain(f"InternVL2.5-8B={tmp_path / name}.json", options=options)
        assert status == 0
        rows = list(csv.DictReader(stem.with_suffix(".csv").open()))
        return [float(row["estimate"]) for row in rows if row["results"] == "published"]

    assert published("six") == [0.0883]
    assert published("other") == []


def test_gains_by_an_unknown_aggregation_are_refused(metrics_file, bon_gain, capsys):
    status, stem = bon_gain(f"a={metrics_file()}", options=("--aggregation", "streak_score"))
    assert status == 2
    assert "--aggregation: expected one of geometric_mean" in capsys.readouterr().err
    assert not stem.parent.exists()
