"""Judge labelled solutions with captions of which a growing share is left out or falsified.

Reads VisualProcessBench and writes each record with its judgements (1 or -1 a step, and their
probabilities) by a judge that is shown the caption as it is (baseline) and with each share of its
items left out (drop) or falsified (flip); all of it twice: with the images in the judge's view
(constraint_experiments) and without (constraint_experiments_without_image). `meta` says what was
done to a caption, and what share of its items it comes to. All captions are asked for first, then
all judgements together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from evpv_prm import cli
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.config_step_level import ConstraintCorruption, StepJudging
from evpv_prm.data.constraint_corruption import MODES, DropMeta, FlipMeta, corrupt_caption
from evpv_prm.data.constraint_records import (
    ConstraintExperiments,
    ConstraintRecord,
    CorruptedPass,
    JudgedPass,
)
from evpv_prm.data.step_records import JudgedRecord, read_step_records
from evpv_prm.engine.base import Failure, Result
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.jsonl import write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.records import Caption
from evpv_prm.step_judging import (
    Solution,
    ask,
    caption_solutions,
    judge_group,
    judged_record,
    load_solutions,
    view,
)

Shown: TypeAlias = tuple[Caption | Failure, DropMeta | FlipMeta | None]
"""A caption that the judge is shown, and what was done to it, if anything."""


def shown_captions(
    solution: Solution, caption: Caption | Failure, ratios: Sequence[float], seed: int
) -> list[Shown]:
    """Return the captions of all passes: as it is, then drop at each ratio, then flip."""
    if isinstance(caption, Failure):
        return [(caption, None)] * (1 + len(MODES) * len(ratios))
    pid = solution.record.pid
    return [
        (caption, None),
        *(corrupt_caption(caption, mode, ratio, pid, seed) for mode in MODES for ratio in ratios),
    ]


def judge_corruptions(
    solutions: Sequence[Solution],
    engine: StoredEngine,
    judging: StepJudging,
    ratios: Sequence[float],
    seed: int,
    reply: JudgeReply = VERDICT_ALONE,
) -> list[ConstraintRecord]:
    """Return the records of all solutions with the judgements of all passes, in order.

    Two waves of requests: the captions, then the judgements of all passes in both views.
    """
    captions = caption_solutions(solutions, engine, judging, seed)
    shown = [
        shown_captions(solution, caption, ratios, seed)
        for solution, caption in zip(solutions, captions, strict=True)
    ]
    with_image = view(judging, reply)
    groups = [
        judge_group(solution, _left(caption), seen, seed)
        for solution, passes in zip(solutions, shown, strict=True)
        for seen in (with_image, replace(with_image, shows_images=False))
        for caption, _ in passes
    ]
    results = iter(ask(engine, groups, "judge"))
    return [
        _record(solution, passes, ratios, results, reply)
        for solution, passes in zip(solutions, shown, strict=True)
    ]


def _left(caption: Caption | Failure) -> Caption | Failure | None:
    """Return what is left of a caption to show: none where all of it was dropped."""
    return None if isinstance(caption, Caption) and not caption.to_text() else caption


def _record(
    solution: Solution,
    shown: Sequence[Shown],
    ratios: Sequence[float],
    results: Iterator[Sequence[Result]],
    reply: JudgeReply,
) -> ConstraintRecord:
    """Read the results of a solution's passes in both views, consuming them in order."""
    with_image, without_image = (
        [judged_record(solution, _left(caption), next(results), reply) for caption, _ in shown]
        for _ in range(2)
    )
    return ConstraintRecord.model_validate(
        {
            **with_image[0].to_row(),
            "constraint_experiments": _experiments(shown, with_image, ratios),
            "constraint_experiments_without_image": _experiments(shown, without_image, ratios),
        }
    )


def _experiments(
    shown: Sequence[Shown], judged: Sequence[JudgedRecord], ratios: Sequence[float]
) -> ConstraintExperiments:
    passes = [
        CorruptedPass(
            meta=meta,
            vision_json=caption if isinstance(caption, Caption) else None,
            step_predict=record.step_predict,
            step_probabilities=record.step_probabilities,
            failures=record.failures,
        )
        for (caption, meta), record in zip(shown, judged, strict=True)
    ]
    corrupted = iter(passes[1:])
    drop, flip = ({str(ratio): next(corrupted) for ratio in ratios} for _ in MODES)
    baseline = JudgedPass.model_validate(passes[0].model_dump(exclude={"meta"}))
    return ConstraintExperiments(baseline=baseline, drop=drop, flip=flip)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "constraint_corruption_ablation")
    parser.add_argument("--benchmark", type=Path, required=True, help="JSONL file of solutions")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    add_options(parser, StepJudging)
    add_options(parser, ConstraintCorruption)
    add_options(parser, JudgeReply)
    add_engine_options(parser)
    arguments = parser.parse_args(argv)
    judging, reply = read_options(arguments, StepJudging), read_options(arguments, JudgeReply)
    ratios = read_options(arguments, ConstraintCorruption).ratios

    solutions = load_solutions(read_step_records(arguments.benchmark), arguments.images)
    with open_engine(arguments) as engine:
        judged = judge_corruptions(solutions, engine, judging, ratios, arguments.seed, reply)
    failures = [
        each.failures if verdict is None else []
        for record in judged
        for each in record.passes()
        for verdict in each.step_predict
    ]
    status = check_failures(failures, arguments.max_failures, "judgements", engine.details)
    if status == 0:
        write_rows(arguments.output, (record.to_row() for record in judged))
    return status


if __name__ == "__main__":
    cli.run_and_exit(main)
