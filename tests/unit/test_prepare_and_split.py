"""Questions are selected with their pids and divided into shards."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm import prepare_questions, split_questions, split_solutions
from evpv_prm.cli import run
from evpv_prm.data.step_records import StepRecord, read_step_records
from evpv_prm.jsonl import read_records, write_rows
from evpv_prm.records import Question
from evpv_prm.split_questions import split
from tests.stages import labelled


def rows(count: int) -> list[dict[str, str]]:
    return [
        {
            "question": f"Wie groß ist {number}?",
            "answer": str(number),
            "image": "a.png",
            "datasource": "World" if number % 2 else "Other",
        }
        for number in range(count)
    ]


def prepare(*arguments: object) -> int:
    return run(lambda: prepare_questions.main([str(argument) for argument in arguments]))


def divide(questions: object, *outputs: object) -> int:
    words = ["--questions", str(questions), "--outputs", *map(str, outputs)]
    return run(lambda: split_questions.main(words))


@given(st.lists(st.integers()), st.integers(1, 20))
def test_shards_hold_everything_once_in_order(items, shards):
    parts = split(items, shards)
    assert len(parts) == shards
    assert [item for part in parts for item in part] == items
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_preparing_and_splitting_lose_nothing(tmp_path):
    write_rows(tmp_path / "q.jsonl", rows(11))
    out = tmp_path / "prepared.jsonl"
    assert prepare("--questions", tmp_path / "q.jsonl", "--output", out) == 0
    shards = [tmp_path / f"{number}.jsonl" for number in range(4)]
    assert divide(out, *shards) == 0
    assert b"".join(shard.read_bytes() for shard in shards) == out.read_bytes()
    assert [len(read_records(shard, Question)) for shard in shards] == [2, 3, 3, 3]
    assert len({question.pid for question in read_records(out, Question)}) == 11


def test_preparing_selects(tmp_path):
    write_rows(tmp_path / "q.jsonl", rows(9))
    out = tmp_path / "prepared.jsonl"
    flags = ("--questions", tmp_path / "q.jsonl", "--datasource", "World", "--limit", 3)
    assert prepare(*flags, "--output", out) == 0
    assert [question.answer for question in read_records(out, Question)] == ["1", "3", "5"]


def test_a_star_takes_all_datasources_and_each_record_keeps_its_own(tmp_path):
    write_rows(tmp_path / "q.jsonl", rows(9))
    out = tmp_path / "prepared.jsonl"
    assert prepare("--questions", tmp_path / "q.jsonl", "--datasource", "*", "--output", out) == 0
    prepared = read_records(out, Question)
    assert [question.datasource for question in prepared] == [r["datasource"] for r in rows(9)]


def test_nothing_is_written_after_an_error(tmp_path, capsys):
    questions = tmp_path / "q.jsonl"
    questions.write_bytes(orjson.dumps(rows(1)[0]) + b"\n{\n")
    assert prepare("--questions", questions, "--output", tmp_path / "out.jsonl") == 2
    assert capsys.readouterr().err.startswith(f"error: {questions}:2: not valid JSON")
    assert list(tmp_path.iterdir()) == [questions]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "c"], "2 questions do not fill 3 shards; expected at most 2 shards"),
        (["a", "a"], "the same file is named twice"),
    ],
)
def test_impossible_shards_are_refused(tmp_path, capsys, names, message):
    questions = tmp_path / "q.jsonl"
    write_rows(questions, [{**row, "pid": row["answer"]} for row in rows(2)])
    assert divide(questions, *(tmp_path / name for name in names)) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [questions]


def test_only_prepared_questions_are_split(tmp_path, capsys):
    write_rows(tmp_path / "q.jsonl", rows(2))
    assert divide(tmp_path / "q.jsonl", tmp_path / "a.jsonl") == 2
    assert "q.jsonl:1: pid: Field required" in capsys.readouterr().err


# Labelled solutions


def divide_solutions(solutions: object, *outputs: object, limit: int | None = None) -> int:
    words = ["--solutions", str(solutions), "--outputs", *map(str, outputs)]
    words += ["--limit", str(limit)] if limit is not None else []
    return run(lambda: split_solutions.main(words))


def test_solutions_get_their_pids_and_are_divided(tmp_path):
    file = tmp_path / "v.jsonl"
    write_rows(file, [labelled("s", question=f"Q{n // 2}?") for n in range(7)])
    shards = [tmp_path / f"{number}.jsonl" for number in range(3)]
    assert divide_solutions(file, *shards, limit=5) == 0
    parts = [read_records(shard, StepRecord) for shard in shards]
    assert [len(part) for part in parts] == [1, 2, 2]
    whole = read_step_records(file)
    assert [record for part in parts for record in part] == whole[:5]
    assert len({record.pid for record in whole}) == 7


@pytest.mark.parametrize(
    ("limit", "message"),
    [(1, "1 solutions do not fill 2 shards"), (0, "limit: expected at least 1 record, found 0")],
)
def test_impossible_shards_of_solutions_are_refused(tmp_path, capsys, limit, message):
    file = tmp_path / "v.jsonl"
    write_rows(file, [labelled("s"), labelled("t")])
    assert divide_solutions(file, tmp_path / "a", tmp_path / "b", limit=limit) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]
