"""Benchmark files become questions with a unique pid each."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.data.questions import assign_pids, content_digest, read_questions, scan_questions
from evpv_prm.errors import InputError, UserError


def row(**fields: Any) -> dict[str, Any]:
    base = {"question": "How long?", "answer": "5", "image": "a.png", "datasource": "World"}
    return {**base, **fields}


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    texts = [line if isinstance(line, str) else orjson.dumps(line).decode() for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


def test_the_digest_is_the_hash_of_a_json_array():
    content = '["a.png","Wie groß?","5°"]'.encode()
    expected = hashlib.sha256(content).hexdigest()[:12]
    question = row(question="Wie groß?", answer="5°")
    assert content_digest(question) == expected
    assert assign_pids([question]) == [f"World-{expected}"]


def test_own_pid_then_own_id_then_content():
    rows = [row(pid="p", id="i"), row(id="i"), row(pid=None, id=7), row()]
    assert assign_pids(rows) == ["p", "i", "7", f"World-{content_digest(row())}"]


def test_exact_duplicates_are_numbered_in_file_order():
    base = f"World-{content_digest(row())}"
    rows = [row(), row(answer="6"), row(), row()]
    pids = assign_pids(rows)
    assert [pids[0], pids[2], pids[3]] == [base, f"{base}-2", f"{base}-3"]


def test_a_name_that_a_later_row_calls_its_own_is_passed_over():
    base = f"World-{content_digest(row())}"
    pids = assign_pids([row(), row(), row(pid=f"{base}-2")])
    assert pids == [base, f"{base}-3", f"{base}-2"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (row(image="a.png"), row(image=["a.png"])),
        (row(image=["a", "b"]), row(image=["a,b"])),
        (row(image='["a","b"]'), row(image=["a", "b"])),
        (row(image="['a', 'b']"), row(image=["a", "b"])),
        (row(question="ab", answer="c"), row(question="a", answer="bc")),
        (row(image="a", question='b","c'), row(image='a","b', question="c")),
    ],
)
def test_different_contents_do_not_share_a_digest(one, other):
    assert content_digest(one) != content_digest(other)


texts = st.sampled_from(["a", "b", "a-2", "World"])
rows_strategy = st.lists(
    st.builds(
        row,
        question=texts,
        answer=texts,
        image=texts | st.lists(texts, min_size=1, max_size=2),
        datasource=texts,
    )
)


@given(rows_strategy)
def test_derived_pids_are_unique_and_every_row_has_one(rows):
    pids = assign_pids(rows)
    assert len(pids) == len(set(pids)) == len(rows)


@given(rows_strategy, st.data())
def test_derived_and_own_pids_never_meet(rows, data):
    """Own pids that look like derived ones, suffix and all, are still nobody else's."""
    derived = assign_pids(rows)
    names = st.sampled_from([*derived, *(f"{pid}-2" for pid in derived), "own"])
    own = data.draw(st.lists(names, unique=True))
    mixed = data.draw(st.permutations([*rows, *(row(pid=pid) for pid in own)]))
    pids = assign_pids(mixed)
    assert len(set(pids)) == len(mixed)
    assert [pid for pid, one in zip(pids, mixed, strict=True) if "pid" in one] == [
        one["pid"] for one in mixed if "pid" in one
    ]


@given(rows_strategy)
def test_a_pid_depends_on_content_and_earlier_copies_alone(rows):
    """Rows added at the end of a file change no pid before them."""
    assert assign_pids([*rows, row(), *rows])[: len(rows)] == assign_pids(rows)


def test_questions_that_share_an_image_are_all_kept(tmp_path):
    """Regression: the image was the identity, and further questions on it were lost."""
    path = write(tmp_path / "q.jsonl", row(), row(question="How wide?"), row(answer="6"))
    questions = read_questions(path)
    assert len({question.pid for question in questions}) == len(questions) == 3


def test_fields_of_the_file_survive(tmp_path):
    path = write(tmp_path / "q.jsonl", row(id="x", ID="3stpes_1", image=["a.png", "b.png"]))
    (question,) = read_questions(path)
    assert question.images == ("a.png", "b.png")
    assert question.to_row() == row(id="x", pid="x", ID="3stpes_1", image=["a.png", "b.png"])


