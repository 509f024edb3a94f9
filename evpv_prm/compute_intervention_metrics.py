"""Compute what a perception intervention changed: accuracy and step scores under each condition.

Reads the files of `evpv_prm.perception_intervention` (of one policy), judges the final answers and
writes one JSON document: fractions in [0, 1] and their paired differences to condition 1, with 95 %
intervals from a bootstrap over questions clustered by image.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from math import nan
from pathlib import Path
from statistics import fmean

from evpv_prm import cli, reports
from evpv_prm.answers import GroundTruth, ground_truth, is_correct
from evpv_prm.data.conditions import CONDITIONS
from evpv_prm.data.intervention_records import (
    EXPERIMENTS,
    AnsweredQuestion,
    Outcome,
    StepEvaluation,
)
from evpv_prm.errors import InputError
from evpv_prm.jsonl import read_shards
from evpv_prm.metrics.intervention_file import MeasureName
from evpv_prm.metrics.intervention_summary import Observation, Observations, summarise
from evpv_prm.metrics.intervention_tables import intervention_tables
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.progress import track
from evpv_prm.records import FailedCandidate, failure_reason
from evpv_prm.reward import correctness_rate

_NEVER_ASKED = ("question:", "describe:", "noise:")


def read_judged(paths: Iterable[Path]) -> Iterator[AnsweredQuestion]:
    """Yield the questions of judged files, in order.

    Raises:
        InputError: a file cannot be read, a field is missing or wrong, an answer was not judged, a
            `pid` appears twice, or there are no records at all.
    """
    for path, line, question in read_shards(paths, AnsweredQuestion):
        if question.datasource == OVERALL:
            reason = f"{OVERALL!r} is the name of all datasources pooled"
            raise InputError(path, line, "datasource", expected=reason)
        for name, solution in question.solutions().items():
            if solution.prm_eval is None:
                field = f"{EXPERIMENTS}.{name}.prm_eval"
                raise InputError(path, line, field, expected="expected the output of --stage judge")
        yield question


def observe(question: AnsweredQuestion) -> Observations:
    """Judge the answers to a question and sum up the scores of their steps."""
    truth = ground_truth(question.question, question.answer, question.choices)
    outcomes = question.perception_intervention_exps
    return Observations(
        "\n".join((question.datasource, *question.images)),
        {name: _observation(truth, outcomes[name]) for name in CONDITIONS},
    )


def _observation(truth: GroundTruth, outcome: Outcome) -> Observation:
    unknown: dict[MeasureName, float] = {
        "accuracy": nan,
        "step_score": nan,
        "step_probability": nan,
    }
    if isinstance(outcome, FailedCandidate):
        # An answer that could not be made is wrong; one that was never asked for is neither.
        accuracy = nan if outcome.error.startswith(_NEVER_ASKED) else 0.0
        return Observation(unknown | {"accuracy": accuracy}, False, 0, [outcome.error])
    judged = outcome.prm_eval
    assert judged is not None
    values = unknown | {"accuracy": float(is_correct(truth, outcome.final))}
    return Observation(
        values | _scores(judged),
        True,
        len(judged.steps),
        [failure_reason(failure) for failure in judged.failures],
    )


def _scores(judged: StepEvaluation) -> dict[MeasureName, float]:
    """Return the share of steps judged right and the mean p, where they are known of all steps."""
    scores: dict[MeasureName, float] = {}
    verdicts = [score for score in judged.step_scores if score is not None]
    probabilities = [p for p in judged.step_probabilities if p is not None]
    if judged.steps and len(verdicts) == len(judged.steps):
        scores["step_score"] = correctness_rate(verdicts)
        if len(probabilities) == len(judged.steps):
            scores["step_probability"] = fmean(probabilities)
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    questions: dict[str, list[Observations]] = {}
    judged = list(read_judged(arguments.judged))
    for question in track(judged, f"{arguments.output}: judging", "questions", len(judged)):
        questions.setdefault(question.datasource, []).append(observe(question))
    metrics = summarise(questions, samples=arguments.bootstrap_samples, seed=arguments.seed)
    reports.write_metrics(arguments, metrics, intervention_tables({"": metrics}))
    print(f"{len(judged)} questions under {len(CONDITIONS)} conditions: {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__, "compute_intervention_metrics")
    parser.add_argument(
        "--judged", nargs="+", type=Path, required=True, metavar="I.jsonl",
        help="judged files of one policy; a pid may appear once",
    )  # fmt: skip
    reports.add_metrics_output(parser)
    cli.add_bootstrap(parser)
    return parser


if __name__ == "__main__":
    cli.run_and_exit(main)
