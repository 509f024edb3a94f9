"""The case browser as Snakemake makes it, of candidates and labelled solutions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.workflow.model import ModelServer
from tests.workflow.project import REPOSITORY, Project

PAGE = {"write_case_browser": 1}
CASES = {"build_candidate_cases": 1, "build_solution_cases": 1, **PAGE}


def test_the_case_browser_is_made_and_made_again(server: ModelServer, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for name in ("envs", "evpv_prm", "rules"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, repository / name, ignore=ignored)
    shutil.copy2(REPOSITORY / "Snakefile", repository)
    project = Project.create(tmp_path / "project", server.base_url)
    project.add_solutions()
    project = Project(project.folder, repository)

    run = project.snakemake("cases")
    assert run.status == 0, run.output
    assert run.finished.items() >= {"make_pictures": 3, **CASES}.items()
    results = project.results("cases/**/*")
    found = {
        name: json.loads(results[f"cases/{name}/collection.json"])["sources"]
        for name in ("candidates/policy-a", "solutions")
    }
    assert found == {"candidates/policy-a": {"Letters": 4, "Figures": 4}, "solutions": {"D": 5}}
    # One picture of each image that is different: 4 of Letters, 4 + 2 of Figures.
    assert sum(name.count("/") == 3 for name in results if "/images/" in name) == 4 + 6
    assert b"assets/app.js" in results["cases/index.html"]
    assert project.snakemake("--dry-run", "cases").planned == {}

    with (repository / "evpv_prm/cases/assets/style.css").open("a") as style:
        style.write("/* a remark */\n")
    assert project.snakemake("cases").finished == PAGE
    project.configure(best_of_n={"aggregations": ["geometric_mean"]})
    again = {"build_candidate_cases": 1, **PAGE}
    assert project.snakemake("--dry-run", "cases").planned == again
    (project.folder / "results/cases/images/Letters.json").unlink()
    pictures = {name: data for name, data in results.items() if "/images/" in name}
    assert project.snakemake("cases").finished == {"make_pictures": 1, **again}
    assert pictures.items() <= project.results("cases/**/*").items()
