"""One command checks all inputs of a run and reports everything at once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image as Pillow

from evpv_prm.cli import run
from evpv_prm.data.contexts import INSTRUCTION_TOKENS, text_tokens
from evpv_prm.prompts.policy import POLICY
from evpv_prm.prompts.verifier import DESCRIBE
from evpv_prm.validate_inputs import main
from tests.stages import labelled


def question(number: int, **fields: Any) -> dict[str, Any]:
    base = {
        "id": f"q{number}",
        "question": f"What is {number}?",
        "answer": "5",
        "image": f"{number}.png",
        "datasource": "World",
    }
    return {**base, **fields}


class Inputs:
    """A folder of benchmark files and pictures, and the command that checks it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = folder / "images"
        self.images.mkdir()
        self.report = folder / "out" / "report.json"

    def write(self, name: str, *lines: dict[str, Any] | str) -> Path:
        path = self.folder / name
        texts = [line if isinstance(line, str) else orjson.dumps(line).decode() for line in lines]
        path.write_text("".join(f"{line}\n" for line in texts))
        return path

    def draw(self, *names: str) -> None:
        for name in names:
            Pillow.new("RGB", (20, 10), "white").save(self.images / name)

    def check(self, *benchmarks: list[str], options: tuple[str, ...] = ()) -> int:
        flags = [word for words in benchmarks for word in ("--benchmark", *words)]
        command = [*flags, "--report", str(self.report), "--workers", "1", *options]
        return run(lambda: main(command))

    def benchmark(self, path: Path, name: str = "World", *more: str) -> list[str]:
        return [f"name={name}", f"questions={path}", f"images={self.images}", *more]

    def findings(self) -> list[tuple[str, int | None, str | None]]:
        report = orjson.loads(self.report.read_bytes())
        return [(f["kind"], f["line"], f["pid"]) for f in report["findings"]]


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path)


def test_sound_inputs_pass(inputs, capsys):
    inputs.draw("1.png", "2.png")
    path = inputs.write("q.jsonl", question(1), question(2, image=["1.png", "2.png"]))
    markdown = inputs.folder / "report.md"
    assert inputs.check(inputs.benchmark(path), options=("--markdown", str(markdown))) == 0
    printed = capsys.readouterr().out
    assert "Nothing to report." in printed
    assert markdown.read_text().strip() == printed.strip()
    report = orjson.loads(inputs.report.read_bytes())
    assert report["findings"] == []
    assert set(report["counts"].values()) == {0}
    world = report["benchmarks"]["World"]
    assert (world["questions"], world["images"], world["questions_without_image"]) == (2, 2, 0)


def test_everything_is_reported_at_once(inputs, capsys):
    inputs.draw("1.png")
    (inputs.images / "2.png").mkdir()
    (inputs.images / "3.png").write_bytes((inputs.images / "1.png").read_bytes()[:40])
    Pillow.new("1", (20_000, 10)).save(inputs.images / "4.png")
    path = inputs.write(
        "q.jsonl",
        question(1),
        question(2),
        question(3),
        question(4),
        question(5),
        "{broken",
        question(6, image="../6.png"),
        question(7, image="1.png", answer="35掳"),
        question(8, image="1.png", question="What is 1?"),
        question(9, image="1.png", question="<image1> or <image2>"),
        question(10, answer=""),
        question(9, image="1.png"),
    )
    assert inputs.check(inputs.benchmark(path)) == 2
    assert inputs.findings() == [
        ("malformed_line", 6, None),
        ("invalid_field", 11, None),
        ("invalid_field", 12, None),
        ("unreadable_image", 2, "q2"),
        ("unreadable_image", 3, "q3"),
        ("image_too_large", 4, "q4"),
        ("missing_image", 5, "q5"),
        ("image_outside_root", 7, "q6"),
        ("broken_answer", 8, "q7"),
        ("duplicate", 9, "q8"),
        ("extra_marker", 10, "q9"),
    ]
    output = capsys.readouterr()
    for error in (
        "line 6: not valid JSON",
        "line 7: q6: ../6.png is",
        "line 11: answer",
        "line 12",
    ):
        assert error in output.out
    assert output.err.splitlines()[-1] == (
        "error: the inputs have errors, listed above: "
        "1 × malformed_line, 2 × invalid_field, 1 × image_outside_root"
    )


