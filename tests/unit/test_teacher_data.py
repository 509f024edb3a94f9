"""The commands that make training data, with a teacher behind real HTTP."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from evpv_prm import (
    build_dpo_data,
    build_step_judge_sft_data,
    build_vision_sft_data,
    merge_vision_descriptions,
    prompts,
)
from evpv_prm.config_judge import JudgeReply
from tests.servers import Action, Answer, Call, ScriptedServer, completion
from tests.stages import EVIDENCE_FLAGS
from tests.teacher import command, judgement, part, picture, rows, say, solution, teach, write_pairs

RED, BLUE = "ff0000", "0000ff"
STEPS = ["The side is 8.", "The area is 8 * 8.", "So it is 64."]


class Chain:
    """The commands one after the other, on one tree and one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "pairs"
        self.pairs: list[str] = []
        self.calls: list[Call] = []
        self.script: Callable[[Call, int], Action] = teach

    def path(self, name: str) -> Path:
        return self.folder / "out" / name

    def rows(self, name: str) -> list[dict[str, Any]]:
        return rows(self.path(name))

    def both(self, name: str) -> list[dict[str, Any]]:
        return self.rows(f"{name}.train.jsonl") + self.rows(f"{name}.validation.jsonl")

    def card(self, name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.path(f"{name}.card.json").read_text())
        return loaded

    def output(self, name: str) -> list[object]:
        return [
            *("--images", self.root),
            *("--train", self.path(f"{name}.train.jsonl")),
            *("--validation", self.path(f"{name}.validation.jsonl")),
            *("--card", self.path(f"{name}.card.json")),
            *("--card-markdown", self.path(f"{name}.card.md")),
        ]

    def ask(self, main: Callable[..., int], *words: object) -> int:
        """Run a command that asks the teacher; keep the calls."""
        with ScriptedServer(self.script) as server:
            address = ["--base-url", server.base_url, "--store", self.folder / "store"]
            engine = ["--backend", "api", "--model", "teacher", *address]
            status = command(main, *words, *engine)
            self.calls = server.calls
        return status

    def describe(self, *words: object) -> int:
        main = build_vision_sft_data.main
        files = ["--pairs", *self.pairs, "--descriptions", self.path("descriptions.jsonl")]
        return self.ask(main, *files, *self.output("vision"), *words)

    def merge(self) -> int:
        return command(
            merge_vision_descriptions.main,
            *("--pairs", *self.pairs),
            *("--descriptions", self.path("descriptions.jsonl")),
            *("--outputs", *(f"{file}.described" for file in self.pairs)),
            *("--report", self.path("report.json")),
        )

    def judge(self, *words: object) -> int:
        main = build_step_judge_sft_data.main
        files = ["--pairs", *(f"{file}.described" for file in self.pairs)]
        return self.ask(
            main, *files, "--labels", self.path("labels.jsonl"), *self.output("judge"), *words
        )

    def prefer(self, *words: object) -> int:
        descriptions = ["--descriptions", self.path("descriptions.jsonl")]
        return command(build_dpo_data.main, *descriptions, *self.output("dpo"), *words)


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Two subsets with a picture of the same name but another colour each."""
    made = Chain(tmp_path)
    picture(made.root / "A/image/1.png", "red")
    picture(made.root / "B/image/1.png", "blue")
    records = [
        solution("A/image/1.png", "What is the area?", STEPS, "+++"),
        solution("A/image/1.png", "What is the area?", [*STEPS[:2], "So it is 60."], "++-"),
        solution("A/image/1.png", "Which colour?", ["It is red. So: red"], "+"),
        solution("A/image/1.png", "Which colour?", ["It is red. So: blue"], "-"),
        solution("B/image/1.png", "What is the area?", STEPS, "+++"),
        solution("B/image/1.png", "What is the area?", [*STEPS[:2], "So it is 62."], "++-"),
    ]
    made.pairs = write_pairs(made.root, records)
    return made


def answers(call: Call) -> str:
    return call.headers["X-EVPV-Stage"]


# Descriptions


def test_each_image_and_question_is_described_once_from_its_own_picture(chain: Chain) -> None:
    """Regression: descriptions went by image alone, so one of two questions' won for both; a
    picture was looked for in the first subset that has its name; "-" records were asked too."""
    assert chain.describe() == 0
    assert [answers(call) for call in chain.calls] == ["teacher_describe"] * 3
    found = {
        (row["image"], row["question"]): row["image_description"]
        for row in chain.rows("descriptions.jsonl")
    }
    assert {key: (RED in text, key[1] in text) for key, text in found.items()} == {
        ("A/image/1.png", "What is the area?"): (True, True),
        ("A/image/1.png", "Which colour?"): (True, True),
        ("B/image/1.png", "What is the area?"): (False, True),
    }
    assert BLUE in found["B/image/1.png", "What is the area?"]
    card = chain.card("vision")
    assert card["records_read"] == 6
    assert card["dropped"] == {"labelled -": 3}


def test_the_training_prompt_is_the_prompt_of_inference(chain: Chain) -> None:
    """Regression: the verifier was trained on prompts that it never gets."""
    assert chain.describe() == 0
    described = {r["question"]: r for r in chain.rows("descriptions.jsonl") if "A/" in r["image"]}
    for row in (r for r in chain.both("vision") if r["images"] == ["A/image/1.png"]):
        user, assistant = row["messages"]
        [question] = [q for q in described if q in user["content"]]
        asked = prompts.describe(question, 1, max_characters=10).messages[0]["content"]
        assert user["content"] == "<image>" + asked[1]["text"]
        reply = {"image_description": described[question]["image_description"]}
        # Constrained decoding gives no white space between tokens: so none is taught.
        assert assistant["content"] == json.dumps(reply, separators=(",", ":"), ensure_ascii=False)
        assert row.keys() == {"messages", "images"}
        assert (chain.root / row["images"][0]).is_file()


def test_the_reference_style_knows_no_question(chain: Chain) -> None:
    assert chain.describe("--prompt-style", "reference") == 0
    rows = chain.both("vision")
    assert len({row["messages"][0]["content"] for row in rows}) == 1
    assert all(row["messages"][1]["content"].startswith("A square") for row in rows)


def test_missing_descriptions_are_reported_and_never_blank(chain: Chain) -> None:
    """Regression: a failed description became the empty text without a word."""

    def script(call: Call, number: int) -> Action:
        return Answer(b"", 400) if "Which colour?" in call.prompt else teach(call)

    chain.script = script
    assert chain.describe("--max-failures", 0.5) == 0
    assert chain.card("vision")["dropped"]["teacher:http_400"] == 1
    assert chain.merge() == 0
    report = json.loads(chain.path("report.json").read_text())
    assert report == {
        "records": 6,
        "described": 4,
        "missing": [{"image": "A/image/1.png", "question": "Which colour?", "records": 2}],
    }
    merged = [row for file in chain.pairs for row in rows(Path(f"{file}.described"))]
    assert [row["image_describe"] is None for row in merged] == [False, False, True, True] + [
        False
    ] * 2
    assert chain.judge() == 0
    assert chain.card("judge")["dropped"] == {"no description": 2}


def test_an_image_that_is_missing_is_never_put_to_the_teacher(chain: Chain) -> None:
    (chain.root / "B/image/1.png").unlink()
    assert chain.describe("--max-failures", 0.5) == 0
    assert len(chain.calls) == 2
    assert chain.card("vision")["dropped"]["missing_image"] == 1
    assert chain.describe() == 1


def test_images_may_be_links_to_another_file_system(chain: Chain, tmp_path: Path) -> None:
    place = chain.root / "B/image/1.png"
    place.rename(tmp_path / "elsewhere.png")
    place.symlink_to(tmp_path / "elsewhere.png")
    assert chain.describe() == 0
    assert BLUE in str([r for r in chain.rows("descriptions.jsonl") if r["image"][0] == "B"])
    outside = solution("A/image/../../../elsewhere.png", "Which colour?", ["Red"], "+")
    chain.pairs = write_pairs(chain.root, [outside])
    assert chain.describe("--max-failures", 1) == 0
    assert chain.card("vision")["dropped"] == {"image_outside_root": 1}


def test_too_many_failures_write_nothing(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    chain.script = lambda *_: completion("I cannot")
    assert chain.describe("--attempts", 2) == 1
    assert "3 of 3 descriptions failed" in capsys.readouterr().err
    assert len(chain.calls) == 6
    assert not chain.path("descriptions.jsonl").exists()
    assert not chain.path("vision.train.jsonl").exists()


def test_a_malformed_line_is_named_before_anything_is_asked(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path(chain.pairs[0]).open("a") as stream:
        stream.write('{"image": 5}\n')
    assert chain.describe() == 2
    assert f"{chain.pairs[0]}:5: image" in capsys.readouterr().err
    assert not chain.calls


# Judgements


def prepared(chain: Chain) -> None:
    assert chain.describe() == 0
    assert chain.merge() == 0


def test_all_turns_and_the_right_picture_reach_the_teacher(chain: Chain) -> None:
    """Regression: of a conversation only the first step and its label were used, so that a wrong
    solution was sent as a right one; the picture was another subset's of the same name."""
    prepared(chain)
    assert chain.judge() == 0
    assert len(chain.calls) == 6
    wrong = [call for call in chain.calls if "So it is 62." in call.prompt]
    assert len(wrong) == 1
    assert all(step in wrong[0].prompt for step in STEPS[:2])
    assert "Overall label: -" in wrong[0].prompt
    assert "+ + -" in wrong[0].prompt
    assert BLUE in wrong[0].prompt
    labels = {tuple(row["steps"]): row for row in chain.rows("labels.jsonl")}
    assert all(row["steps"] for row in labels.values())
    row = labels[(*STEPS[:2], "So it is 62.")]
    assert row["image"] == "B/image/1.png"
    assert [result["score"] for result in row["step_judge_result"]] == [1, 1, -1]
    assert row["step_judge_result"][2]["subcategory"] == "value_misreading"


