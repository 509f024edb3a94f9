"""`snakemake plan` and `snakemake rates`: what a run would cost, and what one has cost."""

from __future__ import annotations

import csv
import re
import shutil
import threading
from pathlib import Path

import pytest

from evpv_prm.config import Config
from tests.workflow.model import ModelServer
from tests.workflow.project import REPOSITORY, Project, Run

finished_run = pytest.mark.xdist_group("finished run")

QUIETLY = ("--quiet", "all")


def table(run: Run) -> dict[str, list[str]]:
    """The columns of a plan by rule."""
    assert run.status == 0, run.output
    rows = re.findall(r"^(\w+) {2,}((?:GPU|CPU|local).*)$", run.output, re.MULTILINE)
    return {rule: columns.split() for rule, columns in rows}


def counts(run: Run) -> list[int]:
    """Jobs done, to do, run by Snakemake itself, submitted, submitted with GPUs."""
    assert run.status == 0, run.output
    [line] = re.findall(r"^\d+ jobs are done, .*$", run.output, re.MULTILINE)
    return [int(number) for number in re.findall(r"\d+", line)]


def files(folder: Path) -> dict[Path, int]:
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and ".snakemake" not in path.relative_to(folder).parts
    }


def test_the_paper_submits_at_most_150_jobs(paper: Project) -> None:
    run = paper.run("snakemake", *QUIETLY, "--", "plan")
    done, to_do, local, submitted, with_gpus = counts(run)
    assert done == 0
    assert to_do == local + submitted == sum(paper.run("snakemake", "-n").planned.values())
    assert 0 < with_gpus < submitted <= 150
    rows = table(run)
    assert rows["generate_candidates"][:2] == ["GPU", "36"]
    assert rows["describe_images"][0] == "CPU"
    assert rows["plot_bon_curves"][0] == "local"


def test_a_fresh_clone_has_the_plan_that_the_documentation_shows(clone: Project) -> None:
    """And the plan writes nothing but its report."""
    before = files(clone.folder)
    run = clone.run("snakemake", *QUIETLY, "--", "plan")
    report = clone.folder / "results/logs/plan.log"
    assert report.read_text() in run.output
    assert files(clone.folder).keys() - before.keys() == {report}
    report.unlink()
    assert files(clone.folder) == before
    assert "- missing: data/visualprocessbench/test.jsonl\n" in run.output
    assert "- LogicVista: 447, known" in run.output
    assert counts(run)[3] <= 150
    [shown] = re.findall(
        r"```\n(rule .*?)```", (REPOSITORY / "docs/cluster.md").read_text(), re.DOTALL
    )
    assert shown in run.output, "docs/cluster.md: show the output of `snakemake plan` as it is now"


def test_a_run_without_its_inputs_still_stops(clone: Project) -> None:
    run = clone.run("snakemake", "--dry-run")
    assert run.status != 0
    assert "error: data/benchmarks/" in run.output


def test_profiles_plan_without_submitting(clone: Project) -> None:
    """No SLURM is here: a job that was submitted would fail."""
    slurm = clone.run(
        *("snakemake", "--profile", "slurm", *QUIETLY),
        *("--slurm-init-seconds-before-status-checks", "1", "--", "plan"),
    )
    assert counts(slurm) == counts(clone.run("snakemake", *QUIETLY, "--", "plan"))
    demo = table(clone.run("snakemake", "--profile", "profiles/demo", "plan"))
    assert demo["generate_candidates"][:2] == ["GPU", "2"]
    assert demo["make_world"][:2] == ["local", "1"]
    assert [path.name for path in (clone.folder / "results/demo").iterdir()] == ["logs"]


def test_a_verifier_from_elsewhere_plans_no_training(paper: Project) -> None:
    run = paper.run("snakemake", "--config", "verifier={model: owner/verifier-7B}", "--", "plan")
    assert "train_vision_sft" not in table(run)
    assert "training" not in run.output.split("- rates of")[1]


def test_a_storage_prefix(paper: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The whole DAG is the same where inputs and outputs lie in a storage."""
    storage = tmp_path_factory.mktemp("storage")
    shutil.copytree(paper.folder / "data", storage / "data")
    plain = paper.run("snakemake", "--dry-run")
    words = ("--default-storage-provider", "fs", "--default-storage-prefix", str(storage))
    stored = paper.run("snakemake", "--dry-run", *words)
    assert stored.status == 0, stored.output
    assert stored.planned == plain.planned
    assert f"{storage}/results/scored/" in stored.output
    tables = paper.run("snakemake", "--dry-run", "tables", *words)
    assert tables.planned == paper.run("snakemake", "--dry-run", "tables").planned


@finished_run
def test_what_is_done_is_taken_off(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    done, *to_do = counts(project.snakemake("plan"))
    assert done > 10
    assert to_do == [0, 0, 0, 0]
    for lost in ("scored/policy-a/Letters/1-of-2.jsonl", "metrics/best_of_n/policy-a.json"):
        (project.folder / "results" / lost).unlink()
    shutil.rmtree(project.folder / "results/tables")
    again = project.snakemake("plan")
    assert table(again)["score_candidates"][:2] == ["CPU", "1"]
    assert counts(again)[:2] == [done - counts(again)[1], counts(again)[1]]


@finished_run
def test_a_finished_run_gives_rates(finished: Project, server: ModelServer, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    run = project.snakemake("rates")
    assert run.status == 0, run.output
    with (project.folder / "results/rates.csv").open() as stream:
        rates = {(row["rule"], row["model"]): row for row in csv.DictReader(stream)}
    generated = rates["generate_candidates", "api"]
    assert (generated["unit"], generated["basis"]) == ("candidate", "measured")
    assert float(generated["calls"]) == 1
    assert float(generated["seconds"]) > 0
    assert float(generated["bytes"]) > 100

    project.configure(seed=7)
    planned = project.snakemake("plan")
    row = table(planned)["generate_candidates"]
    questions = 2 * 4
    assert row[3] == str(questions * project.config["candidates"]["num_candidates"])
    assert "rates of results/rates.csv" in planned.output
    assert "~" not in row[3]
    assert server.calls == []


@finished_run
def test_a_run_that_goes_on_is_no_hindrance(
    finished: Project, server: ModelServer, tmp_path: Path
) -> None:
    project = finished.copy(tmp_path / "project")
    project.configure(seed=8)
    asked, planned = threading.Event(), threading.Event()

    def wait(_number: int) -> None:
        asked.set()
        planned.wait(120)

    server.before_answer = wait
    running = project.start(*project.snakemake_words("best_of_n"))
    try:
        assert asked.wait(120)
        assert counts(project.snakemake("plan"))[1] > 0
        assert running.poll() is None
    finally:
        planned.set()
        output, _ = running.communicate(timeout=120)
    assert running.returncode == 0, output


def test_nothing_finished_gives_no_rates(paper: Project) -> None:
    run = paper.run("snakemake", "rates")
    assert run.status != 0
    assert "error: results: no finished job to measure" in run.output
    assert not (paper.folder / Config().results / "rates.csv").exists()
