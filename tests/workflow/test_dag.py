"""The whole DAG on a small experiment: what it makes, and what a change makes again."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from statistics import fmean

import pytest

from tests.workflow.model import ModelServer, digest, stages
from tests.workflow.project import (
    CANDIDATES,
    REPOSITORY,
    Project,
    api_model,
    read_rows,
)

pytestmark = pytest.mark.xdist_group("finished run")

SUMMARY = {"plot_stage_costs": 1, "write_report": 1}
REPORTS = {
    "tabulate_best_of_n": 1,
    "plot_bon_curves": 1,
    "plot_bon_gain": 1,
    "compare_with_paper": 1,
    "write_provenance": 1,
    **SUMMARY,
}
CASES = {"build_candidate_cases": 1, "write_case_browser": 1}
MODEL_JOBS = {"generate_candidates": 4, "score_candidates": 4}


@pytest.fixture
def project(finished: Project, server: ModelServer, tmp_path: Path) -> Project:
    """A copy of the finished run; what it asks of the server is counted from here on."""
    return finished.copy(tmp_path / "project")


# What it makes


def test_all_results_are_there(finished: Project) -> None:
    results = finished.results("**/*")
    expected = {
        "inputs/report.json",
        "inputs/report.md",
        "tables/provenance.json",
        "cases/index.html",
        "report.html",
        "figures/index.html",
        *(f"tables/paper_comparison{suffix}" for suffix in (".csv", ".md", ".tex")),
        *(f"tables/best_of_n{suffix}" for suffix in (".csv", ".md", ".tex")),
        *(f"figures/bon_curves{suffix}" for suffix in (".csv", ".pdf", ".png")),
    }
    assert expected <= results.keys()
    assert all(results[name] for name in expected)
    assert results["figures/bon_curves.pdf"].startswith(b"%PDF")
    assert results["figures/bon_curves.png"].startswith(b"\x89PNG")


def test_every_question_is_scored_once_in_its_shard(finished: Project) -> None:
    for name in finished.config["benchmarks"]:
        for shard, pids in ((1, [f"{name}-0", f"{name}-1"]), (2, [f"{name}-2", f"{name}-3"])):
            file = f"results/scored/policy-a/{name}/{shard}-of-2.jsonl"
            assert [row["pid"] for row in read_rows(finished.folder / file)] == pids


def test_the_metrics_are_those_of_the_scored_files(finished: Project) -> None:
    """Pass@k and BoN@k counted over every subset, from the files alone."""
    metrics = json.loads((finished.folder / "results/metrics/best_of_n/policy-a.json").read_text())
    for name in finished.config["benchmarks"]:
        shards = sorted((finished.folder / "results/scored/policy-a" / name).glob("*.jsonl"))
        rows = [row for shard in shards for row in read_rows(shard)]
        found = metrics["datasources"][name]
        assert found["n"] == found["n_scored"] == 4
        assert found["failures"] == {}
        for k in range(1, CANDIDATES + 1):
            passed = fmean(_passes(row, k) for row in rows)
            assert found["pass_at_k"][str(k)] == pytest.approx(passed, abs=1e-6)
            for scores in ("raw", "gated"):
                best = fmean(_best(row, k, scores) for row in rows)
                measured = found["bon_at_k"][scores]["correctness_rate"][str(k)]
                assert measured == pytest.approx(best, abs=1e-6)


def _right(row: dict) -> list[bool]:
    return [row[f"vlmresponse{n + 1}"]["finalanswer"] == row["answer"] for n in range(CANDIDATES)]


def _scores(row: dict, which: str) -> list[float]:
    field = {"raw": "raw_step_scores", "gated": "final_step_scores"}[which]
    steps = [row[f"vlmresponse{n + 1}"]["eval"][field] for n in range(CANDIDATES)]
    return [round(fmean(max(score, 0) for score in scores), 9) for scores in steps]


def _passes(row: dict, k: int) -> float:
    return fmean(any(subset) for subset in combinations(_right(row), k))


def _best(row: dict, k: int, which: str) -> float:
    chosen = []
    for subset in combinations(zip(_scores(row, which), _right(row), strict=True), k):
        top = max(score for score, _ in subset)
        chosen.append(fmean(right for score, right in subset if score == top))
    return fmean(chosen)


def test_the_tables_and_figures_hold_the_metrics(finished: Project) -> None:
    metrics = json.loads((finished.folder / "results/metrics/best_of_n/policy-a.json").read_text())
    for file in ("tables/best_of_n.csv", "figures/bon_curves.csv"):
        with (finished.folder / "results" / file).open() as stream:
            rows = list(csv.DictReader(stream))
        drawn = {
            (row["benchmark"], row["k"]): float(row["estimate"])
            for row in rows
            if (row["metric"], row["scores"]) == ("bon_at_k", "gated")
            and row["aggregation"] == "geometric_mean"
        }
        for name in finished.config["benchmarks"]:
            curve = metrics["datasources"][name]["bon_at_k"]["gated"]["geometric_mean"]
            assert {k: drawn[name, k] for k in curve} == pytest.approx(curve, abs=1e-6)


def test_the_provenance_says_what_made_the_results(finished: Project) -> None:
    record = json.loads((finished.folder / "results/tables/provenance.json").read_text())
    assert record["seed"] == 20260130
    assert record["policies"]["policy-a"]["name"] == "policy-a"
    assert record["verifier"]["base_url"] == finished.config["verifier"]["base_url"]
    assert record["config"]["candidates"]["num_candidates"] == CANDIDATES
    assert len(record["config_sha256"]) == 64
    assert "snakemake" in record["packages"]
    assert {"cores", "memory_gib", "gpus"} <= record["hardware"].keys()
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert record["git"]["revision"] == (revision.stdout.strip() or None)


# What a change makes again


def test_nothing_changed_nothing_runs(project: Project, server: ModelServer) -> None:
    run = project.snakemake()
    assert run.status == 0, run.output
    assert run.planned == run.finished == {}
    assert server.calls == []


def test_one_changed_question_sends_exactly_its_requests(
    project: Project, server: ModelServer
) -> None:
    project.edit("Letters", 1, question="Another question, about number 1?")
    run = project.snakemake("--until", "score_candidates")
    assert run.status == 0, run.output
    [row] = [
        row
        for path in (project.folder / "results/scored/policy-a/Letters").glob("*.jsonl")
        for row in read_rows(path)
        if row["pid"] == "Letters-1"
    ]
    responses = [row[f"vlmresponse{n}"] for n in range(1, CANDIDATES + 1)]
    assert stages(server.calls) == {
        "policy": CANDIDATES,
        "describe": 1,
        "audit": sum(response["eval"]["visual_step_indices"] != [] for response in responses),
        "judge": sum(len(response["reasoningprocess"]) for response in responses),
    }
    assert len({digest(call) for call in server.calls}) == len(server.calls)
    assert "for Figures, shard" not in run.output


def test_a_plot_parameter_draws_the_plot_again(project: Project, server: ModelServer) -> None:
    tables = project.results("tables/*.*[vdx]")
    project.configure(figures={"width_in": 5.0})
    run = project.snakemake("figures")
    assert run.status == 0, run.output
    drawn = REPORTS.keys() - {"tabulate_best_of_n", "write_report"}
    assert run.finished == dict.fromkeys(drawn, 1)
    assert project.results("tables/*.*[vdx]") == tables
    assert server.calls == []


def test_another_aggregation_asks_no_model(project: Project, server: ModelServer) -> None:
    project.configure(best_of_n={"bootstrap_samples": 50, "aggregations": ["geometric_mean"]})
    run = project.snakemake("tables")
    assert run.status == 0, run.output
    tables = {"tabulate_best_of_n": 1, "compare_with_paper": 1}
    assert run.finished == {"compute_bon_metrics": 1, **tables}
    assert b"streak" not in project.results("tables/*.csv")["tables/best_of_n.csv"]
    assert server.calls == []
    rest = project.snakemake("--dry-run").planned
    assert rest == dict.fromkeys(REPORTS.keys() - tables.keys(), 1) | CASES


def test_a_shorter_history_pays_only_for_judgements_that_lose_a_step(
    project: Project, server: ModelServer
) -> None:
    project.configure(scoring={"history_steps": 1})
    run = project.snakemake("--until", "score_candidates")
    assert run.status == 0, run.output
    assert run.finished == {"score_candidates": 4}
    rows = [
        row
        for path in (project.folder / "results/scored").rglob("*.jsonl")
        for row in read_rows(path)
    ]
    longest = [
        max(0, len(row[f"vlmresponse{n}"]["reasoningprocess"]) - 2)
        for row in rows
        for n in range(1, CANDIDATES + 1)
    ]
    assert sum(longest) > 0
    assert stages(server.calls) == {"judge": sum(longest)}


def test_another_form_of_the_judges_reply_pays_only_for_judgements(
    project: Project, server: ModelServer
) -> None:
    project.configure(judge_form="evidence_then_verdict")
    run = project.snakemake("--until", "score_candidates")
    assert run.status == 0, run.output
    assert run.finished == {"score_candidates": 4}
    assert stages(server.calls).keys() == {"judge"}
    for path in (project.folder / "results/scored").rglob("*.jsonl"):
        for row in read_rows(path):
            evaluation = row["vlmresponse1"]["eval"]
            assert all(text.startswith("It is ") for text in evaluation["step_evidence"])
            assert None not in evaluation["step_probabilities"]


def test_what_a_changed_configuration_would_run(project: Project) -> None:
    policies = project.config["policies"]
    base_url = project.config["verifier"]["base_url"]
    project.configure(policies={**policies, "policy-b": api_model(base_url, "policy-b")})
    run = project.snakemake("--dry-run")
    assert run.planned == {**MODEL_JOBS, "compute_bon_metrics": 1, **REPORTS, **CASES}
    assert "of policy-a" not in run.output

    project.configure(policies=policies, max_missing_images=0.5)
    assert project.snakemake("--dry-run").planned == {
        "validate_inputs": 1,
        "write_provenance": 1,
        **SUMMARY,
    }

    # Regression: behind an input marked `ancient`, Snakemake overlooks every other change.
    project.configure(candidates={"num_candidates": CANDIDATES, "max_tokens": 99})
    assert project.snakemake("--dry-run").planned == {
        "validate_inputs": 1,
        **MODEL_JOBS,
        "compute_bon_metrics": 1,
        **REPORTS,
        **CASES,
    }


def test_a_changed_module_reruns_only_the_rules_that_use_it(
    project: Project, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    for name in ("evpv_prm", "rules"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, repository / name, ignore=ignored)
    shutil.copy2(REPOSITORY / "Snakefile", repository)
    elsewhere = Project(project.folder, repository)
    assert elsewhere.snakemake("--dry-run").planned == {}

    def touched(module: str) -> dict[str, int]:
        path = repository / "evpv_prm" / module
        content = path.read_text()
        path.write_text(f"{content}\n# a remark\n")
        planned = elsewhere.snakemake("--dry-run").planned
        path.write_text(content)
        return planned

    plots = {"plot_bon_curves": 1, "plot_bon_gain": 1}
    assert touched("figures.py") == {**plots, **SUMMARY}
    assert touched("run_report/page.py") == {"write_report": 1}
    answers = {"compute_bon_metrics": 1, **REPORTS, **CASES}
    assert touched("reward.py") == {"score_candidates": 4, **answers}
    assert touched("answers/compare.py") == {"validate_inputs": 1, **answers}
    prompts = touched("prompts/verifier.py")
    assert prompts == {**MODEL_JOBS, **answers}


def test_lost_results_come_back_from_the_store(
    finished: Project, project: Project, server: ModelServer
) -> None:
    for name in ("candidates", "scored", "metrics", "tables", "figures"):
        shutil.rmtree(project.folder / "results" / name)
    run = project.snakemake("--until", "score_candidates")
    assert run.status == 0, run.output
    assert run.finished == MODEL_JOBS
    assert server.calls == []
    assert project.results("scored/**/*") == finished.results("scored/**/*")
