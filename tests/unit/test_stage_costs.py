"""What the stages of a run took, from the files of Snakemake's `benchmark:`."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from evpv_prm import stage_costs
from evpv_prm.cli import run
from evpv_prm.jsonl import write_json
from evpv_prm.stage_costs import read_costs, unit
from tests.measured import PROVENANCE

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def job(folder: Path, name: str, wall: float, cpu: object = 1.0, memory: object = 100) -> None:
    path = folder / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEADER}{wall}\t0:00:01\t{memory}\t1\t1\t1\t1\t1\t50\t{cpu}\n")


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    folder = tmp_path / "benchmarks"
    job(folder, "score/a/1-of-2", 60, 30, 500)
    job(folder, "score/a/2-of-2", 40, 20, 700)
    job(folder, "sample/a/1-of-1", 10)
    job(folder, "sample/b/1-of-1", 20)
    job(folder, "check", 0.2, "NA", "-")
    return folder


def test_jobs_are_summed_by_stage_the_longest_first(benchmarks: Path) -> None:
    costs = read_costs(benchmarks, {}).set_index("stage")
    assert list(costs.index) == ["score", "sample", "check"]
    expected = {"jobs": 2, "wall_s": 100, "cpu_s": 50, "gpu_s": 0, "peak_mb": 700}
    assert costs.loc["score"].to_dict() == expected
    assert costs.loc["check", "cpu_s"] == 0


def test_gpu_time_is_wall_time_times_the_gpus_of_the_stage_or_of_its_name(
    benchmarks: Path,
) -> None:
    costs = read_costs(benchmarks, {"score": 2, "sample/b": 4}).set_index("stage")
    assert costs["gpu_s"].to_dict() == {"score": 200, "sample": 80, "check": 0}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, (1, "s")), (599, (1, "s")), (600, (60, "min")), (36000, (3600, "h"))],
)
def test_a_duration_has_a_unit_that_suits_it(seconds: float, expected: tuple[int, str]) -> None:
    assert unit(seconds) == expected


def words(benchmarks: Path, *more: str) -> list[str]:
    stem = ["--output-stem", str(benchmarks.parent / "out/costs"), "--dpi", "50"]
    return ["--benchmarks", str(benchmarks), *stem, *more]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"config": {"site": "site.yaml"}}, 200),
        ({"hardware": PROVENANCE["hardware"] | {"gpus": ["H200"]}}, 200),
    ],
)
def test_gpus_count_where_there_are_some(
    benchmarks: Path, tmp_path: Path, changes: dict[str, object], expected: float
) -> None:
    write_json(tmp_path / "provenance.json", PROVENANCE | changes)
    more = ["--gpus", "score=2", "--provenance", str(tmp_path / "provenance.json")]
    assert run(lambda: stage_costs.main(words(benchmarks, *more))) == 0
    rows = {row["stage"]: row for row in csv.DictReader((tmp_path / "out/costs.csv").open())}
    assert float(rows["score"]["gpu_s"]) == expected


@pytest.mark.parametrize("stages", [1, 40])
def test_the_figure_is_print_ready(tmp_path: Path, stages: int) -> None:
    for number in range(stages):
        job(tmp_path / "benchmarks", f"stage_{number}", number + 1)
    assert run(lambda: stage_costs.main(words(tmp_path / "benchmarks"))) == 0
    pdf = (tmp_path / "out/costs.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert len((tmp_path / "out/costs.csv").read_text().splitlines()) == 1 + stages


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "no benchmark files (*.tsv)"), ("a\tb\n1\t2\n", "x.tsv: expected a benchmark file")],
)
def test_what_is_no_benchmark_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, complaint: str
) -> None:
    (tmp_path / "benchmarks").mkdir()
    if content:
        (tmp_path / "benchmarks/x.tsv").write_text(content)
    assert run(lambda: stage_costs.main(words(tmp_path / "benchmarks"))) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_word_without_a_stage_is_refused(
    benchmarks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        stage_costs.main(words(benchmarks, "--gpus", "3"))
    assert "--gpus" in capsys.readouterr().err
