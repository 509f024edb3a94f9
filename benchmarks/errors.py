"""Which errors the demo's policy makes, and which of them its verifier finds.

    python -m benchmarks.errors [results/demo]

Reads a finished run of the demo. Prints the share of the policy's wrong answers that rest on a
visual fact which the picture contradicts; the wrong steps of labelled solutions that the verifier
calls wrong: those that state a fact, and those that conclude; and how many of the audits whose own
checks reject a fact then list an error, which is what the gate goes by.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.answers import ground_truth, is_correct
from evpv_prm.data.picture_facts import read_known_questions
from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.jsonl import read_shards
from evpv_prm.records import Candidate, CandidateRecord
from evpv_prm.tabulate_claims import misreads


def read_scored(results: Path) -> list[CandidateRecord]:
    """Return the scored questions of a run."""
    files = sorted(results.glob("scored/*/*/*.jsonl"))
    return [record for _, _, record in read_shards(files, CandidateRecord)]


def wrong_answers(results: Path, scored: Sequence[CandidateRecord]) -> list[bool]:
    """Say of each wrong answer of the policy whether it misreads a picture."""
    facts = results / "world/facts.jsonl"
    known = {question.images: question for question in read_known_questions(facts)}
    misread = []
    for record in scored:
        question = known[record.images]
        truth = ground_truth(question.question, question.answer, None)
        misread += [
            misreads(candidate, question.facts)
            for candidate in record.candidates
            if isinstance(candidate, Candidate) and not is_correct(truth, candidate.finalanswer)
        ]
    return misread


def wrong_steps(results: Path) -> Counter[tuple[bool, bool]]:
    """Count wrong steps by whether they state a visual fact and whether they are called wrong."""
    files = sorted(results.glob("step_level/caption/*.jsonl"))
    return Counter(
        (index in (record.visual_step_indices or ()), verdict == -1)
        for _, _, record in read_shards(files, JudgedRecord)
        for index, (label, verdict) in enumerate(
            zip(record.response.process_correctness, record.step_predict, strict=True)
        )
        if label == -1
    )


def rejecting_audits(scored: Sequence[CandidateRecord]) -> list[bool]:
    """Say of each audit whose checks reject a fact whether it lists an error."""
    audits = [
        candidate.eval.visual_checklist_evaluation
        for record in scored
        for candidate in record.candidates
        if isinstance(candidate, Candidate) and candidate.eval
    ]
    return [
        bool(audit["errors_and_hallucinations"])
        for audit in audits
        if audit and not all(check["holds"] for check in audit.get("checks", []))
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=Path("results/demo"),
        help="folder of the run (default: %(default)s)",
    )
    results = parser.parse_args().results
    scored = read_scored(results)
    misread = wrong_answers(results, scored)
    print(f"{sum(misread)} of {len(misread)} wrong answers rest on a misread fact")
    steps = wrong_steps(results)
    for states_fact, name in ((True, "state a fact"), (False, "conclude")):
        found, missed = steps[states_fact, True], steps[states_fact, False]
        print(f"{found} of {found + missed} wrong steps that {name} are called wrong")
    listed = rejecting_audits(scored)
    print(f"{sum(listed)} of {len(listed)} audits that reject a fact list an error")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
