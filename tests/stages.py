"""What the tests of the stages share: pictures, stores, commands around a scripted engine."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image as Pillow

from evpv_prm import cli
from evpv_prm.engine.base import IMAGE, Reply, Request, Result
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.jsonl import read_rows
from evpv_prm.progress import PROGRESS_LINE
from tests.scripted import Answer, ScriptedEngine


def draw(path: Path, colour: str = "white") -> Path:
    """Write a small picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", (8, 8), colour).save(path)
    return path


def labelled(*steps: str, **fields: Any) -> dict[str, Any]:
    """A line of VisualProcessBench; every step is labelled right, "bad" ones wrong."""
    labels = [-1 if "bad" in step else 1 for step in steps]
    row = {
        "image": ["images/a.png"],
        "question": "Q?",
        "answer": "A",
        "response": {"steps": list(steps), "process_correctness": labels},
        "policy_model": "P",
        "data_source": "D",
    }
    return {**row, **fields}


def prompt_of(request: Request) -> str:
    """The request's text, an image being one character that no text holds."""
    (message,) = request.messages
    return "".join("\0" if part == IMAGE else part["text"] for part in message["content"])


EVIDENCE_FLAGS = ("--judge-form", "evidence_then_verdict", "--max-evidence-characters", "44")


def asks_for_evidence(request: Request) -> bool:
    """Whether the judge's prompt asks for evidence before the verdict."""
    return '"evidence"' in prompt_of(request)


def evidence_of(request: Request) -> str:
    """The evidence that the tests' judge gives: it names the step."""
    return f"Truth of step {judged_step(request)}"


def judged_step(request: Request) -> int:
    return int(re.findall(r"Is step (\d+) right", prompt_of(request))[0])


def verdict_of(request: Request, is_right: bool) -> Reply:
    """Judge a step in the form that is asked for; p of "1" is 0.75 whatever the verdict."""
    verdict = 1 if is_right else -1
    choice = {"1": math.log(0.75), "-": math.log(0.25)}
    if not asks_for_evidence(request):
        return Reply(str(verdict), [choice])
    text = json.dumps({"evidence": evidence_of(request), "verdict": verdict}, separators=(",", ":"))
    taken = "1" if is_right else "-"
    chosen = {taken: choice[taken], **choice}
    start, end = text.split('":' + taken)
    certain = [{token: 0.0, "?": -30.0} for token in (*start, '":')]
    return Reply(text, [*certain, chosen, *({token: 0.0} for token in end)])


def failing(answer: Answer, stage: str, when: str, result: Result) -> Answer:
    """Answer as given, but with `result` the requests of one stage whose text holds `when`."""

    def respond(request: Request) -> Result:
        if request.stage == stage and when in prompt_of(request):
            return result
        return answer(request)

    return respond


def stored(engine: ScriptedEngine, folder: Path) -> StoredEngine:
    return StoredEngine(ResponseStore(folder, engine.identity), lambda: engine)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)]


def outcome(main: Callable[[], int], output: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; return the JSON that it wrote, or the error line of a refused input."""
    status = cli.run(main)
    error = capsys.readouterr().err
    if status:
        assert status == 2
        assert not output.parent.exists(), "nothing may be written"
        *progress, error = error.splitlines(keepends=True)
        assert all(PROGRESS_LINE.match(line) for line in progress)
        return error
    return json.loads(output.read_bytes())


def run_stage(
    stage: ModuleType,
    words: Sequence[str],
    open_engine: Callable[[Any], StoredEngine],
    monkeypatch: pytest.MonkeyPatch,
) -> int:
    """Run a stage's command with an engine of the test's own; return its exit status."""
    with monkeypatch.context() as patch:
        patch.setattr(stage, "open_engine", open_engine)
        return cli.run(lambda: stage.main(list(words)))
