"""Put the method's claims to the test: which hold, which are not shown, which are contradicted.

Reads the metrics of a run and writes one JSON document with every claim, the paired differences
with 95 % intervals behind it, and a verdict. With --facts, all that the pictures of a synthetic
world show, the gate is also examined where visual errors are common: on questions of which at least
a quarter of the candidates rely on a visual fact that is known to be wrong, whatever they answer.
Claims whose experiment was not run are listed with the reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from evpv_prm import bon_outcomes, cli, reports
from evpv_prm.data.picture_facts import PictureFact, contradicts, read_known_questions
from evpv_prm.data.scored import ScoredQuestion, read_scored
from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_document, read_shards
from evpv_prm.metrics.bon_file import BonMetrics, read_bon_metrics
from evpv_prm.metrics.bon_summary import summarise
from evpv_prm.metrics.claims import Evidence, examine_claims
from evpv_prm.metrics.claims_file import Misreadings
from evpv_prm.metrics.claims_tables import claims_tables
from evpv_prm.metrics.corruption_file import CorruptionMetrics
from evpv_prm.metrics.intervention_file import read_intervention_metrics
from evpv_prm.metrics.stage_file import StageMetrics
from evpv_prm.records import Candidate, CandidateRecord

COMMON = 0.25
"""Visual errors are common where at least this share of the candidates makes one."""

WRONG = -1
"""The judge's score of a step that it calls wrong."""


def misreads(candidate: Candidate, facts: Sequence[PictureFact]) -> bool:
    """Tell whether a candidate relies on a visual fact that is known to be wrong."""
    premises = (step.visualdependency for step in candidate.reasoningprocess)
    return any(contradicts(premise, facts) for premise in premises if premise is not None)


def misread_candidates(record: CandidateRecord, facts: Sequence[PictureFact]) -> list[bool]:
    """Tell of each candidate of a question whether it misreads; one without answer does not."""
    return [isinstance(each, Candidate) and misreads(each, facts) for each in record.candidates]


def errors_are_common(misread: Sequence[bool]) -> bool:
    """Tell whether visual errors are common among the candidates of a question."""
    return any(misread) and sum(misread) >= COMMON * len(misread)


def where_errors_are_common(
    questions: Sequence[ScoredQuestion],
    misread: Mapping[str, Sequence[bool]],
    aggregation: str,
    *,
    samples: int,
    seed: int,
    workers: int,
) -> BonMetrics | None:
    """Measure Best-of-N on those questions; None where there are none."""
    chosen = [question for question in questions if errors_are_common(misread[question.pid])]
    if not chosen:
        return None
    outcomes = bon_outcomes.collect(chosen, [aggregation], workers)
    return summarise(outcomes, [aggregation], samples=samples, seed=seed)


def misreadings(
    questions: Sequence[ScoredQuestion], misread: Mapping[str, Sequence[bool]]
) -> Misreadings:
    """Count the candidates that misread, and those in which the judge calls a step wrong."""
    found = [
        WRONG in candidate.raw_scores
        for question in questions
        for candidate, is_misread in zip(question.candidates, misread[question.pid], strict=True)
        if is_misread
    ]
    return Misreadings(candidates=len(found), found=sum(found))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    arguments = _parser().parse_args(argv)
    best_of_n = read_bon_metrics(reports.named_files("--best-of-n", arguments.best_of_n))
    aggregation = arguments.aggregation
    for policy, metrics in best_of_n.items():
        if aggregation not in metrics.aggregations:
            found = ", ".join(metrics.aggregations)
            raise UserError(f"--aggregation: {aggregation!r}: {policy} has {found}")
    scored = reports.grouped_files("--scored", arguments.scored)
    if arguments.facts and scored.keys() != best_of_n.keys():
        raise UserError("--scored: with --facts, expected the scored files of every policy")
    visual_errors: dict[str, BonMetrics | None] | None = None
    counted: dict[str, Misreadings] = {}
    if arguments.facts:
        visual_errors = {}
        facts = {known.images: known.facts for known in read_known_questions(arguments.facts)}
        for policy in best_of_n:
            misread = {
                record.pid: misread_candidates(record, facts.get(record.images, ()))
                for _, _, record in read_shards(scored[policy], CandidateRecord)
            }
            questions = list(read_scored(scored[policy]))
            counted[policy] = misreadings(questions, misread)
            visual_errors[policy] = where_errors_are_common(
                questions,
                misread,
                aggregation,
                samples=arguments.bootstrap_samples,
                seed=arguments.seed,
                workers=arguments.workers,
            )
    corruption, stages = arguments.corruption, arguments.stages
    evidence = Evidence(
        best_of_n=best_of_n,
        visual_errors=visual_errors,
        misreadings=counted,
        corruption=read_document(corruption, CorruptionMetrics) if corruption else None,
        interventions=read_intervention_metrics(
            reports.named_files("--intervention", arguments.intervention)
        ),
        stages=read_document(stages, StageMetrics) if stages else None,
    )
    report = examine_claims(evidence, aggregation)
    reports.write_metrics(arguments, report, claims_tables({"": report}))
    holding = sum(claim.verdict == "holds" for claim in report.claims)
    print(
        f"{holding} of {len(report.claims)} claims hold, {len(report.not_run)} not run: "
        f"{arguments.output}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "tabulate_claims")
    parser.add_argument(
        "--best-of-n", nargs="+", required=True, metavar="NAME=M.json", help="metrics by policy"
    )
    parser.add_argument("--aggregation", required=True, metavar="NAME", help="scores that choose")
    parser.add_argument(
        "--scored", nargs="*", default=[], metavar="NAME=S.jsonl",
        help="scored files and their policies, for --facts",
    )  # fmt: skip
    parser.add_argument(
        "--facts", type=Path, metavar="F.jsonl", help="questions with all that their pictures show"
    )
    parser.add_argument(
        "--corruption", type=Path, metavar="M.json", help="metrics with corrupted captions"
    )
    parser.add_argument(
        "--intervention", nargs="*", default=[], metavar="NAME=M.json",
        help="metrics of the perception intervention by policy",
    )  # fmt: skip
    parser.add_argument(
        "--stages", type=Path, metavar="M.json", help="metrics of compute_stage_gains"
    )
    reports.add_metrics_output(parser)
    cli.add_bootstrap(parser)
    bon_outcomes.add_workers(parser)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
