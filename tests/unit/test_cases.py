"""The core of the case browser: records to cases, collections, pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evpv_prm import cli, compute_bon_metrics, gate_analysis, viewer
from evpv_prm.cases.candidates import CandidateCases
from evpv_prm.cases.collection import CASES_PER_CHUNK, Lines, in_order, read_blocks
from evpv_prm.cases.images import PictureMaker
from evpv_prm.cases.page import asset_names
from evpv_prm.cases.premises import ALIKE, best_match, read_audit, similarity
from evpv_prm.jsonl import write_rows
from evpv_prm.reward import AGGREGATIONS
from tests.browser.world import (
    ABLATIONS,
    FAILED,
    FOUR,
    MISREAD,
    PYTHAGORAS,
    SEEN,
    SOLUTIONS,
    UNAUDITED,
    candidate,
    check,
    finding,
    question,
    ungated,
)
from tests.stages import draw

PICTURES = {"D": {"triangle.png": {"file": "images/t.png", "width": 8, "height": 6}}}


def cases_of(*rows: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the index rows and the cases of scored rows."""
    lines = [(n, json.dumps(row).encode()) for n, row in enumerate(rows, start=1)]
    make = CandidateCases(PICTURES, list(AGGREGATIONS))
    block = make(Lines("D", Path("scored.jsonl"), lines))
    return list(block.rows), list(block.cases)


def numbered(folder: Path) -> list[Any]:
    """Return what the scripts of a collection hand over, index first."""
    path = json.loads((folder / "collection.json").read_text())["path"]
    found = []
    for file in sorted(folder.glob("index-*.js")) + sorted(folder.glob("chunk-*.js")):
        before, value, after = file.read_text().partition(f'evpv.data.add("{path}/{file.stem}", ')
        assert (before, after[-3:]) == ("", ");\n"), value
        found.append(json.loads(after[:-3]))
    return found


# Premises


def statuses(
    facts: list[str | None], findings: list[dict[str, str]], p: float | None = 0.5
) -> list[str | None]:
    audit = read_audit(facts, {"errors_and_hallucinations": findings}, p)
    return [premise and premise["status"] for premise in audit.premises]


def test_a_fact_that_a_finding_is_about_is_contradicted() -> None:
    facts = [SEEN["AC"], None, SEEN["AB"], f" {SEEN['AB']} ", "null"]
    found = [finding("the hypotenuse AB is labelled 12", "it is not")]
    contradicted = ["supported", None, "contradicted", "contradicted", None]
    assert statuses(facts, found) == contradicted
    audit = read_audit(facts, {"errors_and_hallucinations": found}, 0.5)
    assert audit.premises[2] is not None
    assert [each["reason"] for each in audit.premises[2]["findings"]] == ["it is not"]
    assert audit.summary["findings"] == []


def test_a_finding_about_nothing_in_the_list_leaves_the_rest_unclear() -> None:
    found = [finding("The circle is red.", "There is none."), finding(SEEN["AC"], "It is 7.")]
    assert statuses([SEEN["AC"], SEEN["BC"]], found) == ["contradicted", "unclear"]
    loose = read_audit([SEEN["BC"]], {"errors_and_hallucinations": found}, 1.0).summary["findings"]
    assert [each["statement"] for each in loose] == ["The circle is red.", SEEN["AC"]]


def test_a_fact_that_the_audits_own_check_rejects_is_contradicted() -> None:
    checks = [
        check(SEEN["AC"], "Leg AC is labelled 7.", holds=False),
        check(SEEN["BC"], SEEN["BC"], holds=True),
    ]
    facts = [SEEN["AC"], SEEN["BC"], SEEN["AB"]]
    audit = read_audit(facts, {"checks": checks, "errors_and_hallucinations": []}, 1.0)
    assert [premise and (premise["status"], premise["seen"]) for premise in audit.premises] == [
        ("contradicted", "Leg AC is labelled 7."),
        ("supported", SEEN["BC"]),
        ("supported", None),
    ]
    unaudited = read_audit(facts, {"checks": checks}, None)
    assert {premise and premise["status"] for premise in unaudited.premises} == {"unaudited"}


def test_without_a_reliability_nothing_was_audited() -> None:
    assert statuses([SEEN["AC"], None], [], None) == ["unaudited", None]