def test_pids_do_not_depend_on_the_selection(tmp_path):
    rows = [row(), row(datasource="Other"), row(), row(datasource="Other", answer="7"), row()]
    path = write(tmp_path / "q.jsonl", *rows)
    pids = [question.pid for question in read_questions(path)]
    assert [q.pid for q in read_questions(path, "World")] == [pids[0], pids[2], pids[4]]
    assert [q.pid for q in read_questions(path, "Other", 1)] == [pids[1]]
    assert [q.pid for q in read_questions(path, limit=3)] == pids[:3]
    assert [q.pid for q in read_questions(path, "World", 99)] == [pids[0], pids[2], pids[4]]


def test_reading_a_prepared_file_again_keeps_its_pids(tmp_path):
    path = write(tmp_path / "q.jsonl", row(), row(), row(image=["a.png"]))
    questions = read_questions(path)
    again = write(tmp_path / "again.jsonl", *(question.to_row() for question in questions))
    assert read_questions(again) == questions


def test_an_unknown_datasource_names_those_of_the_file(tmp_path):
    path = write(tmp_path / "q.jsonl", row(), row(datasource="Other"), row(datasource="Other"))
    with pytest.raises(UserError, match=r"no question of .*'Wrold'.* World \(1\), Other \(2\)"):
        read_questions(path, "Wrold")


def test_a_limit_below_one_is_refused(tmp_path):
    with pytest.raises(UserError, match="limit: expected at least 1"):
        read_questions(write(tmp_path / "q.jsonl", row()), limit=0)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in row().items() if key != name}


@pytest.mark.parametrize(
    ("bad", "field", "message"),
    [
        ("{", None, "not valid JSON"),
        ("[1]", None, "expected a JSON object, found list"),
        (without("question"), "question", "expected a text, found no such field"),
        (without("image"), "image", "found no such field"),
        (row(question=" \n"), "question", "found a blank text"),
        (row(answer=""), "answer", "found a blank text"),
        (row(answer=5), "answer", "expected a text, found 5"),
        (row(datasource=None), "datasource", "found null"),
        (row(image=[]), "image", "expected a path or a list of paths, found []"),
        (row(image=["a.png", " "]), "image", 'found ["a.png"," "]'),
        (row(image=None), "image", "found null"),
        (row(pid=""), "pid", "expected a text or a whole number, found a blank text"),
        (row(id=True), "id", "found true"),
        (row(choices="A"), "choices", "list"),
    ],
)
def test_a_bad_line_is_named(tmp_path, bad, field, message):
    path = write(tmp_path / "q.jsonl", row(), "", bad)
    with pytest.raises(InputError) as caught:
        read_questions(path)
    where = f"{path}:3: {field}: " if field else f"{path}:3: "
    assert str(caught.value).startswith(where)
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.field) == (3, field)


@pytest.mark.parametrize(("first", "second"), [({"id": "x"}, {"pid": "x"}), ({"id": 1},) * 2])
def test_a_repeated_pid_names_both_lines(tmp_path, first, second):
    path = write(tmp_path / "q.jsonl", row(**first), row(), row(**second))
    with pytest.raises(InputError, match=rf"q.jsonl:3: {next(iter(second))}: .* on line 1;"):
        read_questions(path)


def test_a_scan_collects_every_problem_in_order(tmp_path):
    path = write(
        tmp_path / "q.jsonl", row(id="x"), row(id="x"), "{", row(), row(answer=""), row(choices=1)
    )
    file = scan_questions(path)
    assert [line for line, _ in file.questions] == [1, 4]
    assert [problem.line for problem in file.problems] == [2, 3, 5, 6]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_an_error(tmp_path, content):
    path = tmp_path / "q.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match="expected at least one question"):
        read_questions(path)


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(InputError, match="cannot be read"):
            read_questions(path)


def test_many_copies_of_one_row_are_numbered(tmp_path):
    pids = assign_pids([row()] * 3_000)
    assert len(set(pids)) == 3_000
    assert Counter(pid.rpartition("-")[2] for pid in pids)["3000"] == 1
