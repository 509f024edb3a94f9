"""Judge every step of labelled solutions (VisualProcessBench) with the verifier.

Reads the benchmark's file and writes each record with `step_predict`: 1 or -1 a step, null where
the judge failed, with the p of "1" in `step_probabilities` and what went wrong in `failures`. The
verifier first captions the images (`structured_vision`), then judges each step with caption and
images in view; with --direct it judges from images and question alone. All captions are asked for
first, then all judgements together. The labels are never written to.

With --gate it also names the visual fact behind each step, audits these facts against the caption
and weighs the right visual steps by their reliability (`local_p_score`, `final_step_scores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.config_judge import VERDICT_ALONE, JudgeReply
from evpv_prm.config_step_level import StepGate, StepJudging
from evpv_prm.data.step_records import JudgedRecord, read_step_records
from evpv_prm.engine.base import Failure
from evpv_prm.engine.command import add_engine_options, check_failures, open_engine
from evpv_prm.engine.store import StoredEngine
from evpv_prm.errors import UserError
from evpv_prm.jsonl import write_rows
from evpv_prm.options import add_options, read_options
from evpv_prm.records import Caption
from evpv_prm.step_gate import gate_records
from evpv_prm.step_judging import (
    Solution,
    ask,
    caption_solutions,
    judge_group,
    judged_record,
    load_solutions,
    view,
)


def verify(
    solutions: Sequence[Solution],
    engine: StoredEngine,
    judging: StepJudging,
    seed: int,
    *,
    direct: bool = False,
    reply: JudgeReply = VERDICT_ALONE,
) -> list[JudgedRecord]:
    """Return the judged records of all solutions, in order.

    Two waves of requests, the captions and the judgements; `direct` leaves the first one out.
    """
    captions: Sequence[Caption | Failure | None]
    if direct:
        captions = [None] * len(solutions)
    else:
        captions = caption_solutions(solutions, engine, judging, seed)
    pairs = list(zip(solutions, captions, strict=True))
    shown = view(judging, reply)
    groups = [judge_group(solution, caption, shown, seed) for solution, caption in pairs]
    return [
        judged_record(solution, caption, results, reply)
        for (solution, caption), results in zip(pairs, ask(engine, groups, "judge"), strict=True)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "step_verifier")
    parser.add_argument("--benchmark", type=Path, required=True, help="JSONL file to judge")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    parser.add_argument("--direct", action="store_true", help="judge without a caption")
    parser.add_argument("--gate", action="store_true", help="gate the steps, see above")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="judge the first N records; default: all"
    )
    add_options(parser, StepJudging)
    add_options(parser, StepGate)
    add_options(parser, JudgeReply)
    add_engine_options(parser)
    arguments = parser.parse_args(argv)
    if arguments.direct and arguments.gate:
        raise UserError("--gate: audits against the caption, which --direct leaves out")
    judging, gate = read_options(arguments, StepJudging), read_options(arguments, StepGate)
    reply = read_options(arguments, JudgeReply)

    records = read_step_records(arguments.benchmark, arguments.limit)
    solutions = load_solutions(records, arguments.images)
    with open_engine(arguments) as engine:
        seed, direct = arguments.seed, arguments.direct
        judged = verify(solutions, engine, judging, seed, direct=direct, reply=reply)
        if arguments.gate:
            judged = gate_records(judged, solutions, engine, gate, seed)
    allowed, details = arguments.max_failures, engine.details
    failures = [[] if record.is_judged else record.failures for record in judged]
    status = check_failures(failures, allowed, "solutions", details)
    if status == 0 and arguments.gate:
        captioned = [record for record in judged if record.structured_vision is not None]
        failures = [r.failures if r.local_p_score is None else [] for r in captioned]
        status = check_failures(failures, allowed, "gates", details)
    if status == 0:
        write_rows(arguments.output, (record.to_row() for record in judged))
    return status


if __name__ == "__main__":
    cli.run_and_exit(main)