@pytest.mark.parametrize(
    "evaluation",
    [
        None,
        {},
        {"errors_and_hallucinations": "none", "omissions": "none"},
        {"errors_and_hallucinations": ["AC is 7"], "omissions": [3]},
        {"checks": [SEEN["AC"], {"holds": False}]},
        {"checks": {"fact": SEEN["AC"], "holds": False}},
    ],
)
def test_an_audit_in_another_shape_has_no_findings(evaluation: dict[str, Any] | None) -> None:
    audit = read_audit([SEEN["AC"]], evaluation, 1.0)
    assert [premise and premise["status"] for premise in audit.premises] == ["supported"]
    assert audit.summary == {"reliability": 1.0, "findings": [], "omissions": []}


TEXTS = st.text("ab12 .,-A", max_size=12)


@given(TEXTS, TEXTS)
def test_similarity_is_symmetric_and_one_for_the_same_words(one: str, other: str) -> None:
    assert similarity(one, other) == similarity(other, one)
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, one.upper()) == 1 or not one.strip()


@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_the_best_match_is_a_fact_that_is_alike(facts: list[str], statement: str) -> None:
    found = best_match(statement, facts)
    scores = [similarity(statement, fact) for fact in facts]
    if found is None:
        assert all(score < ALIKE for score in scores)
    else:
        assert similarity(statement, found) == max(scores)


def test_other_numbers_are_other_facts() -> None:
    assert best_match("AC = 7", ["AC = 6", "BC = 7"]) is None
    assert best_match("side AC = 6", ["In the triangle ABC side AC = 6 cm", "BC = 6"]) is not None


# Candidates


def test_a_case_has_what_the_scored_record_says() -> None:
    _, [case] = cases_of(question("q", *FOUR, choices=["6", "10"]))
    assert case["images"] == [PICTURES["D"]["triangle.png"]]
    assert case["options"] == ["6", "10"]
    assert case["description"].startswith("A right triangle ABC")
    assert [view["right"] for view in case["candidates"]] == [True, False, True, True]
    step = case["candidates"][1]["steps"][0]
    assert (step["raw"], step["probability"], step["final"]) == (1, 0.91, 0.3)
    assert step["evidence"] == "AB carries no label."
    assert case["candidates"][0]["steps"][0]["evidence"] is None
    assert case["candidates"][1]["omissions"] == ["The right angle at C is marked."]


def test_the_choices_are_by_each_aggregation_with_and_without_the_gate() -> None:
    [row], [case] = cases_of(question("q", *FOUR))
    assert list(case["choices"]) == list(AGGREGATIONS)
    mean = case["choices"]["geometric_mean"]
    assert (mean["raw_chosen"], mean["gated_chosen"]) == ([1], [0, 3])
    assert mean["raw_scores"][1] == 1
    at = list(AGGREGATIONS).index("geometric_mean")
    assert (row["raw"][at], row["gated"][at], row["changes"][at]) == (0, 1, "better")
    assert row["reliability"] == 0.3
    assert (row["right"], row["candidates"]) == (3, 4)


def test_a_candidate_without_a_score_is_chosen_last() -> None:
    [row], [case] = cases_of(question("q", FAILED, UNAUDITED, MISREAD, answer="12"))
    choice = case["choices"]["correctness_rate"]
    assert choice["raw_scores"][:2] == choice["gated_scores"][:2] == [None, None]
    assert choice["raw_chosen"] == choice["gated_chosen"] == [2]
    assert row["failures"] == ["audit:invalid_json", "candidate:truncated", "judge:timeout"]
    assert case["candidates"][0]["error"] == "truncated"


def test_premises_that_nobody_rests_on_have_no_lowest_reliability() -> None:
    [row], _ = cases_of(question("q", candidate("10", [("So 10.", None, 1)])))
    assert row["reliability"] is None