def test_a_row_is_a_step_with_the_prompt_of_inference_and_a_bare_verdict(chain: Chain) -> None:
    """Regression: the judge was trained on all steps at once, with an answer of another form."""
    prepared(chain)
    assert chain.judge("--history-steps", 1) == 0
    found = {
        (r["messages"][0]["content"], r["messages"][1]["content"]) for r in chain.both("judge")
    }
    descriptions = {
        (r["image"], r["question"]): r["image_description"]
        for r in chain.rows("descriptions.jsonl")
    }
    expected = set()
    for row in chain.rows("labels.jsonl"):
        description = descriptions[row["image"], row["question"]]
        for index, result in enumerate(row["step_judge_result"]):
            first = max(0, index - 1)
            steps = row["steps"][first : index + 1]
            prompt = prompts.judge(row["question"], description, steps, 1, first=first + 1)
            text = prompt.messages[0]["content"][1]["text"]
            expected.add((f"<image>{text}", str(result["score"])))
    assert found == expected
    assert {answer for _, answer in found} == {"1", "-1"}
    card = chain.card("judge")["files"]
    labels = [split["labels"] for split in card.values()]
    assert sum(split["score"]["-1"] for split in labels) == 3
    for split in labels:
        wrong = split["score"]["-1"]
        assert split["category"] == {"visual_misinterpretation": wrong}
        assert split["subcategory"] == {"value_misreading": wrong}
    page = chain.path("judge.card.md").read_text()
    assert "| score | count | share |" in page
    assert "| value_misreading | 1 | 100.0% |" in page


