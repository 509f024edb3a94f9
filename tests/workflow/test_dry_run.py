"""The shipped experiments as Snakemake plans them, without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from evpv_prm.config import Config
from tests.workflow.project import REPOSITORY, Project, Run, questions, write_rows

REPORTS = {"tabulate_best_of_n": 1, "plot_bon_curves": 1, "write_provenance": 1}


def assert_clean(run: Run) -> None:
    assert run.status == 0, run.output
    for sign in ("warning", "exception", "error", "traceback"):
        assert sign not in run.output.lower()


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    """A folder like a fresh clone."""
    for name in ("Snakefile", "config.yaml", "evpv_prm", "profiles", "rules"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    return Project(tmp_path, tmp_path)


def test_the_paper(clone: Project) -> None:
    config = Config()
    for file in {benchmark.questions for benchmark in config.benchmarks.values()}:
        write_rows(clone.folder / file, questions("MMMU", 1))
    run = clone.run("snakemake", "--dry-run")
    assert_clean(run)
    assert (len(config.policies), len(config.benchmarks), config.shards) == (3, 6, 8)
    assert run.planned == {
        "validate_inputs": 1,
        "prepare_questions": 6,
        "split_questions": 6,
        "generate_candidates": 3 * 6 * 8,
        "score_candidates": 3 * 6 * 8,
        "compute_bon_metrics": 3,
        **REPORTS,
    }


def test_the_demo(clone: Project) -> None:
    """Its questions and models are made by its own rules."""
    run = clone.run("snakemake", "--profile", "profiles/demo", "--dry-run")
    assert_clean(run)
    assert run.planned == {
        "make_world": 1,
        "build_tiny_model": 2,
        "validate_inputs": 1,
        "prepare_questions": 4,
        "split_questions": 4,
        "generate_candidates": 4,
        "score_candidates": 4,
        "compute_bon_metrics": 1,
        **REPORTS,
    }
