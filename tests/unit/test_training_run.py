"""Trainings around a stand-in for the trainer: data, checkpoints, work folders, processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evpv_prm.cli import run
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import write_json, write_rows
from evpv_prm.training import merge
from evpv_prm.training import run as training
from evpv_prm.training.command import Invocation
from evpv_prm.training.data import DpoRow, SftRow, training_rows
from evpv_prm.training.image_tokens import image_token_problem
from evpv_prm.training.main import dpo_vision, sft_step_judge, sft_vision
from evpv_prm.training.process import run_program

ROW = {
    "messages": [
        {"role": "user", "content": "<image>What?"},
        {"role": "assistant", "content": "That."},
    ],
    "images": ["s/1.png"],
    "rejected_response": "This.",
}


class Trainer:
    """Stands in for ms-swift: writes the next checkpoint, up to `until`, and ends well."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.steps, self.until = 10, 10

    def __call__(self, invocation: Invocation, **_: object) -> int:
        argv = invocation.argv
        self.calls.append(argv)
        folder = Path(argv[argv.index("--output_dir") + 1])
        for step in (5, 10):
            if step <= self.until:
                self.checkpoint(folder, step)
        (folder / "logging.jsonl").open("a").write("{}\n")
        return 0

    def checkpoint(self, folder: Path, step: int) -> None:
        checkpoint = folder / f"checkpoint-{step}"
        checkpoint.mkdir(exist_ok=True)
        for name in training.ADAPTER_FILES:
            (checkpoint / name).write_text(f"{name} of step {step}")
        state = {"global_step": step, "max_steps": self.steps, "epoch": 1.0, "log_history": []}
        write_json(
            checkpoint / "trainer_state.json", state | {"best_global_step": 5, "best_metric": 0.5}
        )

    def resumed_from(self) -> str | None:
        argv = self.calls[-1]
        name = "--resume_from_checkpoint"
        return Path(argv[argv.index(name) + 1]).name if name in argv else None


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    stand_in = Trainer()
    monkeypatch.setattr(training, "run_program", stand_in)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return stand_in


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A base model, an image, data."""
    for name in ("base/config.json", "images/s/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("{}")
    write_rows(tmp_path / "data.jsonl", [ROW])
    return tmp_path


def train(files: Path, *options: str, command: Callable[[list[str]], int] = sft_vision) -> int:
    return run(
        lambda: command(
            [
                *("--model", str(files / "base"), "--images-root", str(files / "images")),
                *("--train", str(files / "data.jsonl"), "--output", str(files / "out/adapter")),
                *options,
            ]
        )
    )


def published(files: Path) -> str:
    return (files / "out/adapter/adapter_model.safetensors").read_text()


def test_training_goes_on_from_its_last_whole_checkpoint(files: Path, trainer: Trainer) -> None:
    trainer.until = 5
    assert train(files) == 2
    assert not (files / "out/adapter").exists()
    (work,) = (files / "out/work").iterdir()
    torn = work / "checkpoints/checkpoint-7"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": 7, "max')
    (work / "checkpoints/logging.jsonl").open("a").write('{"loss": 1')
    trainer.until = 10
    assert train(files) == 0
    assert trainer.resumed_from() == "checkpoint-5"
    assert not torn.exists()
    assert (files / "out/adapter/logging.jsonl").read_text() == "{}\n{}\n"
    assert published(files).endswith("step 10")


def test_trainer_that_ends_well_before_its_last_step_has_failed(
    files: Path, trainer: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer.until = 5
    assert train(files) == 2
    assert "status 0 at step 5 of 10" in capsys.readouterr().err


def test_going_on_leaves_the_prepared_data_as_it_is(files: Path, trainer: Trainer) -> None:
    # Regression: it was written anew, and what had been encoded of it was not found again.
    trainer.until = 5
    validation = ("--validation", str(files / "data.jsonl"))
    assert train(files, *validation) == 2
    prepared = sorted((files / "out/work").glob("*/*.jsonl"))
    assert [path.name for path in prepared] == ["train.jsonl", "validation.jsonl"]
    written = [path.stat().st_mtime_ns for path in prepared]
    assert train(files, *validation) == 2
    assert [path.stat().st_mtime_ns for path in prepared] == written
    # Where the images have moved, their paths are other ones.
    (files / "images").rename(files / "moved")
    trainer.until = 10
    assert train(files, *validation, "--images-root", str(files / "moved")) == 0
    assert trainer.resumed_from() == "checkpoint-5"
    for path in prepared:
        assert json.loads(path.read_text())["images"] == [str(files / "moved/s/1.png")]
    (work,) = (files / "out/work").iterdir()
    assert not list(work.glob("*.new"))


def test_validation_takes_rows_from_all_parts_of_its_file(files: Path, trainer: Trainer) -> None:
    def numbered(count: int) -> list[dict[str, object]]:
        answers = ({"role": "assistant", "content": str(n)} for n in range(count))
        return [ROW | {"messages": [ROW["messages"][0], answer]} for answer in answers]

    for count, at_most, expected in ((10, 4, [0, 2, 5, 7]), (3, 4, [0, 1, 2])):
        write_rows(files / "validation.jsonl", numbered(count))
        words = ("--validation", str(files / "validation.jsonl"))
        assert train(files, *words, f"--validation-rows={at_most}") == 0
        argv = trainer.calls[-1]
        prepared = Path(argv[argv.index("--val_dataset") + 1])
        rows = [json.loads(line) for line in prepared.read_text().splitlines()]
        assert [int(row["messages"][1]["content"]) for row in rows] == expected


@pytest.mark.parametrize("change", ["data", "setting", "base"])
def test_another_training_never_goes_on_from_the_checkpoints(
    files: Path, trainer: Trainer, change: str
) -> None:
    assert train(files) == 0
    options = []
    if change == "data":
        write_rows(files / "data.jsonl", [ROW, ROW])
    elif change == "setting":
        options = ["--lora-rank", "16"]
    else:
        (files / "base/config.json").write_text('{"a": 1}')
    assert train(files, *options) == 0
    assert len(trainer.calls) == 2
    assert trainer.resumed_from() is None


def test_another_choice_of_checkpoint_needs_no_training(files: Path, trainer: Trainer) -> None:
    validation = ("--validation", str(files / "data.jsonl"))
    assert train(files, *validation) == 0
    assert train(files, *validation, "--adapter", "best") == 0
    assert len(trainer.calls) == 1
    assert published(files).endswith("step 5")
    manifest = json.loads((files / "out/adapter/train.json").read_text())
    assert manifest["adapter"]["checkpoint"] == "checkpoint-5"
    assert manifest["data"].keys() == {"train", "validation"}


def test_best_without_validation_is_refused(
    files: Path, trainer: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(files, "--adapter", "best") == 2
    assert "--adapter best needs --validation" in capsys.readouterr().err


def test_folder_of_something_else_is_not_replaced(files: Path, trainer: Trainer) -> None:
    (files / "out/adapter").mkdir(parents=True)
    (files / "out/adapter/thesis.txt").write_text("mine")
    assert train(files) == 2
    assert trainer.calls == []
    assert (files / "out/adapter/thesis.txt").read_text() == "mine"


def test_commands_train_with_their_own_settings(files: Path, trainer: Trainer) -> None:
    assert train(files, command=dpo_vision) == 0
    assert train(files, command=sft_step_judge) == 0
    dpo, judge = trainer.calls
    assert {"swift.cli.rlhf", "dpo"} < set(dpo)
    assert "swift.cli.sft" in judge


def test_images_are_those_under_the_root(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Regression: a path was looked for in several folders, and an image of another subset taken.
    (files / "elsewhere/s").mkdir(parents=True)
    (files / "elsewhere/s/1.png").write_text("another")
    monkeypatch.chdir(files / "elsewhere")
    (row,) = training_rows(files / "data.jsonl", files / "images", SftRow)
    assert row["images"] == [str(files / "images/s/1.png")]
    assert row.keys() == {"messages", "images"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": ["s/2.png"]}, r"data.jsonl:2: images: .*s/2.png is not there"),
        ({"images": []}, r"data.jsonl:2: images: 1 images, as many as <image>"),
        ({"messages": ROW["messages"][:1] * 2}, r"data.jsonl:2: messages: the last turn"),
        ({"rejected_response": None}, r"data.jsonl:2: rejected_response: "),
    ],
)
def test_wrong_rows_are_named(files: Path, change: dict[str, object], message: str) -> None:
    write_rows(files / "data.jsonl", [ROW, ROW | change])
    with pytest.raises(InputError, match=message):
        list(training_rows(files / "data.jsonl", files / "images", DpoRow))


def test_empty_data_is_refused(files: Path) -> None:
    (files / "data.jsonl").write_text("\n")
    with pytest.raises(UserError, match="at least one sample"):
        list(training_rows(files / "data.jsonl", files / "images", SftRow))


def encoded(tokens: int, prefix: str = "") -> dict[str, object]:
    ids = [1, 2, *[151655] * tokens, 3]
    return {f"{prefix}input_ids": ids, f"{prefix}image_grid_thw": [(1, 12, 14)]}


def test_every_image_must_be_as_many_tokens_as_it_has_merged_patches() -> None:
    assert image_token_problem(encoded(42), 151655, merge_size=2) is None
    assert image_token_problem({"input_ids": [1, 2]}, 151655, merge_size=2) is None
    problem = image_token_problem(encoded(1), 151655, merge_size=2)
    assert problem is not None
    assert "holds 1 image tokens (id 151655) for 1 image(s), expected 42" in problem
    # The trainer expanded another id than the model's.
    assert image_token_problem(encoded(42), 500, merge_size=2) is not None
    pair = encoded(42, "chosen_") | encoded(41, "rejected_")
    assert image_token_problem(pair, 151655, merge_size=2) is not None


def python(code: str) -> Invocation:
    return Invocation([sys.executable, "-c", code], {"SAID": "yes"})


def test_program_gets_its_environment_and_gives_its_status() -> None:
    code = "import os, sys; sys.exit(3 if os.environ['SAID'] == 'yes' else 4)"
    assert run_program(python(code), grace_s=1) == 3


RUNNER = """\
import sys
from evpv_prm.training.command import Invocation
from evpv_prm.training.process import StoppedError, run_program
try:
    run_program(Invocation([sys.executable, "-c", sys.argv[1]], {}), grace_s=float(sys.argv[2]))
