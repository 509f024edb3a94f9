"""The cost model: units of work, rates, sizes, and the text that shows them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.config import Model, load_config
from evpv_prm.engine.store import Statistics
from evpv_prm.errors import InputError
from evpv_prm.plan.cost import Cost, job_cost
from evpv_prm.plan.jobs import Job
from evpv_prm.plan.notes import notes_on
from evpv_prm.plan.report import group_jobs, render, short
from evpv_prm.plan.runtime import LEAST_MIN, UNRATED_MIN, training_minutes
from evpv_prm.plan.sizes import Count, Sizes, TrainingRows, TrainingSizes, measure
from evpv_prm.plan.tables import (
    SHIPPED_RATES,
    SHIPPED_SIZES,
    Rate,
    read_rates,
    read_sizes,
    write_rates,
)
from evpv_prm.plan.update_rates import Measurement, rate_from
from evpv_prm.plan.work import RULES, model_class, rate_key, units

ROOT = Path(__file__).resolve().parents[2]
PAPER = load_config({"shards": 8})
KNOWN = Sizes(
    questions=dict.fromkeys(PAPER.benchmarks, Count(80)),
    solutions=Count(10),
    steps=Count(100),
    training=TrainingSizes(
        images=Count(30),
        solutions=Count(60),
        described=TrainingRows(Count(30_000), Count(300)),
        judged=TrainingRows(Count(360_000), Count(3600)),
    ),
)
RATE = Rate(
    rule="generate_candidates",
    model="10B",
    unit="candidate",
    job_seconds=100,
    job_bytes=5,
    seconds=2,
    calls=3,
    prompt_tokens=7,
    completion_tokens=11,
    bytes=13,
    basis="measured",
    reasoning="",
)
EIGHT_B = {"policy": "InternVL2.5-8B", "benchmark": "MMMU", "scatteritem": "1-of-8"}


def job(
    rule: str = "generate_candidates", gpus: int = 2, is_local: bool = False, **names: str
) -> Job:
    wildcards = names or EIGHT_B
    return Job(rule, wildcards, is_local, True, gpus, (), None, None)


def cost_of(rate: Rate, sizes: Sizes = KNOWN, one: Job | None = None) -> Cost:
    return job_cost(one or job(), PAPER, sizes, {(rate.rule, rate.model): rate})


# What a job costs


def test_a_shard_costs_its_share_of_the_units_and_one_start() -> None:
    candidates = 80 * 8 / 8
    assert cost_of(RATE) == Cost(
        gpu_hours=pytest.approx(2 * (100 + 2 * candidates) / 3600),
        calls=3 * candidates,
        prompt_tokens=3 * candidates * 7,
        completion_tokens=3 * candidates * 11,
        bytes=5 + 13 * candidates,
        start_gpu_hours=2 * 100 / 3600,
    )


def test_without_a_gpu_there_are_no_gpu_hours() -> None:
    cost = cost_of(RATE, one=job(gpus=0))
    assert (cost.gpu_hours, cost.calls) == (0, 240)


def test_an_estimate_stays_one_in_every_sum() -> None:
    rate = RATE.model_copy(update={"basis": "estimate"})
    assert not cost_of(RATE).is_estimate
    assert cost_of(rate).is_estimate
    assert (cost_of(RATE) + cost_of(rate) + cost_of(RATE)).is_estimate
    guessed = Sizes(**{**vars(KNOWN), "questions": {"MMMU": Count(80, "estimate")}})
    assert cost_of(RATE, guessed).is_estimate


def test_what_has_no_rate_or_size_is_not_counted_and_says_so() -> None:
    assert cost_of(RATE.model_copy(update={"model": "30B"})) == Cost(is_partial=True)
    unknown = Sizes(**{**vars(KNOWN), "questions": {"MMMU": Count(0, "unknown")}})
    assert cost_of(RATE, unknown) == Cost(is_partial=True)


def test_a_rule_of_seconds_costs_nothing() -> None:
    assert cost_of(RATE, one=job("plot_gate", is_local=True)) == Cost()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("OpenGVLab/InternVL2_5-8B", "10B"),
        ("OpenGVLab/InternVL2_5-26B", "30B"),
        ("OpenGVLab/InternVL2_5-38B", "80B"),
        ("Qwen/Qwen2.5-VL-72B-Instruct-AWQ", "80B"),
        ("qwen3-vl-235b-a22b-instruct", "larger"),
        ("results/models/verifier", "10B"),
        ("results/tiny/internvl", "tiny"),
        ("owner/verifier", "10B"),
        ("models/Phi-3b8", "10B"),
    ],
)
def test_models_are_told_apart_by_their_size(model: str, expected: str) -> None:
    assert model_class(PAPER, model) == expected


def test_the_configured_size_of_a_model_comes_first() -> None:
    model = Model(model="owner/policy-7B")
    assert model_class(PAPER, model) == "10B"
    assert model_class(PAPER, model.model_copy(update={"parameters_b": 26.0})) == "30B"


def test_a_model_behind_an_api_has_a_class_of_its_own() -> None:
    assert model_class(PAPER, PAPER.teacher) == "api"
    assert rate_key(PAPER, "describe_images", {}) == ("describe_images", "api")


def test_preferences_cost_calls_only_where_the_teacher_spoils() -> None:
    asked = load_config({"teacher_data": {"preferences": {"corrupted_by": "teacher"}}})
    assert rate_key(PAPER, "build_dpo_data", {}) == ("build_dpo_data", "any")
    assert rate_key(asked, "build_dpo_data", {}) == ("build_dpo_data", "api")


def training_units(**settings: Any) -> float:
    config = load_config({"training": {"gpus": 4} | settings})
    return units(config, KNOWN, "train_step_judge", {}).number


def test_a_training_counts_its_epochs_and_a_third_of_the_rows_of_its_validations() -> None:
    judge = {"num_train_epochs": 2, "validations": 6, "validation_rows": 1000}
    assert training_units(step_judge_sft=judge) == pytest.approx((720_000 + 6 * 1000 / 3) / 4)
    # Not more rows than there are.
    judge["validation_rows"] = 10_000
    assert training_units(step_judge_sft=judge) == pytest.approx((720_000 + 6 * 3600 / 3) / 4)
    assert training_units(gpus=0) == training_units(gpus=1) == 4 * training_units()


# Notes


def notes(shards: int, job_seconds: float) -> str:
    config = load_config({"shards": shards})
    rate = RATE.model_copy(update={"job_seconds": job_seconds})
    costs = [(job(), cost_of(rate))] * shards
    return "\n".join(notes_on(costs, config))


def test_a_plan_says_what_fewer_shards_would_save_where_starts_matter() -> None:
    # 8 jobs of 2 GPUs: each 900 s to start, and 80 candidates of 2 s.
    assert notes(8, 900) == (
        "shards: 8: of the 4.71 GPU-hours of the jobs that benchmarks are split into, 4 pass until "
        "the model is loaded; shards: 2 would save 3"
    )
    assert notes(8, 5) == notes(2, 900) == notes(8, 0) == ""


def test_a_plan_says_how_validations_are_counted() -> None:
    costs = [(job("train_vision_sft", policy="none"), Cost())]
    assert "a third of a trained row" in "\n".join(notes_on(costs, PAPER))


# The time of a training


def minutes(rule: str = "train_step_judge", **settings: Any) -> float:
    values = {"results": "none", "verifier": {"model": "none/models/verifier"}}
    values |= {"training": settings}
    return training_minutes(load_config(values), rule, read_rates(SHIPPED_RATES))


def test_a_training_may_take_what_its_plan_says_and_a_margin() -> None:
    # Regression: 48 hours for each, when the step judge needed 67 and its validations 260 more.
    rate = read_rates(SHIPPED_RATES)["train_step_judge", "10B"]
    rows = 960_000 * 0.99 + 20 * 500 / 3
    planned = (rate.job_seconds + rate.seconds * rows / 4) / 60
    assert minutes() == pytest.approx(1.5 * planned)
    assert planned / 60 > 48
    assert minutes("train_vision_sft") < minutes() / 10
    longer = {"num_train_epochs": 2}
    for rule, name in (("train_vision_sft", "vision_sft"), ("train_dpo", "vision_dpo")):
        assert minutes(rule, **{name: longer}) > 1.5 * minutes(rule)
    assert minutes(gpus=8) < 0.6 * minutes()
    assert minutes(step_judge_sft={"validations": 1000}) > 1.1 * minutes()


def test_the_time_of_a_training_follows_from_its_rows_once_they_can_be_counted(
    tmp_path: Path,
) -> None:
    card = tmp_path / "data/step_judge_sft/card.json"
    card.parent.mkdir(parents=True)
    verifier = {"model": f"{tmp_path}/models/verifier"}
    config = load_config({"results": str(tmp_path), "verifier": verifier})
    rates = read_rates(SHIPPED_RATES)
    found = []
    for rows in (10, 100_000, 10_000_000):
        files = {"train": {"rows": rows}, "validation": {"rows": rows // 10}}
        card.write_text(json.dumps({"files": files}))
        found.append(training_minutes(config, "train_step_judge", rates))
    assert found[0] == LEAST_MIN
    assert found[0] < found[1] < minutes() < found[2]


def test_each_training_asks_for_its_own_time() -> None:
    rules = (ROOT / "rules/train.smk").read_text()
    trainings = set(re.findall(r"^(?:use )?rule (?:\w+ as )?(train_\w+)", rules, re.MULTILINE))
    asked = re.findall(r"/logs/(train_\w+)\.log.*?\btrains\(\"(\w+)\"\)", rules, re.DOTALL)
    assert sorted(asked) == sorted((name, name) for name in trainings)


def test_a_training_without_a_rate_gets_a_fixed_time() -> None:
    assert minutes(base="models/Qwen2.5-VL-32B-Instruct") == UNRATED_MIN


# The shipped tables


def test_every_rule_that_costs_something_is_a_rule() -> None:
    rules = "\n".join(path.read_text() for path in ROOT.glob("rules/*.smk"))
    names = set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", rules, re.MULTILINE))
    assert RULES.keys() <= names


def test_the_shipped_rates_cover_the_paper() -> None:
    rates = read_rates(SHIPPED_RATES)
    values = {
        "policy": PAPER.policies,
        "mode": ("caption", "direct"),
        "download": PAPER.downloads,
    }
    for rule in RULES:
        for policy in values["policy"]:
            for mode in values["mode"] if rule == "verify_steps" else (None,):
                for download in values["download"] if rule == "download_model" else (None,):
                    named = {"policy": policy, "mode": mode, "download": download}
                    wildcards = {name: value for name, value in named.items() if value}
                    assert rate_key(PAPER, rule, wildcards) in rates
    for rate in rates.values():
        assert rate.unit == RULES[rate.rule.partition("/")[0]].unit
        assert rate.reasoning


def test_no_shipped_rate_claims_to_be_measured_on_a_gpu() -> None:
    assert {rate.basis for rate in read_rates(SHIPPED_RATES).values()} == {"estimate"}


def test_the_shipped_sizes_cover_the_paper() -> None:
    sizes = measure(PAPER.model_copy(update={"results": "none"}), read_sizes())
    assert sizes.questions["LogicVista"].number == 447
    assert all(count.basis != "unknown" for count in sizes.questions.values())


def test_rates_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    write_rates(path, [RATE])
    assert read_rates(path) == {("generate_candidates", "10B"): RATE}


@pytest.mark.parametrize("read", [read_rates, read_sizes])
def test_a_bad_table_is_one_line(tmp_path: Path, read: object) -> None:
    assert callable(read)
    shipped = SHIPPED_RATES if read is read_rates else SHIPPED_SIZES
    path = tmp_path / "table.csv"
    path.write_text(re.sub("estimate", "certain", shipped.read_text(), count=1))
    with pytest.raises(InputError, match=rf"{path}:\d+: basis: "):
        read(path)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.csv")


# Sizes


def test_files_that_are_there_are_counted(tmp_path: Path) -> None:
    questions, solutions = tmp_path / "questions.jsonl", tmp_path / "solutions.jsonl"
    questions.write_text("".join(f'{{"datasource": "{d}"}}\n' for d in "aabab"))
    rows = [{"response": {"steps": ["s"] * n}} for n in (1, 2, 4)]
    solutions.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    benchmark = {"questions": str(questions), "images": "i"}
    config = load_config(
        {
            "results": str(tmp_path / "results"),
            "benchmarks": {
                "a": benchmark,
                "b": benchmark,
                "first": benchmark | {"datasource": "a", "limit": 2},
                "all": benchmark | {"datasource": "*"},
                "gone": {"questions": "none.jsonl", "images": "i", "datasource": "*"},
            },
            "step_level": {"solutions": str(solutions), "limit": 2},
            "verifier": {"model": "owner/verifier"},
        }
    )
    sizes = measure(config, {})
    numbers = {name: count.number for name, count in sizes.questions.items()}
    assert numbers == {"a": 3, "b": 2, "first": 2, "all": 5, "gone": 0}
    assert (sizes.solutions.number, sizes.steps.number) == (2, 3)
    assert sizes.questions["gone"].basis == "unknown"
    assert sizes.assumed == ["gone: no file, and no known size: not counted"]


# Measured rates


def test_a_rate_is_the_mean_over_the_units_of_all_jobs() -> None:
    first = Measurement(10, 20, 100, Statistics(paid=30, prompt_tokens=300, completion_tokens=60))
    second = Measurement(30, 20, 300, Statistics(paid=10, prompt_tokens=500, completion_tokens=20))
    rate = rate_from(("r", "m"), "candidate", [first, second])
    assert (rate.seconds, rate.calls, rate.bytes) == (1, 1, 10)
    assert (rate.prompt_tokens, rate.completion_tokens) == (20, 2)
    assert rate.basis == "measured"


@given(st.lists(st.builds(Statistics, *[st.integers(0, 2**40)] * 8), min_size=1))
def test_a_log_tells_its_last_statistics(runs: list[Statistics]) -> None:
    log = "".join(f"12:00:00 {statistics}\nother words\n" for statistics in runs)
    assert Statistics.last_in(log) == runs[-1]


def test_a_log_without_statistics_has_none() -> None:
    assert Statistics.last_in("12:00:00 judge: 3 of 3 replies\n") is None


# The text


@given(st.floats(1, 1e15))
def test_numbers_keep_three_digits(number: float) -> None:
    text = short(number)
    factor = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1], 1)
    assert float(text.rstrip("kMGT")) * factor == pytest.approx(number, rel=0.0051)
    assert len(text) <= 5 or number > 1e15 * 0.999


def test_a_plan_adds_up_by_rule_and_ends_with_the_jobs() -> None:
    jobs = [job(), job(), job(gpus=0), job("plot_gate", is_local=True)]
    groups = group_jobs((one, cost_of(RATE, one=one)) for one in jobs)
    assert [(group.rule, group.kind, group.jobs) for group in groups] == [
        ("generate_candidates", "GPU", 2),
        ("generate_candidates", "CPU", 1),
        ("plot_gate", "local", 1),
    ]
    text = render(groups, 5, ["a note"])
    assert re.search(r"^total +4 +\S+ +720 +5.04k +7.92k +3.13kB$", text, re.MULTILINE)
    assert "- a note\n" in text
    assert "~" not in text
    assert text.splitlines()[-1] == (
        "5 jobs are done, 4 to do: 1 where Snakemake runs; "
        "3 submitted on a cluster, 2 of them with GPUs"
    )


def test_an_estimate_is_marked_and_a_gap_too() -> None:
    estimate = RATE.model_copy(update={"basis": "estimate"})
    text = render(group_jobs([(job(), cost_of(estimate)), (job(), Cost(is_partial=True))]), 0, [])
    assert re.search(r"^total .* ~240\+\? ", text, re.MULTILINE)
    assert "- ~ rests on an estimate" in text
    assert "- ? is not counted" in text


def test_nothing_to_do_is_said() -> None:
    assert render([], 7, []).endswith(
        "7 jobs are done, 0 to do: 0 where Snakemake runs; "
        "0 submitted on a cluster, 0 of them with GPUs"
    )