def test_a_question_that_was_never_asked_has_no_candidates() -> None:
    row = {**question("q"), "error": "missing_image", "detail": "no file"}
    [indexed], [case] = cases_of(row)
    assert (indexed["failures"], indexed["gated"]) == (["question:missing_image"], [])
    assert (case["error"], case["detail"], case["candidates"]) == ("missing_image", "no file", [])


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A scored file whose choices the gate changes for better, for worse and not at all."""
    rows = [
        question(f"q{n}", *FOUR, answer=answer) for n, answer in enumerate(["10", "12", "0"] * 9)
    ]
    rows.append(question("last", *[PYTHAGORAS] * 4))
    write_rows(tmp_path / "scored.jsonl", rows)
    return tmp_path / "scored.jsonl"


def test_the_index_adds_up_to_the_metrics(scored: Path, tmp_path: Path) -> None:
    """What the page says of choices is what the tables say."""
    words = ["--bootstrap-samples", "10", "--workers", "1"]
    bon = ["--scored", str(scored), "--output", str(tmp_path / "bon.json"), *words]
    assert compute_bon_metrics.main(bon) == 0
    write_rows(tmp_path / "judged.jsonl", SOLUTIONS)
    gate = ["--scored", f"P={scored}", "--predictions", str(tmp_path / "judged.jsonl")]
    assert gate_analysis.main([*gate, "--output", str(tmp_path / "gate.json"), *words]) == 0
    rows, _ = cases_of(*(json.loads(line) for line in scored.read_text().splitlines()))
    metrics = json.loads((tmp_path / "bon.json").read_text())["datasources"]["Geometry"]
    changed = json.loads((tmp_path / "gate.json").read_text())["policies"]["P"]["datasources"]
    for at, name in enumerate(AGGREGATIONS):
        for kind in ("raw", "gated"):
            accuracy = sum(row[kind][at] for row in rows) / len(rows)
            assert accuracy == pytest.approx(metrics["bon_at_k"][kind][name]["4"], abs=1e-5)
        counts = [row["changes"][at] for row in rows]
        decisions = changed["Geometry"]["decisions"][name]
        assert len(counts) - counts.count("") == decisions["n_changed"]
        assert counts.count("better") == decisions["n_better"]
        assert counts.count("worse") == decisions["n_worse"]
    assert counts.count("better") == counts.count("worse") > 0


# Collections and pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A case browser's folder with the pictures of benchmark D."""
    draw(tmp_path / "images/triangle.png")
    records = tmp_path / "records.jsonl"
    write_rows(records, [question("q")])
    for name in ("D", "VisualProcessBench"):
        assert run("images", "--name", name, "--records", records, "--images", tmp_path / "images",
                   "--workers", 1, "--folder", tmp_path / "cases") == 0  # fmt: skip
    return tmp_path / "cases"


def run(*words: object) -> int:
    return cli.run(lambda: viewer.main([str(word) for word in words]))


def build(folder: Path, *scored: Path, workers: int = 1) -> int:
    files = [f"D={path}" for path in scored]
    return run("candidates", "--policy", "P", "--scored", *files, "--folder", folder,
               "--workers", workers)  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_a_row_says_where_its_case_is(scored: Path, folder: Path, workers: int) -> None:
    assert build(folder, scored, workers=workers) == 0
    index, *chunks = numbered(folder / "candidates/P")
    assert [len(chunk) for chunk in chunks] == [CASES_PER_CHUNK, 28 - CASES_PER_CHUNK]
    for row in index:
        chunk, place = row["at"]
        assert chunks[chunk][place]["pid"] == row["pid"]
    about = json.loads((folder / "candidates/P/collection.json").read_text())
    assert (about["cases"], about["indexes"]) == (28, 1)
    assert about["sources"] == {"Geometry": 28}


