"""A small world of scored questions and judged solutions, and the case browser made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from evpv_prm import viewer
from evpv_prm.jsonl import write_rows
from evpv_prm.reward import checklist, gate

MARKUP = "<script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">"
FILLERS = 45

DESCRIPTION = (
    "A right triangle ABC with the right angle at C. Leg AC is labelled 6, leg BC is labelled 8; "
    "the hypotenuse AB carries no label."
)
SEEN = {
    "AC": "Leg AC is labelled 6.",
    "BC": "Leg BC is labelled 8.",
    "AB": "The hypotenuse AB is labelled 12.",
    "C": "The angle at C is a right angle.",
}


def finding(statement: str, reason: str, severity: str = "High") -> dict[str, str]:
    return {"faulty_statement": statement, "correction_or_reason": reason, "severity": severity}


def check(fact: str, evidence: str, *, holds: bool) -> dict[str, Any]:
    return {"fact": fact, "evidence": evidence, "holds": holds}


def candidate(
    answer: str,
    steps: Sequence[tuple[str, str | None, int | None]],
    *,
    p: float | None = 1.0,
    findings: Sequence[dict[str, str]] = (),
    checks: Sequence[dict[str, Any]] = (),
    omissions: Sequence[str] = (),
    failures: Sequence[str] = (),
    evidence: Sequence[str | None] | None = None,
    description: str | None = DESCRIPTION,
) -> dict[str, Any]:
    """Return a scored candidate of steps (text, visual fact, verdict)."""
    text, visual = checklist([fact for _, fact, _ in steps])
    raw = [verdict for *_, verdict in steps]
    evaluation = {
        "image_description": description,
        "visual_checklist": text,
        "visual_step_indices": visual,
        "visual_checklist_evaluation": {
            "checks": list(checks),
            "errors_and_hallucinations": list(findings),
            "omissions": list(omissions),
            "p_score": p,
        }
        if visual and p is not None
        else None,
        "local_p_score": p,
        "raw_step_scores": raw,
        "final_step_scores": gate(raw, visual, p),
        "step_probabilities": [
            None if verdict is None else 0.91 if verdict == 1 else 0.125 for verdict in raw
        ],
        "step_evidence": evidence,
        "failures": list(failures),
    }
    process = [{"steptext": step, "visualdependency": fact} for step, fact, _ in steps]
    return {"reasoningprocess": process, "finalanswer": answer, "eval": evaluation}


def question(pid: str, *candidates: dict[str, Any], **fields: Any) -> dict[str, Any]:
    row = {
        "pid": pid,
        "question": "What is the length of AB?",
        "answer": "10",
        "image": "triangle.png",
        "datasource": "Geometry",
    }
    return row | {f"vlmresponse{n}": each for n, each in enumerate(candidates, 1)} | fields


PYTHAGORAS = candidate(
    "10",
    [
        ("The picture shows a right triangle, so Pythagoras holds.", SEEN["C"], 1),
        ("The legs are AC = 6 and BC = 8.", SEEN["AC"], 1),
        ("AB² = 36 + 64 = 100.", None, 1),
        ("So AB = 10.", None, -1),
    ],
)
MISREAD = candidate(
    "12",
    [
        ("The hypotenuse is labelled in the picture.", SEEN["AB"], 1),
        ("It reads 12.", SEEN["AB"], 1),
        ("So AB = 12.", None, 1),
    ],
    p=0.3,
    findings=[
        finding(SEEN["AB"], "The hypotenuse carries no label; 12 stands nowhere."),
        finding("All sides are labelled.", "Only the legs are.", "Low"),
    ],
    omissions=["The right angle at C is marked."],
    evidence=["AB carries no label.", None, "AB = √(36 + 64) = 10"],
)
CAUTIOUS = candidate(
    "10",
    [("By Pythagoras AB = √(6² + 8²).", SEEN["BC"], 1), ("That is 100.", None, -1)],
    p=0.8,
    checks=[check(SEEN["BC"], "Leg BC is labelled 9.", holds=False)],
)
FAILED = {"error": "truncated", "detail": "the reply ends inside its JSON", "rawoutput": MARKUP}
UNAUDITED = candidate(
    "10",
    [("Read AC = 6.", SEEN["AC"], 1), ("So AB = 10.", None, None)],
    p=None,
    failures=["audit:invalid_json", "judge[1]:timeout"],
)
HOSTILE = candidate(
    MARKUP, [(MARKUP, MARKUP, 1)], p=0.5, findings=[finding(MARKUP, MARKUP)], description=MARKUP,
    evidence=[MARKUP],
)  # fmt: skip
FOUR = (PYTHAGORAS, MISREAD, CAUTIOUS, PYTHAGORAS)

SPECIAL = [
    question("better", *FOUR),
    question("worse", *FOUR, answer="12"),
    question(
        "two-images", *FOUR, image=["triangle.png", "bars.png"],
        question="<image 1> shows a triangle, <image 2> bars. How long is AB?",
        choices=["6", "8", "10", "12"], answer="C",
    ),
    question("failed", FAILED, UNAUDITED, FAILED, MISREAD),
    question("hostile", HOSTILE, HOSTILE, HOSTILE, HOSTILE, question=MARKUP, answer=MARKUP),
    {**question("unasked"), "image": "missing.png", "error": "missing_image", "detail": "no file"},
    question("folder/with #odd? name&", *FOUR),
]  # fmt: skip


def scored(policy: str) -> dict[str, list[dict[str, Any]]]:
    """Return the scored questions of a policy by benchmark; the second one answers alike."""
    right = candidate("10", [("Bar X is 10 high.", "Bar X is 10 high.", 1)], p=0.9)
    fillers = [
        question(
            f"bars-{n}", right, right, right, right,
            image="bars.png", datasource="Charts", question=f"How high is bar X in chart {n}?",
        )
        for n in range(FILLERS)
    ]  # fmt: skip
    return {"Geometry": SPECIAL if policy == "policy-a" else SPECIAL[:1], "Charts": fillers}


def solution(pid: str, verdicts: Sequence[int | None], **fields: Any) -> dict[str, Any]:
    """Return a judged solution whose second step is wrong and whose third is neutral."""
    facts = [SEEN["AC"], SEEN["AB"], None, None]
    text, visual = checklist(facts)
    row = {
        "pid": pid,
        "image": ["images/triangle.png"],
        "question": "What is the length of AB?",
        "answer": "10",
        "response": {
            "steps": ["AC is 6.", "AB is labelled 12.", "Let us think.", "So AB is 10."],
            "process_correctness": [1, -1, 0, 1],
        },
        "policy_model": "solver",
        "data_source": "MathVision",
        "structured_vision": {"caption": DESCRIPTION, "key_facts": [SEEN["AC"]], "uncertain": []},
        "step_predict": list(verdicts),
        "step_probabilities": [None if verdict is None else 0.7 for verdict in verdicts],
        "step_evidence": [None, "AB carries no label.", None, None],
        "failures": [f"judge[{i}]:timeout" for i, each in enumerate(verdicts) if each is None],
        "visual_dependencies": facts,
        "visual_checklist": text,
        "visual_step_indices": visual,
        "visual_checklist_evaluation": {
            "errors_and_hallucinations": [finding(SEEN["AB"], "It carries no label.")],
            "omissions": [],
        },
        "local_p_score": 0.4,
        "final_step_scores": gate(verdicts, visual, 0.4),
    }
    return row | fields


SOLUTIONS = [
    solution("accepts", [1, 1, 1, 1]),
    solution("rejects", [-1, -1, 1, 1], data_source="MathVerse", question=MARKUP),
    solution("judge-failed", [None, -1, -1, 1], policy_model="other-solver"),
]
ABLATIONS = {"baseline": [1, 1, 1, 1], "history_none": [1, -1, 1, 1], "history_last1": [1, 1, 1, 1]}


def ungated(row: dict[str, Any], verdicts: Sequence[int | None]) -> dict[str, Any]:
    """Return a solution as it was judged without a gate."""
    kept = ("pid", "image", "question", "response", "policy_model", "data_source", "failures")
    return {name: row[name] for name in kept} | {
        "step_predict": list(verdicts),
        "step_probabilities": [0.6] * len(verdicts),
    }


def draw(folder: Path) -> None:
    """Write triangle.png, which is larger than a picture of the page, and bars.png."""
    folder.mkdir(parents=True)
    image = Image.new("RGB", (1200, 900), "white")
    pen = ImageDraw.Draw(image)
    pen.polygon([(150, 750), (950, 750), (150, 150)], outline="black", width=6)
    pen.rectangle([150, 710, 190, 750], outline="black", width=4)
    for place, name in {(90, 760): "C", (970, 760): "B", (90, 110): "A"}.items():
        pen.text(place, name, fill="black", font_size=48)
    pen.text((80, 420), "6", fill="black", font_size=48)
    pen.text((520, 770), "8", fill="black", font_size=48)
    image.save(folder / "triangle.png")
    image = Image.new("RGB", (320, 240), "white")
    pen = ImageDraw.Draw(image)
    for index, height in enumerate((60, 140, 200)):
        pen.rectangle([40 + 90 * index, 220 - height, 90 + 90 * index, 220], fill="steelblue")
    image.save(folder / "bars.png")


def build(folder: Path) -> Path:
    """Write the world's files below a folder, and the case browser; return its page."""
    draw(folder / "images")
    cases = str(folder / "cases")
    collections = []
    for policy in ("policy-a", "policy-b"):
        files = []
        for name, rows in scored(policy).items():
            path = folder / f"{policy}-{name}.jsonl"
            write_rows(path, rows)
            files.append(f"{name}={path}")
            if policy == "policy-a":
                run("images", "--name", name, "--records", path, "--images", folder / "images",
                    "--workers", 1, "--folder", cases)  # fmt: skip
        run("candidates", "--policy", policy, "--scored", *files, "--workers", 1, "--folder", cases)
        collections.append(f"candidates/{policy}")
    predictions, direct, ablations = (folder / f"{name}.jsonl" for name in ("p", "d", "a"))
    write_rows(predictions, SOLUTIONS)
    write_rows(direct, [ungated(row, [1, -1, 1, 1]) for row in SOLUTIONS])
    meta = {"ablation_meta": {"seed": 1, "imputed_steps": []}}
    write_rows(
        ablations,
        [
            ungated(row, verdicts) | {"ablation_name": name} | meta
            for name, verdicts in ABLATIONS.items()
            for row in SOLUTIONS[:1]
        ],
    )
    run("images", "--name", "VisualProcessBench", "--records", predictions,
        "--images", folder / "images", "--workers", 1, "--folder", cases)  # fmt: skip
    run("solutions", "--predictions", predictions, "--direct", direct, "--ablations", ablations,
        "--folder", cases)  # fmt: skip
    run("page", "--collections", *collections, "solutions", "--note", "A world of three pictures.",
        "--folder", cases)  # fmt: skip
    return folder / "cases/index.html"


def run(*words: object) -> None:
    """Run a part of the viewer."""
    assert viewer.main([str(word) for word in words]) == 0