def test_the_judge_learns_the_teacher_s_evidence_where_it_has_to_give_some(chain: Chain) -> None:
    prepared(chain)
    assert chain.judge(*EVIDENCE_FLAGS) == 0
    assert all('"evidence"' in call.prompt for call in chain.calls)
    form = JudgeReply(judge_form="evidence_then_verdict", max_evidence_characters=44)
    expected = set()
    for row in chain.rows("labels.jsonl"):
        for index, result in enumerate(row["step_judge_result"]):
            assert list(result) == ["step", "evidence", "score", "category", "subcategory"]
            right = result["score"] == 1
            assert result["evidence"] == (row["steps"][index] if right else "8")
            steps = row["steps"][: index + 1]
            prompt = prompts.judge(row["question"], "?", steps, 1, first=1, reply=form)
            end = prompt.messages[0]["content"][1]["text"].partition("Steps:\n")[2]
            answer = f'{{"evidence":"{result["evidence"]}","verdict":{result["score"]}}}'
            expected.add((end, answer))
    found = {
        (r["messages"][0]["content"].partition("Steps:\n")[2], r["messages"][1]["content"])
        for r in chain.both("judge")
    }
    assert found == expected
    assert all('{"evidence":"...","verdict"' in str(r["messages"][0]) for r in chain.both("judge"))