def test_what_is_made_again_is_the_same(scored: Path, folder: Path) -> None:
    assert build(folder, scored) == 0
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert build(folder, scored, workers=2) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([question("q", *FOUR), question("q", *FOUR)], "scored.jsonl:2: pid: 'q' is also the pid"),
        ([question("q", *FOUR, image="other.png")], "1: image: no picture was made of 'other.png'"),
        ([question("q", {**MISREAD, "eval": None})], "1: vlmresponse1.eval: expected an object"),
        ([], "expected at least one record"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    rows: list[dict[str, Any]],
    part: str,
    scored: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_rows(scored, rows)
    assert build(folder, scored) == 2
    assert part in capsys.readouterr().err
    assert not (folder / "candidates/P").exists()


def test_benchmarks_without_pictures_are_named(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path / "none", scored) == 2
    assert "none/images/D.json: cannot be read" in capsys.readouterr().err


def test_a_collection_of_nothing_and_an_unknown_aggregation_are_refused(
    scored: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("page", "--folder", folder, "--collections", "candidates/P") == 2
    assert "collection.json: cannot be read" in capsys.readouterr().err
    files = ["--scored", f"D={scored}", "--aggregations", "streak_score", "--folder", folder]
    assert run("candidates", "--policy", "P", *files) == 0
    assert run("page", "--folder", folder, "--collections", "candidates/P") == 2
    assert "--aggregation geometric_mean: expected one of streak_score" in capsys.readouterr().err
    assert not (folder / "index.html").exists()


def test_the_page_has_every_file_that_it_names(scored: Path, folder: Path) -> None:
    assert build(folder, scored) == 0
    assert run("page", "--folder", folder, "--collections", "candidates/P") == 0
    page = (folder / "index.html").read_text()
    for name in asset_names():
        assert f'"assets/{name}"' in page
        assert (folder / "assets" / name).read_bytes()


def double(number: int) -> int:
    return 2 * number


def test_work_is_taken_only_a_little_ahead() -> None:
    taken = []

    def numbers() -> Any:
        for number in range(40):
            taken.append(number)
            yield number

    results = in_order(double, numbers(), 2)
    assert next(results) == 0
    assert len(taken) < 10
    assert list(results) == [2 * number for number in range(1, 40)]


def test_a_block_is_of_one_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / name, [{"n": n} for n in range(CASES_PER_CHUNK + 1)])
    files = {"X": [tmp_path / "a"], "Y": [tmp_path / "b"]}
    found = [(block.name, [line for line, _ in block.lines]) for block in read_blocks(files)]
    whole, rest = list(range(1, CASES_PER_CHUNK + 1)), [CASES_PER_CHUNK + 1]
    assert found == [("X", whole), ("X", rest), ("Y", whole), ("Y", rest)]


def test_a_large_image_is_made_smaller_and_a_small_one_is_kept(tmp_path: Path) -> None:
    Image.new("RGB", (400, 200), "red").save(tmp_path / "large.png")
    draw(tmp_path / "small.png")
    maker = PictureMaker(tmp_path, tmp_path / "out", 100)
    large, small = maker("large.png"), maker("small.png")
    assert (large["width"], large["height"]) == (100, 50)
    assert large["file"].endswith(".webp")
    file = tmp_path / "out" / small["file"].removeprefix("images/")
    assert file.read_bytes() == (tmp_path / "small.png").read_bytes()


def test_what_is_transparent_stands_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (400, 200), (0, 0, 0, 0)).save(tmp_path / "a.png")
    made = PictureMaker(tmp_path, tmp_path / "out", 100)("a.png")
    with Image.open(tmp_path / "out" / made["file"].removeprefix("images/")) as image:
        assert image.convert("RGB").getpixel((50, 25)) == (255, 255, 255)


def test_a_photograph_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    Image.new("RGB", (400, 200)).save(tmp_path / "large.jpg", exif=exif)
    Image.new("RGB", (40, 20)).save(tmp_path / "small.jpg", exif=exif)
    maker = PictureMaker(tmp_path, tmp_path / "out", 100)
    assert [(made["width"], made["height"]) for made in map(maker, ["large.jpg", "small.jpg"])] == [
        (50, 100),
        (20, 40),
    ]