except StoppedError as error:
    print(error, flush=True)
"""
PROGRAM = """\
import os, signal, subprocess, sys
helper = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
def stop(*_):
    assert helper.poll() is None, "the helper died of the signal"
    os.write(2, b"saved\\n")  # the signal may come while "ready" is being printed
    os._exit(0)
signal.signal(signal.SIGTERM, {handler})
print("ready", file=sys.stderr, flush=True)
signal.pause()
signal.pause()
"""


def start_runner(handler: str, grace_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUNNER, PROGRAM.replace("{handler}", handler), str(grace_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_the_program_save_and_leaves_no_process(number: signal.Signals) -> None:
    process = start_runner("stop", 60)
    process.send_signal(number)
    out, err = process.communicate()  # ends only when no process holds the pipes any more
    assert (out, err) == (f"{number.name}\n", "saved\n")


def test_program_that_does_not_stop_is_killed() -> None:
    process = start_runner("signal.SIG_IGN", 0.1)
    process.terminate()
    out, err = process.communicate()
    assert (out, err) == ("SIGTERM\n", "")


def test_program_stops_when_its_runner_is_killed() -> None:
    process = start_runner("stop", 60)
    process.kill()
    assert process.stderr is not None
    assert process.stderr.readline() == "saved\n"
    process.communicate()


def test_merging_refuses_another_base(
    files: Path,
    trainer: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Regression: the step judge's adapter was merged into the untuned base.
    assert train(files) == 0
    (files / "other").mkdir()
    (files / "other/config.json").write_text("other weights")

    def forbidden(*_: object, **__: object) -> int:
        raise AssertionError("merged all the same")

    monkeypatch.setattr(merge, "run_program", forbidden)
    words = ["--adapter", str(files / "out/adapter"), "--output", str(files / "merged")]
    assert run(lambda: merge.main(["--model", str(files / "other"), *words])) == 2
    assert "was trained on another model" in capsys.readouterr().err
    (files / "out/adapter/adapter_model.safetensors").write_text("swapped")
    assert run(lambda: merge.main(["--model", str(files / "base"), *words])) == 2
    assert "the digest of adapter_model.safetensors" in capsys.readouterr().err
    assert not (files / "merged").exists()


def test_merging_writes_a_manifest_and_nothing_after_a_failure(
    files: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(files) == 0
    status = 1

    def merged(invocation: Invocation, **_: object) -> int:
        folder = Path(invocation.argv[invocation.argv.index("--output_dir") + 1])
        assert not folder.exists(), "ms-swift leaves a folder that is there as it is"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        return status

    monkeypatch.setattr(merge, "run_program", merged)
    words = ["--adapter", str(files / "out/adapter"), "--output", str(files / "merged")]
    words += ["--model", str(files / "base")]
    assert run(lambda: merge.main(words)) == 2
    assert not (files / "merged").exists()
    status = 0
    assert run(lambda: merge.main(words)) == 0
    manifest = json.loads((files / "merged/merge.json").read_text())
    assert manifest["files"].keys() == {"config.json"}
    assert manifest["adapter"]["checkpoint"] == "checkpoint-10"
    assert [path for path in files.iterdir() if path.name.startswith(".")] == []