def test_evidence_that_the_teacher_leaves_out_is_asked_for_again(chain: Chain) -> None:
    prepared(chain)
    chain.script = lambda call, _: say(judgement([*STEPS[:2], part(call.prompt, "Solution")]))
    assert chain.judge(*EVIDENCE_FLAGS, "--attempts", 2, "--max-failures", 1) == 0
    assert len(chain.calls) == 12
    assert chain.card("judge")["dropped"] == {"teacher:invalid_evidence": 6}


@pytest.mark.parametrize("flags", [(), EVIDENCE_FLAGS])
def test_the_reference_style_judges_all_steps_at_once(chain: Chain, flags: tuple[str, ...]) -> None:
    prepared(chain)
    assert chain.judge("--prompt-style", "reference", *flags) == 0
    rows = chain.both("judge")
    assert len(rows) == 6
    for row in rows:
        results = json.loads(row["messages"][1]["content"])
        assert {result["score"] for result in results} <= {1, -1}
        assert [result["step"] for result in results] == list(range(1, len(results) + 1))
        assert all("evidence" not in result for result in results)


def test_an_undivided_solution_is_divided_by_the_teacher_without_loss(chain: Chain) -> None:
    prepared(chain)
    assert chain.judge() == 0
    divided = [r["steps"] for r in chain.rows("labels.jsonl") if r["question"] == "Which colour?"]
    assert sorted(divided) == [["It is red.", "So: blue"], ["It is red.", "So: red"]]


def test_invalid_judgements_are_asked_again_then_counted(chain: Chain) -> None:
    """Regression: contradictory labels (a score of 0, one result for three steps) went into the
    data as they were."""
    prepared(chain)

    def script(call: Call, number: int) -> Action:
        if "So it is 60." in call.prompt:
            return say(judgement([*STEPS[:2], "So it is 60."]))  # all right, though labelled "-"
        if "So it is 62." in call.prompt:
            seeds.setdefault(call.body["seed"], number)
            if len(seeds) < 3:
                zero = judgement([*STEPS[:2], "So it is 62."], [2])
                zero["step_judge_result"][2]["score"] = 0
                return say(zero)
        return teach(call)

    seeds: dict[int, int] = {}
    chain.script = script
    assert chain.judge("--attempts", 3, "--max-failures", 0.5) == 0
    assert len(seeds) == 3, "every attempt is a sample of its own"
    assert len(chain.calls) == 6 + 2 * 2
    assert chain.card("judge")["dropped"] == {"teacher:contradicts_label": 1}
    assert len(chain.rows("labels.jsonl")) == 5
    assert chain.judge("--attempts", 3) == 1


def test_no_progress_file_stands_between_a_killed_run_and_the_next(chain: Chain) -> None:
    """Regression: progress was a file of its own, rewritten for each record; when it was torn, all
    was done again and written twice."""
    prepared(chain)
    with ScriptedServer(lambda call, n: teach(call) if n < 4 else Answer(b"", 401)) as server:
        words = ["--base-url", server.base_url, "--store", chain.folder / "store2"]
        arguments = [
            *("--pairs", *(f"{file}.described" for file in chain.pairs)),
            *("--labels", chain.path("labels.jsonl"), *chain.output("judge")),
            *("--backend", "api", "--model", "teacher", *words, "--concurrency", 1),
        ]
        assert command(build_step_judge_sft_data.main, *arguments) == 2
        assert not chain.path("labels.jsonl").exists()
        for segment in (chain.folder / "store2").rglob("*.jsonl"):
            with segment.open("ab") as stream:
                stream.write(b'{"k": "torn')
        before = len(server.calls)
        server.script = teach
        assert command(build_step_judge_sft_data.main, *arguments) == 0
        assert len(server.calls) == before + 2, "four of six were stored"
        written = chain.path("judge.train.jsonl").read_bytes()
        assert len(chain.rows("labels.jsonl")) == 6
        before = len(server.calls)
        assert command(build_step_judge_sft_data.main, *arguments) == 0
        assert len(server.calls) == before, "a rerun pays nothing"
        assert chain.path("judge.train.jsonl").read_bytes() == written


