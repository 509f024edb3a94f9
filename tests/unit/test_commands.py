"""Bad input of the commands that ask a model: one line, exit status 2, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evpv_prm import (
    cli,
    constraint_corruption_ablation,
    evpv_prm_inference,
    examine_stage,
    perception_intervention,
    policy_inference,
    step_verifier,
    vpbench_ablation_runner,
)
from evpv_prm.engine.command import check_failures
from evpv_prm.errors import UserError
from tests.stages import draw, labelled

STAGES: dict[ModuleType, str] = {
    policy_inference: "--questions",
    evpv_prm_inference: "--candidates",
    step_verifier: "--benchmark",
    constraint_corruption_ablation: "--benchmark",
    vpbench_ablation_runner: "--configuration=baseline --benchmark",
    perception_intervention: "--questions",
    examine_stage: "--benchmark",
}
every_stage = pytest.mark.parametrize(
    "stage", STAGES, ids=lambda stage: stage.__name__.split(".")[1]
)

QUESTION = {"pid": "p", "question": "Q?", "answer": "A", "image": "a.png", "datasource": "D"}
CANDIDATE = {"reasoningprocess": [{"steptext": "s"}], "finalanswer": "A"}
LABELLED = labelled("s", **QUESTION)
GOOD = {**LABELLED, "vlmresponse1": CANDIDATE}

Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs a stage on a file's content: exit status, lines of stderr."""
    draw(tmp_path / "images/a.png")

    def run(stage: ModuleType, content: str | None, *words: str) -> tuple[int, list[str]]:
        path = tmp_path / "in.jsonl"
        if content is not None:
            path.write_text(content)
        arguments = [
            *STAGES[stage].split(), str(path), "--images", str(tmp_path / "images"), "--output",
            str(tmp_path / "out.jsonl"), "--store", str(tmp_path / "store"),
            *(words or ("--model", "org/name")),
        ]  # fmt: skip
        status = cli.run(lambda: stage.main(arguments))
        assert not (tmp_path / "out.jsonl").exists()
        return status, capsys.readouterr().err.splitlines()

    return run


def lines(*rows: Any) -> str:
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


@every_stage
@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ["in.jsonl: cannot be read"]),
        ("", ["in.jsonl: ", "empty file"]),
        (lines(GOOD, '{"pid": \n'), ["in.jsonl:2: ", "not valid JSON"]),
        (lines("\n", "[1]\n"), ["in.jsonl:2: ", "expected a JSON object, found list"]),
        (lines(GOOD, {**GOOD, "pid": "q", "question": None}), ["in.jsonl:2: question: "]),
        (lines({k: GOOD[k] for k in GOOD if k != "image"}), ["in.jsonl:1: image: "]),
        (lines({**GOOD, "image": 3}), ["in.jsonl:1: image: expected a path or a list of paths"]),
    ],
)
def test_a_bad_line_is_named(
    stage: ModuleType, content: str | None, parts: list[str], command: Command, tmp_path: Path
) -> None:
    status, (line,) = command(stage, content)
    assert status == 2
    assert line.startswith("error: ")
    assert [part for part in parts if part not in line] == []
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({**QUESTION, "vlmresponse1": "A"}, "in.jsonl:2: vlmresponse1: expected an object"),
        (
            {**QUESTION, "vlmresponse1": {**CANDIDATE, "reasoningprocess": ["step"]}},
            "in.jsonl:2: vlmresponse1.reasoningprocess.0",
        ),
        (QUESTION, "in.jsonl:2: expected vlmresponse1"),
    ],
)
def test_a_bad_candidate_is_named(row: dict[str, Any], part: str, command: Command) -> None:
    """Regression: a step that was a text lost the whole record without a word."""
    status, (line,) = command(evpv_prm_inference, lines(GOOD, row))
    assert status == 2
    assert part in line


@every_stage
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--model=./no-such-model"], "model ./no-such-model: no such folder"),
        (["--model=a/b/c"], "model a/b/c: no such folder"),
        (["--model=m", "--backend=api"], "base_url"),
        (["--model=m", "--backend=api", "--base-url=host/v1"], "--base-url: expected http://"),
        (
            ["--model=m", "--backend=api", "--base-url=http://127.0.0.1:9/v1",
             "--api-key-env=EVPV_TEST_NO_SUCH_KEY"],
            "environment variable EVPV_TEST_NO_SUCH_KEY",
        ),
        (
            ["--model=m", "--backend=api", "--base-url=http://127.0.0.1:9/v1", "--api-attempts=1"],
            "http://127.0.0.1:9/v1: nobody answers",
        ),
    ],
)  # fmt: skip
def test_an_engine_that_cannot_be_asked_is_one_line(
    stage: ModuleType, words: list[str], part: str, command: Command
) -> None:
    status, shown = command(stage, lines(GOOD), *words)
    assert status == 2
    assert [line for line in shown if "error: " in line] == shown[-1:]
    assert part in shown[-1]


