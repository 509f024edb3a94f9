"""The reliability gate on labelled solutions, whose steps do not name their visual facts.

The verifier names the visual fact behind each step; from there on the gate is that of Best-of-N
scoring: the checklist of these facts is audited against the caption, and a visual step that was
judged right is worth the reliability p.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evpv_prm import parsing, prompts
from evpv_prm.config_step_level import StepGate
from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.engine.base import Failure, Request, Result
from evpv_prm.engine.store import StoredEngine
from evpv_prm.records import Caption
from evpv_prm.reward import checklist, gate, visual_facts
from evpv_prm.step_judging import Solution, ask
from evpv_prm.verifier import parsed, request

Premises = list[str | None] | Failure
"""The visual fact behind each step of a solution, None for a step without one."""


def gate_records(
    judged: Sequence[JudgedRecord],
    solutions: Sequence[Solution],
    engine: StoredEngine,
    options: StepGate,
    seed: int,
) -> list[JudgedRecord]:
    """Return the judged records of these solutions with a gate.

    Two waves of requests: the facts, then the audits. Nothing is asked about a record without
    caption: its judge was not asked either, and its gate stays empty.
    """
    captioned = [i for i, record in enumerate(judged) if record.structured_vision is not None]
    groups = [premises_group(solutions[i], options, seed) for i in captioned]
    premises = [
        read_premises(solutions[i], results)
        for i, results in zip(captioned, ask(engine, groups, "split"), strict=True)
    ]
    groups = [
        audit_group(solutions[i], judged[i].structured_vision, facts, options, seed)
        for i, facts in zip(captioned, premises, strict=True)
    ]
    audits = ask(engine, groups, "audit")
    gated = list(judged)
    for i, facts, results in zip(captioned, premises, audits, strict=True):
        gated[i] = gated_record(judged[i], facts, results)
    return gated


def premises_group(solution: Solution, options: StepGate, seed: int) -> list[Request]:
    """Return the request for the visual facts behind the steps of a solution."""
    record = solution.record
    prompt = prompts.premises(
        record.question,
        record.steps,
        len(solution.images),
        max_characters=options.max_premise_characters,
    )
    return [request("split", prompt, [], options.premises, seed)]


def read_premises(solution: Solution, results: Sequence[Result]) -> Premises:
    """Read the result of a `premises_group`."""
    [result] = results
    steps = len(solution.record.steps)
    return parsed(result, lambda text: parsing.parse_premises(text, steps))


def audit_group(
    solution: Solution, caption: Caption | None, premises: Premises, options: StepGate, seed: int
) -> list[Request]:
    """Return the request for the audit of a solution's facts; none where there are none."""
    if caption is None or isinstance(premises, Failure):
        return []
    facts, visual = checklist(premises)
    if not visual:
        return []
    prompt = prompts.audit(
        caption.to_text(),
        facts,
        len(solution.images),
        max_errors=options.max_audit_errors,
        max_characters=options.max_audit_characters,
        checks=len(visual_facts(premises)) if options.audit_checks else None,
    )
    return [request("audit", prompt, solution.images, options.audit, seed)]


def gated_record(
    record: JudgedRecord, premises: Premises, results: Sequence[Result]
) -> JudgedRecord:
    """Return a judged record with the results of its `audit_group`.

    Where the facts are not known, any step may be a visual one: no right step has a final score.
    """
    failures = list(record.failures)
    audit: Mapping[str, Any] | None = None
    reliability: float | None = None
    facts: str | None = None
    visual: list[int] | None = None
    if isinstance(premises, Failure):
        failures.append(f"premises:{premises.kind}")
    else:
        facts, visual = checklist(premises)
        if not visual:
            reliability = 1.0
        else:
            [result] = results
            audited = parsed(result, parsing.parse_audit)
            if isinstance(audited, Failure):
                failures.append(f"audit:{audited.kind}")
            else:
                audit, reliability = audited
    gated = range(len(record.steps)) if visual is None else visual
    return record.model_copy(
        update={
            "failures": failures,
            "visual_dependencies": None if isinstance(premises, Failure) else premises,
            "visual_checklist": facts,
            "visual_step_indices": visual,
            "visual_checklist_evaluation": None if audit is None else dict(audit),
            "local_p_score": reliability,
            "final_step_scores": gate(record.step_predict, gated, reliability),
        }
    )