# Preferences


def test_preferences_set_the_description_against_a_spoilt_one(chain: Chain) -> None:
    prepared(chain)
    assert chain.prefer() == 0
    vision = {row["messages"][0]["content"]: row["messages"] for row in chain.both("vision")}
    for row in chain.both("dpo"):
        assert row.keys() == {"messages", "images", "rejected_response", "corruption"}
        user, chosen = row["messages"]
        assert user["content"] in vision
        right = json.loads(chosen["content"])["image_description"]
        wrong = json.loads(row["rejected_response"])["image_description"]
        assert right != wrong
        errors = row["corruption"]["errors"]
        assert row["corruption"]["source"] == "rules"
        assert errors
        for error in errors:
            assert error["original"] in right
            assert error["replacement"] in wrong
    card = chain.card("dpo")["files"]
    kinds = sum((Counter(split["labels"]["error"]) for split in card.values()), Counter())
    written = (e["kind"] for row in chain.both("dpo") for e in row["corruption"]["errors"])
    assert kinds == Counter(written)


def test_the_teacher_can_spoil_descriptions_too(chain: Chain) -> None:
    prepared(chain)
    asked: list[str] = []

    def script(call: Call, number: int) -> Action:
        asked.append(answers(call))
        right = call.prompt.rpartition("Description:\n")[2]
        error = {"kind": "number", "original": "side 8", "replacement": "side 9"}
        wrong = right.replace("side 8", "side 9") if len(asked) > 1 else right
        return say({"errors": [error], "image_description": wrong})

    chain.script = script
    words = ["--descriptions", chain.path("descriptions.jsonl"), *chain.output("dpo")]
    status = chain.ask(build_dpo_data.main, *words, "--corrupted-by", "teacher", "--concurrency", 1)
    assert status == 0
    assert asked == ["noise"] * 4, "the unchanged first reply is asked for again"
    for row in chain.both("dpo"):
        assert row["corruption"]["source"] == "teacher"
        assert "side 9" in row["rejected_response"]


# Options


SAMPLING = ["--decoding-temperature", 0.25, "--decoding-top-p", 0.5, "--decoding-max-tokens", 77]
SENT = {"temperature": 0.25, "top_p": 0.5, "max_tokens": 77}


def sent(chain: Chain) -> list[dict[str, Any]]:
    return [{name: call.body[name] for name in SENT} for call in chain.calls]


def test_the_teachers_sampling_is_configured(chain: Chain) -> None:
    assert chain.describe(*SAMPLING) == 0
    assert sent(chain) == [SENT] * 3
    assert chain.merge() == 0
    assert chain.judge(*SAMPLING) == 0
    assert sent(chain) == [SENT] * 6
    chain.script = lambda *_: completion("no")
    words = ["--descriptions", chain.path("descriptions.jsonl"), *chain.output("dpo")]
    choice = ["--corrupted-by", "teacher", "--attempts", 1, "--max-errors", 7]
    assert chain.ask(build_dpo_data.main, *words, *SAMPLING, *choice) == 1
    assert sent(chain) == [SENT] * 3
    assert all("no more than 7" in call.prompt for call in chain.calls)


def test_limits_of_length_are_asked_for_and_kept(chain: Chain) -> None:
    limits = ["--max-description-characters", 20, "--attempts", 1, "--max-failures", 1]
    assert chain.describe(*limits) == 0
    assert chain.card("vision")["dropped"]["teacher:too_long"] == 3
    schema = chain.calls[0].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["image_description"]["maxLength"] == 20
    assert chain.describe() == 0
    assert chain.merge() == 0
    assert chain.judge("--max-steps", 2) == 0
    assert chain.card("judge")["dropped"] == {"too many steps": 4}


