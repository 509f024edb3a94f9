"""The shipped experiments as Snakemake plans them, without running anything."""

from __future__ import annotations

import re
import shutil
import subprocess

import yaml

from evpv_prm.config import Config, load_config
from tests.workflow.project import REPOSITORY, Project, Run, annotations

SUMMARY = {"plot_stage_costs": 1, "write_report": 1}
REPORTS = {
    "tabulate_best_of_n": 1,
    "plot_bon_curves": 1,
    "plot_bon_gain": 1,
    "compare_with_paper": 1,
    "write_provenance": 1,
    **SUMMARY,
}
CASES = {
    "make_pictures": 6 + 1,
    "build_candidate_cases": 3,
    "build_solution_cases": 1,
    "write_case_browser": 1,
}
CHAIN = dict.fromkeys(
    (
        "extract_pairs",
        "check_leakage",
        "describe_images",
        "merge_vision_descriptions",
        "build_step_judge_sft_data",
        "train_vision_sft",
        "merge_vision",
        "train_step_judge",
        "merge_step_judge",
        "plot_training_curves",
        "plot_error_categories",
    ),
    1,
)
STEP_LEVEL = {
    "split_solutions": 1,
    "verify_steps": 2 * 2,
    "compute_step_metrics": 2,
    "tabulate_step_level": 1,
    "plot_step_level": 1,
    "corrupt_constraints": 2,
    "summarise_corruption": 1,
    "tabulate_corruption": 1,
    "plot_corruption": 1,
}
ABLATIONS = {
    "ask_ablations": 2,
    "run_ablations": 1,
    "summarise_ablations": 1,
    "tabulate_ablations": 1,
    "plot_ablations": 1,
}
GATE = {"compute_gate_metrics": 1, "tabulate_gate": 1, "plot_gate": 1}
INTERVENTION = {
    "describe_for_intervention": 6,
    "answer_under_intervention": 6,
    "judge_intervention": 6,
    "compute_intervention_metrics": 1,
    "tabulate_intervention": 1,
    "plot_intervention": 1,
}
STAGES = {
    "examine_stage": 4,
    "compute_stage_gains": 1,
    "tabulate_stage_gains": 1,
    "plot_stage_gains": 1,
}
CLAIMS = {"examine_claims": 1, "tabulate_claims": 1, "plot_claims": 1}
DPO = {"build_dpo_data": 1, "train_dpo": 1, "merge_dpo": 1}


def assert_clean(run: Run) -> None:
    assert run.status == 0, run.output
    # As the end of a word: a rule may have errors in its name.
    signs = re.findall(r"\w*(?:warning|exception|error|traceback)s?\b", run.output, re.IGNORECASE)
    assert signs == []


def test_the_paper(paper: Project) -> None:
    config = Config()
    run = paper.run("snakemake", "--dry-run")
    assert_clean(run)
    assert (len(config.policies), len(config.benchmarks), config.shards) == (3, 6, 2)
    assert run.planned == {
        "validate_inputs": 1,
        "prepare_questions": 6,
        "split_questions": 6,
        "download_model": len(config.downloads),
        **CHAIN,
        "generate_candidates": 3 * 6 * 2,
        "score_candidates": 3 * 6 * 2,
        "compute_bon_metrics": 3,
        **STEP_LEVEL,
        **ABLATIONS,
        **GATE,
        **INTERVENTION,
        **REPORTS,
        **CASES,
    }


def test_the_inputs_are_checked_against_the_models_contexts(paper: Project) -> None:
    words = ("snakemake", "--dry-run", "--printshellcmds", "validate_inputs", "--config")
    run = paper.run(*words, "seed=1")
    assert run.status == 0, run.output
    config = Config()
    for model in (config.training.base, *(each.model for each in config.policies.values())):
        assert f"checkpoint={model} " in run.output
    assert re.search(r"role=verifier \S+ max_model_len=20480 max_images=8 reply=2048", run.output)
    # What another run made may be anything.
    run = paper.run(*words, "verifier={model: owner/verifier}")
    assert "checkpoint=owner/verifier " in run.output


def test_the_form_of_the_judges_reply_reaches_all_who_judge(paper: Project) -> None:
    words = ("snakemake", "--dry-run", "--printshellcmds", "--config")
    run = paper.run(*words, "judge_form=evidence_then_verdict", "max_evidence_characters=44")
    assert run.status == 0, run.output
    flags = "--judge-form=evidence_then_verdict --max-evidence-characters=44"
    told = re.findall(rf"^.*{flags}.*/logs/(\w+)", run.output, re.MULTILINE)
    assert set(told) == {
        "build_step_judge_sft_data",
        "score_candidates",
        "verify_steps",
        "corrupt_constraints",
        "ask_ablations",
        "run_ablations",
        "judge_intervention",
    }
    # A verdict alone has no evidence, but for the other form among the ablations.
    run = paper.run(*words, "max_evidence_characters=44")
    told = re.findall(r"^.*--max-evidence-characters=44.*/logs/(\w+)", run.output, re.MULTILINE)
    assert set(told) == {"ask_ablations", "run_ablations"}


def test_the_paper_without_its_training_data(paper: Project) -> None:
    shutil.rmtree(annotations(paper))
    run = paper.run("snakemake", "--dry-run")
    assert run.status != 0
    [line] = [line for line in run.output.splitlines() if "error: " in line]
    assert "data/VisualPRM400K/annotations: no annotation files" in line
    assert "Traceback" not in run.output
    assert paper.run("snakemake", "--dry-run", "download_visualprm400k").planned == {
        "download_visualprm400k": 1
    }


