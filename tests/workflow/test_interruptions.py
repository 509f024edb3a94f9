"""A run that is killed or stopped goes on where it was, and pays for nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.workflow.model import ModelServer, digest
from tests.workflow.project import BENCHMARKS, IN_FLIGHT, Project, Run, arguments_of, engine_flags

Words = Callable[[Project], list[str]]


def generate(project: Project) -> list[str]:
    """The command that samples candidates; its output is `results/candidates.jsonl`."""
    return [
        *("--questions", BENCHMARKS["Letters"], "--images", "data/images"),
        *("--output", "results/candidates.jsonl", "--store", "results/store"),
    ]


def score(project: Project) -> list[str]:
    """The command that scores them; its output is `results/scored.jsonl`."""
    return [
        *("--candidates", "candidates.jsonl", "--images", "data/images"),
        *("--output", "results/scored.jsonl", "--store", "results/store"),
    ]


COMMANDS: dict[str, Words] = {"policy_inference": generate, "evpv_prm_inference": score}


def words(project: Project, command: str, server: ModelServer) -> list[str]:
    return [*arguments_of(command, *COMMANDS[command](project)), *engine_flags(server.base_url)]


def create(folder: Path, server: ModelServer) -> Project:
    """Return a project with the candidates that the verifier is to score."""
    project = Project.create(folder, server.base_url, count=6)
    run = project.run(*words(project, "policy_inference", server))
    assert run.status == 0, run.output
    (folder / "results" / "candidates.jsonl").rename(folder / "candidates.jsonl")
    for segment in (folder / "results").rglob("*.jsonl"):
        segment.unlink()
    server.reset()
    return project


def interrupt_at(
    server: ModelServer, request: int, process_words: list[str], project: Project, sent: int
) -> Run:
    """Run a program and signal its process group as the server holds the `request`-th request."""
    started = threading.Event()
    program: list[subprocess.Popen[str]] = []
    total = len(server.calls) + request

    def strike(number: int) -> None:
        if number == total:
            assert started.wait(60)
            os.killpg(program[0].pid, sent)

    server.before_answer = strike
    program.append(project.start(*process_words))
    started.set()
    output, _ = program[0].communicate(timeout=120)
    server.before_answer = lambda _: None
    return Run(program[0].returncode, output)


def leftovers(project: Project) -> list[str]:
    """Files of the results beside the store's and Snakemake's logs."""
    kept = ("store/", "logs/", "benchmarks/")
    return [name for name in project.results("**/*") if not name.startswith(kept)]


@pytest.mark.parametrize("command", COMMANDS)
def test_ten_kills_lose_only_what_is_in_flight(
    command: str, server: ModelServer, tmp_path: Path
) -> None:
    project = create(tmp_path / "project", server)
    undisturbed = project.copy(tmp_path / "undisturbed")
    whole = undisturbed.run(*words(undisturbed, command, server))
    assert whole.status == 0, whole.output
    [(name, expected)] = undisturbed.results("*.jsonl").items()
    needed = len(server.calls)
    assert len(set(undisturbed.stored_keys())) == needed

    server.reset()
    draw = Random(7)
    kills = 10 if command == "evpv_prm_inference" else 1
    for _ in range(kills):
        moment = draw.randint(1, needed // kills)  # so that it is never done before the kill
        run = interrupt_at(server, moment, words(project, command, server), project, signal.SIGKILL)
        assert run.status == -signal.SIGKILL, run.output
        assert leftovers(project) == []
    assert 0 < len(project.stored_keys()) < needed

    run = project.run(*words(project, command, server))
    assert run.status == 0, run.output
    assert project.results("*.jsonl") == {name: expected}
    keys = project.stored_keys()
    assert len(keys) == len(set(keys)) == needed, "no stored reply is asked for again"
    assert len({digest(call) for call in server.calls}) == needed
    assert needed < len(server.calls) <= needed + kills * IN_FLIGHT


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_go_on_and_does(
    sent: signal.Signals, server: ModelServer, tmp_path: Path
) -> None:
    project = create(tmp_path / "project", server)
    command = words(project, "evpv_prm_inference", server)
    run = interrupt_at(server, 9, command, project, sent)
    assert run.status == 130, run.output
    assert "replies so far are stored, run again to go on" in run.output
    assert "Traceback" not in run.output
    assert leftovers(project) == []
    lost = len(server.calls) - len(project.stored_keys())
    assert lost <= IN_FLIGHT

    assert project.run(*command).status == 0
    assert len({digest(call) for call in server.calls}) == len(server.calls) - lost


def test_snakemake_goes_on_after_a_kill(server: ModelServer, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", server.base_url)
    run = project.snakemake("--until", "generate_candidates")
    assert run.status == 0, run.output
    undisturbed = project.copy(tmp_path / "undisturbed")
    run = undisturbed.snakemake("--until", "score_candidates")
    assert run.status == 0, run.output
    needed = len(server.calls)

    server.reset()
    before = len(project.stored_keys())
    scoring = project.snakemake_words("--until", "score_candidates")
    run = interrupt_at(server, 20, scoring, project, signal.SIGKILL)
    assert run.status == -signal.SIGKILL
    assert 0 < len(project.stored_keys()) - before < needed - before

    assert project.snakemake("--unlock").status == 0
    run = project.snakemake("--until", "score_candidates", "--rerun-incomplete")
    assert run.status == 0, run.output
    assert set(run.finished) == {"score_candidates"}
    assert project.results("scored/**/*") == undisturbed.results("scored/**/*")
    keys = project.stored_keys()
    assert len(keys) == len(set(keys)) == needed
    assert needed - before < len(server.calls) <= needed - before + IN_FLIGHT
