"""A teacher behind HTTP that sees the pictures' colour, and a small tree of labelled solutions."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from evpv_prm.cli import run
from evpv_prm.jsonl import read_rows, write_rows
from tests.servers import Action, Call, completion


def picture(path: Path, colour: str, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", size, colour).save(path)


def solution(image: str, question: str, steps: Sequence[str], labels: str) -> dict[str, Any]:
    """Return a record of VisualPRM400K's conversations: one label for each step."""
    turns = [{"from": "system", "value": "You judge solutions."}]
    for number, (step, label) in enumerate(zip(steps, labels, strict=True)):
        opening = f"### Question:\n{question}\n\n### Solution Process:\n" if number == 0 else ""
        turns += [{"from": "human", "value": opening + step}, {"from": "gpt", "value": label}]
    return {"image": image, "conversations": turns}


def write_pairs(root: Path, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write the records to `ROOT/SUBSET/swiftdata.jsonl`; return the files."""
    subsets = sorted({record["image"].split("/")[0] for record in records})
    files = [root / subset / "swiftdata.jsonl" for subset in subsets]
    for subset, file in zip(subsets, files, strict=True):
        write_rows(file, (r for r in records if r["image"].startswith(f"{subset}/")))
    return [str(file) for file in files]


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)]


def colour_of(call: Call) -> str:
    """Return the colour of the picture in a call, in hexadecimal."""
    urls = [
        part["image_url"]["url"]
        for part in call.body["messages"][-1]["content"]
        if part["type"] == "image_url"
    ]
    [url] = urls
    with Pillow.open(BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return "".join(f"{value:02x}" for value in image.convert("RGB").getpixel((0, 0)))


def part(prompt: str, name: str) -> str:
    """Return what stands below a heading of a prompt."""
    match = re.search(rf"^{name}[^\n]*:\n(.*?)(?:\n\n|\Z)", prompt, re.DOTALL | re.MULTILINE)
    assert match is not None, prompt
    return match[1]


def judgement(
    steps: Sequence[str], wrong: Sequence[int] = (), evidence: Sequence[Any] | None = None
) -> dict[str, Any]:
    """Return a teacher's judgement; the steps `wrong` (from 0) misread a value."""
    results = [
        {
            "step": index + 1,
            **({} if evidence is None else {"evidence": evidence[index]}),
            "score": -1 if index in wrong else 1,
            "category": "visual_misinterpretation" if index in wrong else None,
            "subcategory": "value_misreading" if index in wrong else None,
        }
        for index in range(len(steps))
    ]
    return {"question": "?", "Solution_steps": list(steps), "step_judge_result": results}


def teach(call: Call, _number: int = 0) -> Action:
    """Answer as a good teacher: its descriptions tell colour and question.

    Its evidence is what a right step says, and "8" for a wrong one.
    """
    stage, prompt = call.headers["X-EVPV-Stage"], call.prompt
    if stage == "teacher_describe":
        question = part(prompt, "Question")
        description = f"A square of side 8 and colour {colour_of(call)}, seen for: {question}"
        return say({"question_text": question, "image_description": description})
    assert stage == "teacher_steps"
    text = part(prompt, "Solution")
    steps = re.findall(r"^Step \d+: (.*)$", text, re.MULTILINE) or text.split(". ")
    wrong = [len(steps) - 1] if "Overall label: -" in prompt else []
    if "divide it" in prompt:
        steps = [step + ". " for step in steps[:-1]] + steps[-1:]
    evidence = ["8" if n in wrong else step for n, step in enumerate(steps)]
    return say(judgement(steps, wrong, evidence if '"evidence"' in prompt else None))


def say(reply: Mapping[str, Any]) -> Action:
    return completion(json.dumps(reply))


def command(main: Any, *words: object) -> int:
    """Run a command as its users do."""
    return run(lambda: main([str(word) for word in words]))
