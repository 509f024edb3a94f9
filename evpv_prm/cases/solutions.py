"""Judged solutions as cases: labels against verdicts step by step, and those of the ablations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from evpv_prm.ablations import SUITE, find
from evpv_prm.cases.collection import CASES_PER_CHUNK, Block, Lines
from evpv_prm.cases.images import Pictures, pictures_of
from evpv_prm.cases.premises import read_audit
from evpv_prm.cases.shapes import Configuration, SolutionCase, SolutionRow, SolutionStep
from evpv_prm.data.ablated_records import AblatedRecord
from evpv_prm.data.step_records import JudgedRecord, StepRecord
from evpv_prm.errors import InputError
from evpv_prm.jsonl import read_shards
from evpv_prm.metrics.gate import THRESHOLD
from evpv_prm.records import failure_reason

Verdicts: TypeAlias = Sequence[int | None]
"""A verdict a step: 1, -1, or None where the judge failed."""


@dataclass(frozen=True)
class Beside:
    """What else was said of one solution's steps: without a caption, and by configurations.

    `direct` has a verdict and p of "1" a step; `ablations` the verdicts by configuration and seed.
    """

    direct: Sequence[tuple[int | None, float | None]] | None = None
    ablations: dict[str, dict[int, Verdicts]] = field(default_factory=dict)


def solution_blocks(
    predictions: Iterable[tuple[Path | str, int, JudgedRecord]],
    beside: Mapping[str, Beside],
    configurations: Sequence[Configuration],
    pictures: Pictures,
) -> Iterator[Block]:
    """Yield the judged solutions as cases, as many at a time as a chunk has.

    Raises:
        InputError: an image has no picture, or a record of `beside` has other steps.
    """
    lines: list[tuple[int, bytes]] = []
    rows: list[SolutionRow] = []
    cases: list[SolutionCase] = []
    path: Path | str = ""
    for path, line, record in predictions:
        try:
            case = solution_case(record, beside.get(record.pid, Beside()), pictures)
        except KeyError as error:
            reason = f"no picture was made of {error.args[0]!r}"
            raise InputError(path, line, "image", expected=reason) from error
        except ValueError as error:
            reason = "was judged with other steps elsewhere"
            raise InputError(path, line, record.pid, expected=reason) from error
        lines.append((line, b""))
        rows.append(solution_row(case, configurations))
        cases.append(case)
        if len(cases) == CASES_PER_CHUNK:
            yield Block(Lines("", Path(path), lines), rows, cases)
            lines, rows, cases = [], [], []
    if cases:
        yield Block(Lines("", Path(path), lines), rows, cases)


def read_beside(direct: Iterable[Path], ablations: Iterable[Path]) -> dict[str, Beside]:
    """Read what was said of solutions without a caption and by configurations, by their pid.

    Raises:
        InputError: as `jsonl.read_shards`.
    """
    found: dict[str, Beside] = {}
    if direct := list(direct):
        for _, _, record in read_shards(direct, JudgedRecord):
            said = list(zip(record.step_predict, record.step_probabilities, strict=True))
            found[record.pid] = Beside(direct=said)
    if ablations := list(ablations):
        for _, _, ablated in read_shards(ablations, AblatedRecord, _run):
            runs = found.setdefault(ablated.pid, Beside()).ablations
            name = find(ablated.ablation_name).name
            runs.setdefault(name, {})[ablated.ablation_meta.seed] = tuple(ablated.step_predict)
    return found


def _run(record: AblatedRecord) -> tuple[str, int]:
    return record.ablation_name, record.ablation_meta.seed


def configurations_of(beside: Mapping[str, Beside]) -> list[Configuration]:
    """Return the configurations that judged some solution, in the order of the suite."""
    names = set().union(*(each.ablations for each in beside.values()))
    return [
        Configuration(
            name=ablation.name,
            group=ablation.group,
            differs_in=ablation.differs_in(),
            reference=ablation.compared_with,
        )
        for ablation in SUITE
        if ablation.name in names
    ]


def solution_case(record: JudgedRecord, beside: Beside, pictures: Pictures) -> SolutionCase:
    """Show one solution.

    Raises:
        KeyError: an image has no picture.
        ValueError: `beside` has other steps.
    """
    n, caption = len(record.steps), record.structured_vision
    audit = read_audit(
        record.visual_dependencies or [None] * n,
        record.visual_checklist_evaluation,
        record.local_p_score,
    )
    direct = beside.direct or [(None, None)] * n
    final = record.final_step_scores or [None] * n
    ablations = {
        name: [list(runs[seed]) for seed in sorted(runs)] for name, runs in beside.ablations.items()
    }
    if any(len(run) != n for runs in ablations.values() for run in runs):
        raise ValueError("other steps")
    steps = [
        SolutionStep(
            text=text,
            truth=truth,
            raw=raw,
            probability=probability,
            evidence=evidence,
            final=reward,
            premise=premise,
            gated=None if reward is None else (1 if reward >= THRESHOLD else -1),
            direct=without[0],
            direct_probability=without[1],
        )
        for text, truth, raw, probability, evidence, reward, premise, without in zip(
            record.steps,
            record.response.process_correctness,
            record.step_predict,
            record.step_probabilities,
            record.step_evidence or [None] * n,
            final,
            audit.premises,
            direct,
            strict=True,
        )
    ]
    return SolutionCase(
        pid=record.pid,
        source=record.data_source,
        policy=record.policy_model,
        question=record.question,
        answer=_answer(record),
        images=pictures_of(pictures, record.images),
        caption=None if caption is None else caption.to_row(),
        steps=steps,
        failures=record.failures,
        ablations=ablations,
        **audit.summary,
    )


def solution_row(case: SolutionCase, configurations: Sequence[Configuration]) -> SolutionRow:
    """Return a solution's row in the index; neutral steps count nowhere."""
    steps = case["steps"]
    wrong = [step for step in steps if step["truth"] == -1]
    right = [step for step in steps if step["truth"] == 1]
    accepted = [step for step in wrong if step["raw"] == 1]
    kept = [step for step in right if step["raw"] == 1]
    has_facts = any(step["premise"] for step in steps)
    return SolutionRow(
        at=(0, 0),
        pid=case["pid"],
        source=case["source"],
        question=case["question"],
        answer=case["answer"] or "",
        image=case["images"][0] if case["images"] else None,
        reliability=case["reliability"] if has_facts else None,
        failures=sorted({failure_reason(failure) for failure in case["failures"]}),
        policy=case["policy"],
        steps=len(steps),
        accepts=len(accepted),
        rejects=sum(step["raw"] == -1 for step in right),
        caught=sum(step["gated"] == -1 for step in accepted),
        lost=sum(step["gated"] == -1 for step in kept),
        disagreeing=[
            index
            for index, configuration in enumerate(configurations)
            if disagrees(case["ablations"], configuration)
        ],
    )


def disagrees(ablations: Mapping[str, Sequence[Verdicts]], configuration: Configuration) -> bool:
    """Whether a configuration judges some step otherwise than the one that it is compared with."""
    reference = configuration["reference"]
    if reference is None or reference not in ablations or configuration["name"] not in ablations:
        return False
    return ablations[configuration["name"]] != ablations[reference]


def _answer(record: StepRecord) -> str | None:
    answer = (record.model_extra or {}).get("answer")
    return None if answer is None else str(answer)