@every_stage
def test_with_stored_replies_alone_nobody_is_asked(stage: ModuleType, command: Command) -> None:
    model = ["--model=m", "--backend=api", "--base-url=http://127.0.0.1:9/v1", "--api-attempts=1"]
    status, shown = command(stage, lines(GOOD), *model, "--stored-only")
    assert status == 1
    assert "failed, more than --max-failures" in shown[-1]


@every_stage
@pytest.mark.parametrize("kind", ["file", "empty folder"])
def test_what_is_no_checkpoint_is_one_line(
    stage: ModuleType, kind: str, command: Command, tmp_path: Path
) -> None:
    if kind == "file":
        (tmp_path / "model").write_text("weights")
    else:
        (tmp_path / "model").mkdir()
    status, (line,) = command(stage, lines(GOOD), "--model", str(tmp_path / "model"))
    assert status == 2
    assert ("no such folder" if kind == "file" else "found no config.json") in line


@every_stage
def test_a_store_that_cannot_be_written_is_one_line(
    stage: ModuleType, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "store").write_text("in the way")
    status, (line,) = command(stage, lines(GOOD))
    assert status == 2
    assert line.startswith(f"error: {tmp_path / 'store'}")
    assert "cannot be written" in line


@every_stage
@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("--seed=-1", "expected a whole number from 0"),
        ("--seed=x", "expected a whole number from 0"),
        ("--max-failures=1.5", "expected a fraction from 0 to 1"),
        ("--max-failures=nan", "expected a fraction from 0 to 1"),
        ("--concurrency=0", "greater than or equal to 1"),
        ("--shards=3", "unrecognized arguments: --shards=3"),
    ],
)
def test_a_bad_flag_is_named(
    stage: ModuleType,
    word: str,
    part: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [*STAGES[stage].split(), "q", "--images=i", "--output=o", "--model=m", word]
    with pytest.raises(SystemExit) as caught:
        stage.main(arguments)
    assert caught.value.code == 2
    assert part in capsys.readouterr().err.splitlines()[-1]


@every_stage
def test_help_names_every_flag_and_default(
    stage: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        stage.main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: python -m {stage.__name__} ")
    for flag in ("--backend", "--model", "--base-url", "--api-key-env", "--concurrency",
                 "--store", "--seed", "--max-failures", "--images", "--output"):  # fmt: skip
        assert f"{flag} " in shown
    assert "(default: 20260130)" in " ".join(shown.split())


@every_stage
def test_a_command_from_the_shell(stage: ModuleType, tmp_path: Path) -> None:
    words = [*STAGES[stage].split(), str(tmp_path / "no.jsonl"), "--images", str(tmp_path),
             "--output", str(tmp_path / "out.jsonl"), "--model=m"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", stage.__name__, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"error: {tmp_path / 'no.jsonl'}: cannot be read: No such file or directory\n"
    )
    assert list(tmp_path.iterdir()) == []


# What all commands share


def test_an_exit_status_says_how_a_command_ended(capsys: pytest.CaptureFixture[str]) -> None:
    def bad_input() -> int:
        raise UserError("q.jsonl:3: question: expected a text")

    def interrupted() -> int:
        raise KeyboardInterrupt

    def bug() -> int:
        raise ZeroDivisionError

    assert cli.run(lambda: 0) == 0
    assert cli.run(lambda: 1) == 1
    assert capsys.readouterr().err == ""
    assert cli.run(bad_input) == 2
    assert capsys.readouterr().err == "error: q.jsonl:3: question: expected a text\n"
    assert cli.run(interrupted) == 130
    assert "run again to go on" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        cli.run(bug)


@pytest.mark.parametrize(
    ("failed", "candidates", "allowed", "status"),
    [(0, 0, 0.0, 0), (0, 9, 0.0, 0), (1, 9, 0.0, 1), (1, 20, 0.05, 0), (2, 20, 0.05, 1),
     (20, 20, 1.0, 0)],
)  # fmt: skip
def test_failures_above_the_fraction_fail_the_command(
    failed: int,
    candidates: int,
    allowed: float,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = [["audit:timeout"]] * failed + [[]] * (candidates - failed)
    assert check_failures(failures, allowed) == status
    shown = capsys.readouterr().err
    assert shown.count("\n") == status
    if status:
        assert f"{failed} of {candidates} candidates failed" in shown


def test_the_commonest_reasons_of_failures_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    failures = [
        *[["judge[0]:timeout", "judge[3]:timeout", "audit:timeout"]] * 4,
        *[["prompt_refused"]] * 3,
        ["audit:truncated"],
        ["audit:invalid_json"],
        [],
    ]
    details = {"timeout": "", "prompt_refused": "longer than 768 tokens", "truncated": "after 9"}
    assert check_failures(failures, 0.5, "candidates", details) == 1
    assert capsys.readouterr().err == (
        "error: 9 of 10 candidates failed, more than --max-failures 0.5: 4 × audit:timeout, "
        "4 × judge:timeout, 3 × prompt_refused (prompt_refused: longer than 768 tokens); nothing "
        "was written, the good replies are stored\n"
    )