def test_rules_make_at_most_the_errors_allowed(chain: Chain) -> None:
    prepared(chain)
    assert chain.prefer("--max-errors", 1) == 0
    assert {len(row["corruption"]["errors"]) for row in chain.both("dpo")} == {1}
    first = chain.path("dpo.train.jsonl").read_bytes()
    assert chain.prefer("--max-errors", 1) == 0
    assert chain.path("dpo.train.jsonl").read_bytes() == first
    assert chain.prefer("--max-errors", 1, "--seed", 3) == 0
    assert chain.path("dpo.train.jsonl").read_bytes() != first


def test_a_missing_tokenizer_is_one_line(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert chain.describe("--tokenizer", chain.folder / "none") == 2
    assert "expected a folder with a tokenizer" in capsys.readouterr().err
    assert not chain.calls


def test_a_tokenizer_with_code_of_its_own_is_refused_unasked(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = chain.folder / "slow"
    folder.mkdir()
    brought = {"auto_map": {"AutoTokenizer": ["tokenization_slow.SlowTokenizer", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(brought))
    assert chain.describe("--tokenizer", folder) == 2
    said = capsys.readouterr()
    assert said.out == ""  # where the question would stand
    assert f"{folder}: expected a folder with a tokenizer that needs no code" in said.err


# Splits and cards


def test_an_image_is_on_one_side_in_every_file(tmp_path: Path) -> None:
    """Regression: records were divided at random, + and - of one image to different sides."""
    chain = Chain(tmp_path)
    draw = random.Random(1)
    records = []
    for number in range(24):
        colour = f"#{number:02x}0000"
        for subset in "AB":  # the same picture under two names
            picture(chain.root / f"{subset}/image/{number}.png", colour)
        for subset in "AB":
            image = f"{subset}/image/{number}.png"
            question = f"What is the area of number {draw.randrange(9)}?"
            records.append(solution(image, question, STEPS, "+++"))
            records.append(solution(image, question, [*STEPS[:2], "So it is 9."], "++-"))
    chain.pairs = write_pairs(chain.root, records)
    options = ["--validation-fraction", 0.3]
    assert chain.describe(*options) == 0
    assert chain.merge() == 0
    assert chain.judge(*options) == 0
    assert chain.prefer(*options) == 0
    sides: dict[str, set[str]] = {}
    for name in ("vision", "judge", "dpo"):
        for split in ("train", "validation"):
            found = chain.rows(f"{name}.{split}.jsonl")
            assert found
            for row in found:
                sides.setdefault(row["images"][0].split("/")[-1], set()).add(split)
    assert len(sides) == 24
    assert all(len(side) == 1 for side in sides.values())
    for row in chain.rows("labels.jsonl"):
        assert {row["split"]} == sides[row["image"].split("/")[-1]]
    card = chain.card("vision")["files"]
    assert card["train"]["images"] + card["validation"]["images"] == 24
    assert card["train"]["subsets"].keys() == {"A", "B"}


def test_a_card_tells_of_an_empty_file_too(chain: Chain) -> None:
    assert chain.describe("--validation-fraction", 0) == 0
    assert chain.card("vision")["files"]["validation"] == {
        "rows": 0, "images": 0, "labels": {}, "subsets": {}, "lengths": {}
    }  # fmt: skip
    assert "\n## validation\n\n0 rows, 0 images\n" in chain.path("vision.card.md").read_text()


def test_a_card_tells_lengths_in_characters_and_tokens(chain: Chain, tmp_path: Path) -> None:
    characters = ByteLevel.alphabet()
    tokenizer = Tokenizer(BPE({c: n for n, c in enumerate(sorted(characters))}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path / "tokenizer")
    assert chain.describe("--tokenizer", tmp_path / "tokenizer") == 0
    lengths = chain.card("vision")["files"]["train"]["lengths"]
    assert lengths.keys() == {"characters", "tokens"}
    longest = max(len(r["messages"][1]["content"]) for r in chain.rows("vision.train.jsonl"))
    assert lengths["characters"]["answer"]["max"] == longest
    assert lengths["tokens"] == lengths["characters"], "a token a byte"
    page = chain.path("vision.card.md").read_text()
    assert "| labelled - | 3 |" in page
    assert "length in tokens" in page