def test_a_verifier_from_elsewhere_needs_no_training(paper: Project) -> None:
    shutil.rmtree(annotations(paper))
    run = paper.run("snakemake", "--dry-run", "--config", "verifier={model: owner/verifier}")
    assert_clean(run)
    assert not run.planned.keys() & CHAIN.keys()


def test_the_step_level_experiments_alone(paper: Project) -> None:
    words = ("snakemake", "--dry-run", "--config", "verifier={model: owner/verifier}")
    run = paper.run(*words, "--", "step_level")
    assert_clean(run)
    assert run.planned == {"validate_inputs": 1, **STEP_LEVEL}
    run = paper.run(*words, "--", "ablations")
    assert_clean(run)
    assert run.planned == {"validate_inputs": 1, "split_solutions": 1, **ABLATIONS}


def test_the_intervention_alone(paper: Project) -> None:
    words = ("snakemake", "--dry-run", "--config", "verifier={model: owner/verifier}")
    run = paper.run(*words, "--", "intervention")
    assert_clean(run)
    # The first policy answers.
    downloads = {"download_model": 1}
    assert run.planned == {
        "validate_inputs": 1,
        "prepare_questions": 6,
        **downloads,
        **INTERVENTION,
    }
    (paper.folder / "mine.yaml").write_text("intervention: null\n")
    without = paper.run("snakemake", "--dry-run", "--configfile", "mine.yaml")
    assert_clean(without)
    assert not without.planned.keys() & INTERVENTION.keys()


def test_without_the_labelled_solutions(paper: Project) -> None:
    (paper.folder / "data/visualprocessbench/test.jsonl").unlink()
    run = paper.run("snakemake", "--dry-run")
    assert run.status != 0
    [line] = [line for line in run.output.splitlines() if "error: " in line]
    assert "data/visualprocessbench/test.jsonl: no such file; docs/data.md says" in line
    (paper.folder / "mine.yaml").write_text("step_level: null\n")
    without = paper.run("snakemake", "--dry-run", "--configfile", "mine.yaml")
    assert_clean(without)
    assert not without.planned.keys() & (STEP_LEVEL | ABLATIONS | GATE).keys()


def test_the_data_alone(paper: Project) -> None:
    run = paper.run("snakemake", "--dry-run", "data")
    assert_clean(run)
    assert run.planned == {
        "prepare_questions": 6,
        "download_model": 1,
        "extract_pairs": 1,
        "check_leakage": 1,
        "describe_images": 1,
        "merge_vision_descriptions": 1,
        "build_step_judge_sft_data": 1,
        "build_dpo_data": 1,
        "plot_error_categories": 1,
    }


def test_the_first_hour_needs_no_training_data(paper: Project) -> None:
    shutil.rmtree(annotations(paper))
    (paper.folder / "data/visualprocessbench/test.jsonl").unlink()
    recipe = subprocess.run(
        ["make", "--dry-run", "first-hour"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    [words] = re.findall(r"snakemake (--profile .*)", recipe.stdout)
    run = paper.run("snakemake", "--dry-run", *words.split())
    assert_clean(run)
    cases = dict.fromkeys(("make_pictures", "build_candidate_cases", "write_case_browser"), 1)
    assert run.planned == {
        "make_visualprm": 1,
        "validate_inputs": 1,
        "prepare_questions": 1,
        "split_questions": 1,
        "download_model": 2,
        **CHAIN,
        "generate_candidates": 1,
        "score_candidates": 1,
        "compute_bon_metrics": 1,
        **REPORTS,
        **cases,
    }


def test_the_first_hour_asks_the_papers_models() -> None:
    hour = load_config(yaml.safe_load((REPOSITORY / "profiles/first-hour.yaml").read_text()))
    paper = Config()
    [(name, policy)] = hour.policies.items()
    assert policy == paper.policies[name]
    assert hour.training.base == paper.training.base
    assert hour.training.gpus == paper.training.gpus
    own = {"model": paper.verifier.model}
    assert hour.makes_verifier
    assert hour.verifier.model_copy(update=own) == paper.verifier
    assert [benchmark.limit for benchmark in hour.benchmarks.values()] == [20]


def test_the_demo(clone: Project) -> None:
    """Its questions and models are made by its own rules."""
    run = clone.run("snakemake", "--profile", "profiles/demo", "--dry-run")
    assert_clean(run)
    assert run.planned == {
        "make_world": 1,
        "make_visualprm": 1,
        "expand_tiny_model": 2,
        "trim_vocabulary": 3,
        "validate_inputs": 1,
        "prepare_questions": 2,
        "split_questions": 2,
        **CHAIN,
        "generate_candidates": 2,
        "score_candidates": 2,
        "compute_bon_metrics": 1,
        **STEP_LEVEL,
        "verify_steps": 2,
        "corrupt_constraints": 1,
        **ABLATIONS,
        "ask_ablations": 1,
        **GATE,
        **(STAGES | {"examine_stage": 3}),
        **CLAIMS,
        **INTERVENTION,
        "describe_for_intervention": 2,
        "answer_under_intervention": 2,
        "judge_intervention": 2,
        **REPORTS,
        **CASES,
        "make_pictures": 2 + 1,
        "build_candidate_cases": 1,
    }