def test_a_picture_that_was_lost_is_made_again(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    maker = PictureMaker(tmp_path, tmp_path / "out", 100)
    path = tmp_path / "out" / maker("a.png")["file"].removeprefix("images/")
    path.write_bytes(b"")
    maker("a.png")
    assert path.read_bytes() == (tmp_path / "a.png").read_bytes()


def test_an_image_that_cannot_be_used_has_a_failure_for_a_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    maker = PictureMaker(tmp_path, tmp_path / "out", 100)
    assert maker("text.png") == {"failure": "unreadable_image"}
    assert maker("none.png") == {"failure": "missing_image"}
    assert maker("../secret.png") == {"failure": "image_outside_root"}


def test_pictures_are_made_once(folder: Path, tmp_path: Path) -> None:
    [picture] = folder.glob("images/*/*")
    before = picture.stat().st_mtime_ns
    words = ["--records", tmp_path / "records.jsonl", "--images", tmp_path / "images"]
    assert run("images", "--name", "E", *words, "--folder", folder) == 0
    assert picture.stat().st_mtime_ns == before
    assert (folder / "images/D.json").read_bytes() == (folder / "images/E.json").read_bytes()


# Labelled solutions


@pytest.fixture
def judged(tmp_path: Path) -> dict[str, Path]:
    """Files of judged solutions: with a gate, without a caption, by two configurations."""
    draw(tmp_path / "images/triangle.png")
    files = {name: tmp_path / f"{name}.jsonl" for name in ("predictions", "direct", "ablations")}
    write_rows(files["predictions"], SOLUTIONS)
    write_rows(files["direct"], [ungated(SOLUTIONS[0], [1, -1, 1, 1])])
    rows = [
        ungated(SOLUTIONS[0], verdicts)
        | {"ablation_name": name, "ablation_meta": {"seed": seed, "imputed_steps": []}}
        for name, verdicts in ABLATIONS.items()
        for seed in (2, 1)
    ]
    write_rows(files["ablations"], rows)
    cases = tmp_path / "cases"
    words = ["--records", files["predictions"], "--images", tmp_path / "images"]
    shutil.rmtree(cases, ignore_errors=True)
    assert run("images", "--name", "VisualProcessBench", *words, "--folder", cases) == 0
    return files


def build_solutions(files: dict[str, Path], *parts: str) -> tuple[int, Path]:
    folder = files["predictions"].parent / "cases"
    flags = [word for name in parts for word in (f"--{name}", files[name])]
    return run("solutions", *flags, "--folder", folder), folder / "solutions"


def test_a_solution_counts_its_mistakes_and_what_the_gate_makes_of_them(
    judged: dict[str, Path],
) -> None:
    status, folder = build_solutions(judged, "predictions", "direct", "ablations")
    assert status == 0
    index, cases = numbered(folder)
    counts = {row["pid"]: tuple(row[n] for n in ("accepts", "rejects", "caught", "lost"))
              for row in index}  # fmt: skip
    assert counts == {"accepts": (1, 0, 1, 1), "rejects": (0, 1, 0, 0), "judge-failed": (0,) * 4}
    first = cases[0]["steps"]
    assert [step["truth"] for step in first] == [1, -1, 0, 1]
    assert [step["gated"] for step in first] == [-1, -1, 1, 1]
    assert [step["direct"] for step in first] == [1, -1, 1, 1]
    assert [step["evidence"] for step in first] == [None, "AB carries no label.", None, None]
    assert cases[1]["steps"][0]["direct"] is None
    assert cases[2]["steps"][0]["gated"] is None
    assert index[2]["failures"] == ["judge:timeout"]


def test_configurations_are_compared_with_their_own_reference(judged: dict[str, Path]) -> None:
    _, folder = build_solutions(judged, "predictions", "ablations")
    about = json.loads((folder / "collection.json").read_text())
    names = [each["name"] for each in about["configurations"]]
    assert names == ["baseline", "history_none", "history_last1"]
    index, cases = numbered(folder)
    assert [row["disagreeing"] for row in index] == [[1], [], []]
    assert cases[0]["ablations"]["history_none"] == [ABLATIONS["history_none"]] * 2


def test_a_solution_without_a_gate_has_no_rewards(judged: dict[str, Path]) -> None:
    write_rows(judged["predictions"], [ungated(SOLUTIONS[0], [1, 1, 1, -1])])
    status, folder = build_solutions(judged, "predictions")
    assert status == 0
    [row], [case] = numbered(folder)
    assert [step["final"] for step in case["steps"]] == [None] * 4
    assert (row["accepts"], row["rejects"], row["caught"], row["lost"]) == (1, 1, 0, 0)
    assert row["reliability"] is None


def test_other_steps_of_the_same_solution_are_refused(
    judged: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    response = {"steps": ["One."], "process_correctness": [1]}
    write_rows(judged["direct"], [ungated(SOLUTIONS[0] | {"response": response}, [1])])
    status, folder = build_solutions(judged, "predictions", "direct")
    assert status == 2
    assert "predictions.jsonl:1: accepts: was judged with other steps" in capsys.readouterr().err
    assert not folder.exists()


def test_help_of_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("images", "candidates", "solutions", "page"):
        with pytest.raises(SystemExit) as caught:
            viewer.main([part, "--help"])
        assert caught.value.code == 0
        assert "--folder" in capsys.readouterr().out
