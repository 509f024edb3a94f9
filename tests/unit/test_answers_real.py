"""The judgement over every shipped benchmark record, where the files are present."""

import os
from collections import Counter
from pathlib import Path

import orjson
import pytest

from evpv_prm.answers import broken_reason, ground_truth, is_correct, parse_options

ROOT = Path(os.environ.get("EVPV_REAL_DATA", Path(__file__).parents[2] / "../shared/data"))
FILES = [ROOT / "benchmarks" / name for name in ("benchmarks.jsonl", "mmmu.jsonl")]
pytestmark = pytest.mark.skipif(
    not all(file.is_file() for file in FILES),
    reason=f"benchmark files not found under {ROOT}; set EVPV_REAL_DATA",
)


@pytest.fixture(scope="module")
def records():
    return [
        (f"{file.name}:{number}", orjson.loads(line))
        for file in FILES
        for number, line in enumerate(file.read_bytes().splitlines(), start=1)
    ]


def judged(records):
    for place, record in records:
        yield place, record, ground_truth(record["question"], record["answer"], None)


def test_the_truth_equals_itself_and_itself_boxed(records):
    wrong = [
        place
        for place, record, truth in judged(records)
        if not is_correct(truth, record["answer"])
        or not is_correct(truth, f"\\boxed{{{record['answer']}}}")
    ]
    assert wrong == []


def test_the_right_letter_and_no_other(records):
    wrong = []
    for place, _, truth in judged(records):
        if len(truth.letters) != 1:
            continue
        for letter in dict(truth.options) or "ABCDE":
            if is_correct(truth, letter) != (letter in truth.letters):
                wrong.append((place, letter))
    assert wrong == []


def test_the_right_option_text_and_no_other_but_in_broken_records(records):
    wrong, compared = [], 0
    for place, record, truth in judged(records):
        if broken_reason(record["question"], record["answer"], None):
            continue
        for letter, text in parse_options(record["question"]).items():
            if text and len(truth.letters) == 1:
                compared += 1
                if is_correct(truth, text) != (letter in truth.letters):
                    wrong.append((place, letter, text))
    assert wrong == []
    assert compared > 25_000


def test_every_multiple_choice_question_is_recognised(records):
    count = Counter(record["datasource"] for _, record, truth in judged(records) if truth.letters)
    assert count["MathVista"] == 540
    assert count["WeMath"] == 1740
    assert count["LogicVista"] == 446


def test_broken_records_are_few_and_named(records):
    """Regression: mojibake degrees and a form feed for a backslash f made answers unmatchable."""
    broken = {
        place: reason
        for place, record in records
        if (reason := broken_reason(record["question"], record["answer"], None))
    }
    assert sum("mojibake" in reason for reason in broken.values()) == 10
    assert sum("control character" in reason for reason in broken.values()) == 1
    assert len(broken) < 60
