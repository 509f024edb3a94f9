"""What a user gets for bad input: one clear line, no half-written file."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.workflow.model import UNUSABLE, ModelServer
from tests.workflow.project import (
    BENCHMARKS,
    CANDIDATES,
    REPOSITORY,
    Project,
    Run,
    engine_flags,
    read_rows,
    write_rows,
)


@pytest.fixture
def project(server: ModelServer, tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project", server.base_url)


def log(project: Project, name: str) -> str:
    return (project.folder / "results" / "logs" / f"{name}.log").read_text()


def assert_refused(run: Run, *expected: str) -> None:
    """The command ended with status 2 and one line that holds all of `expected`."""
    assert run.status == 2, run.output
    errors = [line for line in run.output.splitlines() if "error: " in line]
    assert len(errors) == 1, run.output
    for text in expected:
        assert text in errors[0]
    assert "Traceback" not in run.output


# Commands


def sample(project: Project, *more: str, base_url: str) -> Run:
    return project.command(
        "policy_inference",
        *("--questions", BENCHMARKS["Letters"], "--images", "data/images"),
        *("--output", "out/candidates.jsonl", "--store", "out/store"),
        *("--num-candidates", str(CANDIDATES)),
        *engine_flags(base_url),
        *more,
    )


def score(project: Project, server: ModelServer, *more: str) -> Run:
    return project.command(
        "evpv_prm_inference",
        *("--candidates", "candidates.jsonl", "--images", "data/images"),
        *("--output", "out/scored.jsonl", "--store", "out/store"),
        *engine_flags(server.base_url),
        *more,
    )


def append(project: Project, line: str) -> None:
    with (project.folder / BENCHMARKS["Letters"]).open("a") as stream:
        stream.write(f"{line}\n")


def remove_answer(project: Project) -> None:
    path = project.folder / BENCHMARKS["Letters"]
    rows = read_rows(path)
    del rows[2]["answer"]
    write_rows(path, rows)


def empty(project: Project) -> None:
    (project.folder / BENCHMARKS["Letters"]).write_text("")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda p: append(p, '{"id": 1, "question":'), "letters.jsonl:5: not valid JSON"),
        (lambda p: append(p, "[1]"), "letters.jsonl:5: expected a JSON object, found list"),
        (remove_answer, "letters.jsonl:3: answer: expected a text, found no such field"),
        (empty, "letters.jsonl: expected at least one question, found an empty file"),
        (lambda p: (p.folder / BENCHMARKS["Letters"]).unlink(), "letters.jsonl: cannot be read"),
    ],
)
def test_questions_that_cannot_be_read(
    project: Project, server: ModelServer, spoil: Callable[[Project], None], expected: str
) -> None:
    spoil(project)
    assert_refused(sample(project, base_url=server.base_url), expected)
    assert server.calls == []
    assert not (project.folder / "out" / "candidates.jsonl").exists()


STEP = {"steptext": "Look.", "visualdependency": None}
GOOD = {"reasoningprocess": [STEP], "finalanswer": "A"}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("A", "vlmresponse1: expected an object, found str"),
        (
            {**GOOD, "reasoningprocess": ["Look."]},
            "vlmresponse1.reasoningprocess.0: Input should be",
        ),
        ({**GOOD, "reasoningprocess": "Look."}, "vlmresponse1.reasoningprocess: Input should be"),
        ({"reasoningprocess": [STEP]}, "vlmresponse1.finalanswer: Field required"),
    ],
)
def test_candidates_that_cannot_be_read(
    project: Project, server: ModelServer, response: object, expected: str
) -> None:
    rows = read_rows(project.folder / BENCHMARKS["Letters"])[:2]
    for row, value in zip(rows, (GOOD, response), strict=True):
        row |= {"pid": row["id"], "vlmresponse1": value}
    write_rows(project.folder / "candidates.jsonl", rows)
    assert_refused(score(project, server), "candidates.jsonl:2: ", expected)
    assert server.calls == []
    assert not (project.folder / "out" / "scored.jsonl").exists()


def test_nobody_at_the_address(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    run = sample(project, base_url=address)
    assert_refused(run, f"{address}: nobody answers: Connection refused")


def test_a_missing_key(project: Project, server: ModelServer) -> None:
    run = sample(project, "--api-key-env", "EVPV_NO_SUCH_KEY", base_url=server.base_url)
    assert_refused(run, "EVPV_NO_SUCH_KEY", "expected the API key")
    assert server.calls == []


@pytest.mark.parametrize("model", ["/no/such/folder", "./models/m", "models/run1/m", "data/m"])
def test_a_model_folder_that_does_not_exist(
    project: Project, server: ModelServer, model: str
) -> None:
    run = sample(project, "--backend", "vllm", "--model", model, base_url=server.base_url)
    assert_refused(run, f"model {model}: no such folder")


def test_a_wrong_flag_value(project: Project, server: ModelServer) -> None:
    run = sample(project, "--num-candidates", "0", base_url=server.base_url)
    assert_refused(run, "--num-candidates", "'0': Input should be greater than or equal to 1")


def test_more_failed_candidates_than_allowed(project: Project, server: ModelServer) -> None:
    project.edit("Letters", 0, question=f"{UNUSABLE} question")
    run = sample(project, "--max-failures", "0.2", base_url=server.base_url)
    assert run.status == 1
    assert f"error: {CANDIDATES} of {4 * CANDIDATES} candidates failed" in run.output
    assert not (project.folder / "out" / "candidates.jsonl").exists()
    paid = len(server.calls)
    assert sample(project, "--max-failures", "0.25", base_url=server.base_url).status == 0
    assert len(server.calls) == paid


# Snakemake


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"shardz": 2}, "config: shardz: unknown key; docs/configuration.md lists the keys"),
        ({"shards": 0}, "config: shards = 0: Input should be greater than or equal to 1"),
        (
            {"benchmarks": {"A": {"questions": "no/such.jsonl", "images": "data/images"}}},
            "no/such.jsonl: no such file; docs/data.md says where the questions come from",
        ),
    ],
)
def test_a_configuration_that_cannot_be_used(
    project: Project, values: dict[str, object], expected: str
) -> None:
    project.configure(**values)
    assert_refused(project.snakemake("--dry-run"), f"error: {expected}")
    assert project.results("**/*") == {}


def test_a_fresh_clone_is_told_which_questions_are_missing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes((REPOSITORY / "config.yaml").read_bytes())
    run = Project(tmp_path).snakemake("--dry-run")
    files = "data/benchmarks/benchmarks.jsonl, data/benchmarks/mmmu.jsonl"
    assert_refused(run, f"error: {files}: no such file; docs/data.md says")


def test_bad_inputs_stop_a_run_before_it_asks_a_model(
    project: Project, server: ModelServer
) -> None:
    """All of them are in the log of the one job that ran."""
    images = project.folder / "data" / "images"
    (images / "Letters" / "0.png").unlink()
    (images / "Letters" / "0.png").mkdir()
    whole = (images / "Letters" / "1.png").read_bytes()
    (images / "Letters" / "1.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (20_000, 2)).save(images / "Letters" / "2.png")
    append(project, "{")
    run = project.snakemake()
    assert run.status == 1
    assert run.finished == {}
    assert server.calls == []
    text = log(project, "validate_inputs")
    for expected in (
        "line 5: not valid JSON",
        "line 1: Letters-0: Letters/0.png is a directory",
        "line 2: Letters-1: Letters/1.png cannot be read: ",
        "line 3: Letters-2: Letters/2.png has 20,000 × 2 pixels",
        "error: the inputs have errors, listed above: 1 × malformed_line",
    ):
        assert expected in text
    assert [name for name in project.results("**/*") if not name.startswith("logs/")] == []


def test_failures_below_the_limit_are_counted_to_the_end(
    project: Project, server: ModelServer
) -> None:
    images = project.folder / "data" / "images"
    (images / "Letters" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    project.edit("Letters", 0, question=f"{UNUSABLE} question")
    project.configure(max_missing_images=0.25, max_failures=1.0)
    run = project.snakemake("tables")
    assert run.status == 0, run.output
    metrics = json.loads(project.results("metrics/**/*.json")["metrics/best_of_n/policy-a.json"])
    letters = metrics["datasources"]["Letters"]
    assert (letters["n"], letters["n_scored"]) == (4, 3)
    assert letters["failures"] == {
        "candidate:invalid_candidate": CANDIDATES,
        "question:unreadable_image": 1,
    }
    assert metrics["datasources"]["Figures"]["failures"] == {}
    table = project.results("tables/*.md")["tables/best_of_n.md"].decode()
    assert "unreadable_image" in table

    project.configure(max_failures=0.1)
    run = project.snakemake("tables")
    assert run.status == 1
    failed = log(project, "generate_candidates/policy-a/Letters/1-of-2")
    both = 2 * CANDIDATES  # a question without an image is a failure of all its candidates
    assert f"error: {both} of {both} candidates failed, more than" in failed


def test_fewer_questions_than_shards(project: Project) -> None:
    project.configure(shards=5)
    run = project.snakemake("--until", "split_questions")
    assert run.status == 1
    reasons = [log(project, f"split_questions/{name}") for name in project.config["benchmarks"]]
    assert any("4 questions do not fill 5 shards" in reason for reason in reasons)
    assert not list((project.folder / "results" / "questions").rglob("*-of-5.jsonl"))


def test_a_model_for_which_a_shared_machine_has_too_few_gpus(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    model = {"model": "org/m", "vllm": {"tensor_parallel_size": 4}}
    project.configure(site=str(project.repository / "profiles/local/site.yaml"), verifier=model)
    assert_refused(project.snakemake("--dry-run"), "tensor_parallel_size = 4", "there are 2 GPU(s)")
