"""What the configurations of the ablation suite ask of the verifier, and what they make of it.

Every configuration asks for its captions and its judgements as if it were alone; all captions are
one wave and all judgements another, and the response store sends each distinct request once. So
configurations share captions, and a comparison holds fixed whatever it is not about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from evpv_prm import prompts
from evpv_prm.ablations import FIXED_CAPTIONS, Ablation, corrupted, find, random_verdict
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.config_step_level import StepJudging
from evpv_prm.data.ablated_records import AblatedRecord
from evpv_prm.engine.base import Failure, Reply, Request, Result
from evpv_prm.engine.store import StoredEngine
from evpv_prm.metrics.ablation_file import Asked
from evpv_prm.records import Caption, failure_reason
from evpv_prm.section import Decoding
from evpv_prm.step_judging import (
    Solution,
    ask,
    caption_group,
    judge_group,
    judged_record,
    read_caption,
    view,
)
from evpv_prm.verdicts import parse_judgement
from evpv_prm.verifier import View, parsed

DecodingT = TypeVar("DecodingT", bound=Decoding)

PARSE_FAILURES = ("invalid_verdict", "truncated")
"""Failures of a free reply that came and holds no verdict; a reply that runs on holds none."""


@dataclass(frozen=True)
class Case:
    """A solution, how it is judged, and the seed with which all of it is sampled."""

    solution: Solution
    ablation: Ablation
    seed: int


def cases(
    solutions: Sequence[Solution], ablations: Sequence[Ablation], seeds: Sequence[int]
) -> list[Case]:
    """Return all combinations; a solution's follow each other, for their prompts begin alike."""
    return [Case(s, ablation, seed) for s in solutions for seed in seeds for ablation in ablations]


def judge_cases(
    cases: Sequence[Case],
    engine: StoredEngine,
    judging: StepJudging,
    reply: JudgeReply = VERDICT_ALONE,
) -> tuple[list[AblatedRecord], dict[str, Asked]]:
    """Ask for everything in two waves; return the records, one a case, and what was asked for.

    `reply` is the form of the baseline's. The counts are by configuration, in the order in which
    the cases name them.
    """
    counted = _Requests(engine)
    groups = [_caption_requests(case, judging) for case in cases]
    results = counted.ask(cases, groups, "caption")
    captions = [_shown(case, result) for case, result in zip(cases, results, strict=True)]
    groups = [
        judge_group(case.solution, caption, _view(case.ablation, judging, reply), case.seed)
        for case, caption in zip(cases, captions, strict=True)
    ]
    results = counted.ask(cases, groups, "judge")
    records = [
        _record(case, caption, result, reply)
        for case, caption, result in zip(cases, captions, results, strict=True)
    ]
    return records, counted.counts()


def has_failed(record: AblatedRecord) -> bool:
    """Whether a step has no verdict for another reason than that its free reply holds none."""
    reasons = {failure_reason(failure) for failure in record.failures}
    if not find(record.ablation_name).is_constrained:
        reasons -= {f"judge:{kind}" for kind in PARSE_FAILURES}
    return not record.is_judged and bool(reasons)


def _caption_requests(case: Case, judging: StepJudging) -> list[Request]:
    ablation = case.ablation
    if not ablation.needs_caption:
        return []
    changes = {"temperature": ablation.caption_temperature, "top_p": ablation.caption_top_p}
    changed = judging.model_copy(update={"caption": _changed(judging.caption, changes)})
    short = ablation.caption_prompt == "short"
    return caption_group(case.solution, changed, case.seed, short=short)


def _changed(decoding: DecodingT, changes: Mapping[str, float | None]) -> DecodingT:
    return decoding.model_copy(update={k: v for k, v in changes.items() if v is not None})


def _shown(case: Case, results: Sequence[Result]) -> Caption | Failure | None:
    """Return what the judge reads of the images: nothing, a caption, or that it failed."""
    ablation = case.ablation
    if not ablation.shows_description:
        return None
    caption = FIXED_CAPTIONS.get(ablation.corruption) or read_caption(results)
    if isinstance(caption, Failure):
        return caption
    return corrupted(caption, ablation.corruption, case.solution.record.pid)


def _view(ablation: Ablation, judging: StepJudging, reply: JudgeReply) -> View:
    usual = view(judging, ablation.reply(reply))
    changes = {"temperature": ablation.judge_temperature, "top_p": ablation.judge_top_p}
    return replace(
        usual,
        decoding=_changed(usual.decoding, changes),
        history=usual.history if ablation.history is None else ablation.history,
        rules=ablation.rules,
        shows_images=ablation.shows_image,
        is_constrained=ablation.is_constrained,
    )


def _record(
    case: Case,
    caption: Caption | Failure | None,
    results: Sequence[Result],
    configured: JudgeReply,
) -> AblatedRecord:
    reply = case.ablation.reply(configured)
    results, imputed = _imputed(case, results, reply)
    judged = judged_record(case.solution, caption, results, reply)
    meta = {**case.ablation.changes, "seed": case.seed, "imputed_steps": imputed}
    if case.ablation.judge_form != "configured":
        meta["judge_form"] = reply.judge_form
    return AblatedRecord.model_validate(
        {**judged.to_row(), "ablation_name": case.ablation.name, "ablation_meta": meta}
    )


def _imputed(
    case: Case, results: Sequence[Result], reply: JudgeReply
) -> tuple[list[Result], list[int]]:
    """Put the policy's verdicts in the place of parse failures; return where they stand."""
    policy = case.ablation.on_parse_failure
    if policy == "fail":
        return list(results), []
    imputed: list[int] = []
    kept: list[Result] = []
    for step, result in enumerate(results):
        said = parsed(result, lambda text: parse_judgement(text, reply))
        if isinstance(said, Failure) and said.kind in PARSE_FAILURES:
            pid = case.solution.record.pid
            label = 1 if policy == "right" else random_verdict(case.seed, pid, step)
            imputed.append(step)
            result = Reply(prompts.judge_answer(None, label, reply))
        kept.append(result)
    return kept, imputed


class _Requests:
    """Keeps account of which configuration asks for what."""

    def __init__(self, engine: StoredEngine) -> None:
        self._engine = engine
        self._keys: dict[str, list[str]] = {}

    def ask(
        self, cases: Sequence[Case], groups: Sequence[Sequence[Request]], label: str
    ) -> list[list[Result]]:
        identity = self._engine.store.identity
        for case, group in zip(cases, groups, strict=True):
            keys = [request.key(identity) for request in group]
            self._keys.setdefault(case.ablation.name, []).extend(keys)
        return ask(self._engine, groups, label)

    def counts(self) -> dict[str, Asked]:
        before: set[str] = set()
        counts = {}
        for name, keys in self._keys.items():
            distinct = set(keys)
            counts[name] = Asked(
                requests=len(keys), distinct=len(distinct), new=len(distinct - before)
            )
            before |= distinct
        return counts
