"""What the tests of the stages share: pictures, stores, commands around a scripted engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image as Pillow

from evpv_prm import cli
from evpv_prm.engine.base import IMAGE, Request, Result
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