def test_missing_images_stop_a_run_unless_allowed(inputs, capsys):
    inputs.draw("1.png", "2.png")
    path = inputs.write(
        "q.jsonl", question(1), question(2), question(3, image=["3.png", "4.png"]), question(4)
    )
    assert inputs.check(inputs.benchmark(path)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"World 2 of 4 (in {inputs.images})" in error
    assert "--max-missing-images 0.5 " in error
    assert inputs.check(inputs.benchmark(path), options=("--max-missing-images", "0.49")) == 2
    assert inputs.check(inputs.benchmark(path), options=("--max-missing-images", "0.5")) == 0
    report = orjson.loads(inputs.report.read_bytes())
    assert report["counts"]["missing_image"] == 3
    assert report["benchmarks"]["World"]["questions_without_image"] == 2


def test_the_summary_shows_all_errors_and_some_examples_of_the_rest(inputs, capsys):
    missing = [question(number) for number in range(1, 6)]
    path = inputs.write("q.jsonl", *missing, *["{"] * 5)
    assert inputs.check(inputs.benchmark(path)) == 2
    printed = capsys.readouterr().out
    assert [f"line {line}: " in printed for line in range(1, 11)] == [True] * 3 + [False] * 2 + [
        True
    ] * 5
    assert f"- World: 5 in {path}" in printed
    assert "… and 2 more" in printed
    assert len(inputs.findings()) == 10


def test_an_image_that_a_question_shows_twice_is_one_finding(inputs):
    path = inputs.write("q.jsonl", question(1, image=["1.png", "1.png"]))
    assert inputs.check(inputs.benchmark(path)) == 2
    assert inputs.findings() == [("missing_image", 1, "q1")]


def test_the_share_of_missing_images_is_each_benchmarks_own(inputs, capsys):
    inputs.draw("1.png", "2.png", "3.png")
    rows = [question(n) for n in (1, 2, 3)] + [question(4, datasource="Small")]
    path = inputs.write("q.jsonl", *rows)
    words = [inputs.benchmark(path, name, f"datasource={name}") for name in ("World", "Small")]
    assert inputs.check(*words, options=("--max-missing-images", "0.3")) == 2
    assert "image: Small 1 of 1 (" in capsys.readouterr().err


def test_a_benchmark_is_what_the_run_takes_of_it(inputs):
    inputs.draw("1.png")
    other = question(2, datasource="Other")
    path = inputs.write("q.jsonl", question(1), other, question(3), "{")
    words = inputs.benchmark(path, "First", "datasource=World", "limit=1")
    assert inputs.check(words) == 2  # a malformed line is the whole file's
    assert inputs.findings() == [("malformed_line", 4, None)]


def test_a_file_shared_by_benchmarks_is_reported_once(inputs):
    inputs.draw("1.png", "2.png")
    path = inputs.write("q.jsonl", question(1), question(2, datasource="Other"), "[]")
    words = [inputs.benchmark(path, name, f"datasource={name}") for name in ("World", "Other")]
    assert inputs.check(*words) == 2
    assert inputs.findings() == [("malformed_line", 3, None)]


def test_a_question_repeats_another_of_its_benchmark_alone(inputs):
    inputs.draw("1.png")
    same = {"question": "Why?", "image": "1.png"}
    path = inputs.write(
        "q.jsonl", question(1, **same), question(2, **same, datasource="Other"), question(3, **same)
    )
    words = [inputs.benchmark(path, name, f"datasource={name}") for name in ("World", "Other")]
    assert inputs.check(*words) == 0
    assert inputs.findings() == [("duplicate", 3, "q3")]


def test_files_that_are_not_there_are_all_named(inputs, capsys):
    inputs.draw("1.png")
    path = inputs.write("q.jsonl", question(1))
    gone = inputs.folder / "gone.jsonl"
    nowhere = inputs.folder / "nowhere"
    assert (
        inputs.check(
            inputs.benchmark(gone, "Gone"),
            inputs.benchmark(inputs.write("empty.jsonl"), "Empty"),
            inputs.benchmark(path, "Typo", "datasource=Wrold"),
            ["name=Nowhere", f"questions={path}", f"images={nowhere}"],
        )
        == 2
    )
    kinds = [kind for kind, _, _ in inputs.findings()]
    assert kinds == [*["unreadable_file"] * 2, "unknown_datasource", "unreadable_file"]
    printed = capsys.readouterr().out
    for part in (str(gone), str(nowhere), "'Wrold'; the file has World (1)"):
        assert part in printed


def test_the_report_replaces_an_older_one_whole(inputs):
    inputs.draw("1.png")
    path = inputs.write("q.jsonl", question(1))
    assert inputs.check(inputs.benchmark(path)) == 0
    first = inputs.report.read_bytes()
    shutil.rmtree(inputs.report.parent)
    assert inputs.check(inputs.benchmark(path)) == 0
    assert inputs.report.read_bytes() == first
    assert [entry.name for entry in inputs.report.parent.iterdir()] == ["report.json"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["name=A", "questions=q"], "expected images=…"),
        (["name=A", "questions=q", "images=i", "limit=0"], "limit=0: expected a whole number"),
        (["name=A", "questions=q", "images=i", "limit=1.5"], "limit=1.5: expected"),
        (["name=A", "name=B"], "'name=B': expected each once of name=…, questions=…"),
        (["name=A", "image=i"], "'image=i': expected each once"),
        (["A"], "'A': expected each once"),
        (["name=A", "solutions=v"], "expected images=…"),
        (
            ["name=A", "solutions=v", "images=i", "datasource=D"],
            "datasource=… does not go with solutions=…",
        ),
        (
            ["name=A", "solutions=v", "images=i", "questions=q"],
            "questions=… does not go with solutions=…",
        ),
    ],
)
def test_a_wrong_flag_is_one_clear_line(inputs, capsys, words, message):
    assert inputs.check(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --benchmark")
    assert message in line
    assert not inputs.report.exists()


def test_labelled_solutions_are_checked_like_questions(inputs, capsys):
    inputs.draw("a.png")
    path = inputs.write(
        "v.jsonl",
        labelled("s"),
        labelled("s", pid="lost", image=["images/a.png", "images/no.png"]),
        labelled("s", response={"steps": ["s"], "process_correctness": []}),
        labelled("s", pid="out", image="../a.png"),
        labelled("s", pid="marker", question="<image 3>?"),
        "{",
        labelled("s", image="images/beyond_the_limit.png"),
    )
    words = ["name=V", f"solutions={path}", f"images={inputs.images}", "limit=4"]
    assert inputs.check(words) == 2
    assert inputs.findings() == [
        ("invalid_field", 3, None),
        ("malformed_line", 6, None),
        ("missing_image", 2, "lost"),
        ("image_outside_root", 4, "out"),
        ("extra_marker", 5, "marker"),
    ]
    report = orjson.loads(inputs.report.read_bytes())["benchmarks"]["V"]
    assert (report["questions"], report["questions_without_image"]) == (4, 2)


def test_the_same_solution_twice_is_no_finding(inputs):
    """Policies answer the same questions, and may answer them alike."""
    inputs.draw("a.png")
    path = inputs.write("v.jsonl", labelled("s"), labelled("s", policy_model="Other"))
    assert inputs.check(["name=V", f"solutions={path}", f"images={inputs.images}"]) == 0
    assert inputs.findings() == []


def model(name: str, checkpoint: str, *more: str) -> list[str]:
    limits = ["max_model_len=32768", "max_images=7", "reply=4096", *more]
    return ["--model", f"name={name}", f"checkpoint={checkpoint}", *limits]


def test_what_a_context_may_not_hold_is_counted_for_each_model(inputs, capsys):
    Pillow.new("1", (1200, 900)).save(inputs.images / "large.png")
    inputs.draw("1.png")
    rows = [question(n, image=["large.png"] * n) for n in (1, 7, 8)]
    long = question(9, image=["large.png"] * 7, question="why? " * 4000)
    path = inputs.write("q.jsonl", *rows, long, question(10, image=["large.png", "gone.png"]))
    judged = inputs.write("v.jsonl", labelled("s", image=["large.png"] * 8))
    small = [
        "max_model_len=20480",
        "max_images=8",
        "reply=2048",
        'processor={"max_pixels": 802816}',
    ]
    verifier = ["--model", "name=V", "checkpoint=Qwen/Qwen2.5-VL-7B-Instruct", *small]
    options = (
        *model("P", "data/models/InternVL2_5-8B", "role=policy"),
        *model("U", "owner/unheard-of", "role=policy"),
        *(*verifier, "role=verifier"),
        "--max-missing-images=0.2",
    )
    labels = ["name=L", f"solutions={judged}", f"images={inputs.images}"]
    assert inputs.check(inputs.benchmark(path), labels, options=options) == 0
    report = orjson.loads(inputs.report.read_bytes())
    assert report["benchmarks"]["World"]["beyond_context"] == {"P": 2, "V": 0}
    assert report["benchmarks"]["L"]["beyond_context"] == {"V": 0}
    assert {name: each["counted"] for name, each in report["models"].items()} == {
        "P": True, "U": False, "V": True,
    }  # fmt: skip
    found = {f["pid"]: f["detail"] for f in report["findings"] if f["kind"] == "beyond_context"}
    assert found["q8"] == "P: 8 images, at most 7"
    assert found["q9"].startswith("P: 23,310 tokens of pictures, about 6,")
    assert found.keys() == {"q8", "q9"}
    printed = capsys.readouterr().out
    assert "not counted: owner/unheard-of is of an unknown kind" in printed


def test_instructions_take_no_more_than_is_counted():
    for instructions in (POLICY, DESCRIBE):
        assert text_tokens(instructions) <= INSTRUCTION_TOKENS
    assert text_tokens("图中是什么") == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "name=P", "context=1"], "--model: 'context=1': expected each once of name=…"),
        (model("P", "c", "role=judge"), "--model: role=…: Input should be 'policy' or 'verifier'"),
        (model("P", "c"), "--model: role=…: "),
        (model("P", "c", "role=policy", "processor={"), "processor={: expected a JSON object"),
    ],
)
def test_a_wrong_model_is_one_clear_line(inputs, capsys, words, message):
    path = inputs.write("q.jsonl", question(1))
    assert inputs.check(inputs.benchmark(path), options=tuple(words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not inputs.report.exists()


def test_names_are_unique_and_the_share_is_a_fraction(inputs, capsys):
    path = inputs.write("q.jsonl", question(1))
    assert inputs.check(inputs.benchmark(path), inputs.benchmark(path)) == 2
    assert "name=World is given twice" in capsys.readouterr().err
    assert inputs.check(inputs.benchmark(path), options=("--max-missing-images", "50")) == 2
    assert "expected a fraction from 0 to 1" in capsys.readouterr().err
