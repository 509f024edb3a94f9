"""The configuration: the paper's defaults, its refusals, its generated files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from evpv_prm import cli, config_docs
from evpv_prm.config import (
    ApiOptions,
    BestOfN,
    Candidates,
    Config,
    Model,
    Scoring,
    VllmOptions,
    load_config,
)
from evpv_prm.config_step_level import StepGate, StepJudging, StepLevel
from evpv_prm.errors import UserError
from evpv_prm.section import Section

STEP_LEVEL = (StepLevel, StepJudging, StepGate)
ROOT = Path(__file__).resolve().parents[2]


def sections(model: type[BaseModel] = Section) -> Iterator[type[BaseModel]]:
    for section in model.__subclasses__():
        yield section
        yield from sections(section)


def refusal(values: Mapping[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        load_config(values)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_name_the_experiment_of_the_paper() -> None:
    config = Config()
    assert set(config.benchmarks) == {
        "MMMU", "MathVista", "MathVision", "MathVerse-VO", "WeMath", "LogicVista",
    }  # fmt: skip
    assert {model.model for model in config.policies.values()} == {
        "data/models/InternVL2_5-8B",
        "data/models/InternVL2_5-26B",
        "data/models/InternVL2_5-38B",
    }
    models = {config.training.base, *(model.model for model in config.policies.values())}
    assert {f"data/models/{name}" for name in config.downloads} == models
    assert {policy.backend for policy in config.policies.values()} == {"vllm"}
    assert config.teacher.backend == "api"
    assert config.teacher.model == "qwen3-vl-235b-a22b-instruct"
    assert config.verifier.vllm.mm_processor_kwargs == {"max_pixels": 1024 * 28 * 28}
    assert config.benchmarks["MMMU"].questions.endswith("mmmu.jsonl")
    assert all(b.datasource == name for name, b in config.benchmarks.items())
    assert {b.questions for name, b in config.benchmarks.items() if name != "MMMU"} == {
        "data/benchmarks/benchmarks.jsonl"
    }


def test_downloads_of_ones_own_stand_beside_the_shipped() -> None:
    downloads = load_config({"downloads": {"mine": {"repository": "owner/mine"}}}).downloads
    assert downloads.keys() == {*Config().downloads, "mine"}


def test_default_sampling_is_that_of_the_reference() -> None:
    candidates, scoring = Config().candidates, Config().scoring
    assert candidates.num_candidates == 8
    assert (candidates.temperature_low, candidates.temperature_high) == (1.05, 1.45)
    assert (candidates.top_p_low, candidates.top_p_high) == (0.70, 0.90)
    assert candidates.repetition_penalty == 1.08
    assert candidates.presence_penalty == 0.6
    assert candidates.frequency_penalty == 0.3
    assert candidates.max_tokens == 4096
    for decoding in (scoring.describe, scoring.audit, scoring.judge):
        assert (decoding.temperature, decoding.top_p) == (0.1, 1.0)
    assert scoring.describe.max_tokens == scoring.audit.max_tokens == 2048
    assert scoring.judge.max_tokens == 256
    assert scoring.history_steps == 12
    assert Config().verifier.vllm.max_model_len == 20480
    for policy in Config().policies.values():
        # MMMU's seven pictures, each of 12 tiles and a thumbnail of 256 tokens, and the reply
        assert policy.vllm.max_images == 7
        assert policy.vllm.max_model_len > 7 * 13 * 256 + candidates.max_tokens
    assert len(Config().best_of_n.aggregations) == 5


def test_every_key_is_explained() -> None:
    unexplained = [
        f"{section.__name__}.{name}"
        for section in sections()
        for name, field in section.model_fields.items()
        if not field.description
    ]
    assert unexplained == []


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"sharts": 2}, ["sharts", "unknown key"]),
        ({"scoring": {"judge": {"temprature": 0}}}, ["scoring.judge.temprature", "unknown key"]),
        ({"shards": 0}, ["shards", "0", "greater than or equal to 1"]),
        ({"shards": "many"}, ["shards", "'many'", "integer"]),
        ({"seed": -1}, ["seed", "-1", "greater than or equal to 0"]),
        ({"max_failures": 1.5}, ["max_failures", "1.5", "less than or equal to 1"]),
        ({"step_level": {"judging": {"block": 2}}}, ["step_level.judging.block", "unknown key"]),
        (
            {"step_level": {"judging": {"block_size": 6}}},
            ["step_level.judging.block_size", "6", "less than or equal to 5"],
        ),
        (
            {"intervention": {"describing": {"min_errors": 4, "max_errors": 3}}},
            ["intervention.describing", "min_errors (4)", "max_errors (3)"],
        ),
        (
            {"intervention": {"policies": ["other"]}},
            ["intervention.policies", "'other'", "InternVL2.5-8B"],
        ),
        (
            {"intervention": {"benchmarks": ["other"]}},
            ["intervention.benchmarks", "'other'", "MathVista"],
        ),
        ({"benchmarks": {}}, ["benchmarks", "at least 1"]),
        ({"benchmarks": {"A": {"questions": "q"}}}, ["benchmarks.A.images", "required"]),
        ({"benchmarks": {"a/b": {"questions": "q", "images": "i"}}}, ["a/b", "pattern"]),
        ({"benchmarks": ["A"]}, ["benchmarks", "['A']", "dictionary"]),
        ({"policies": {"P": {"vllm": {}}}}, ["policies.P.model", "required"]),
        ({"verifier": None}, ["verifier", "None", "dictionary"]),
        ({"verifier": {"backend": "grpc"}}, ["verifier.backend", "'grpc'", "'vllm'", "'api'"]),
        ({"verifier": {"backend": "api"}}, ["verifier", "backend api", "base_url"]),
        ({"scoring": {"judge": {"temperature": float("inf")}}}, ["temperature", "inf", "finite"]),
        (
            {"candidates": {"temperature_low": 2.0}},
            ["candidates", "temperature_low (2.0)", "temperature_high (1.45)"],
        ),
        (
            {"candidates": {"top_p_low": 0.5, "top_p_high": 0.25}},
            ["candidates", "top_p_low (0.5)", "top_p_high (0.25)"],
        ),
        ({"candidates": {"num_candidates": 65}}, ["num_candidates", "65", "64"]),
        ({"best_of_n": {"aggregations": ["mean"]}}, ["best_of_n.aggregations", "'mean'", "streak"]),
        (
            {"best_of_n": {"aggregations": ["streak_score"]}},
            ["figures.aggregation", "'geometric_mean'", "['streak_score']"],
        ),
    ],
)
def test_invalid_configuration_is_one_line(values: dict[str, Any], parts: list[str]) -> None:
    message = refusal(values)
    assert message.startswith("config: ")
    assert [part for part in parts if part not in message] == []


def test_a_section_keeps_the_defaults_of_what_it_leaves_out() -> None:
    config = load_config(
        {"verifier": {"model": "other"}, "teacher": {"vllm": {"max_images": 2}}, "seed": 3}
    )
    expected = Config()
    assert config.verifier == expected.verifier.model_copy(update={"model": "other"})
    assert config.teacher == expected.teacher.model_copy(update={"vllm": VllmOptions(max_images=2)})
    assert config.seed == 3
    assert config.scoring == expected.scoring


def test_naming_policies_or_benchmarks_leaves_the_others_out() -> None:
    config = load_config(
        {
            "policies": {"Mine": {"model": "mine"}},
            "benchmarks": {"Own": {"questions": "q.jsonl", "images": "i"}},
        }
    )
    assert config.policies == {"Mine": Model(model="mine")}
    assert list(config.benchmarks) == ["Own"]


def test_the_step_level_experiments_can_be_left_out() -> None:
    assert load_config({"step_level": None}).step_level is None
    changed = load_config({"step_level": {"judging": {"block_size": 5}}}).step_level
    usual = Config().step_level
    assert changed is not None
    assert usual is not None
    judging = usual.judging.model_copy(update={"block_size": 5})
    assert changed == usual.model_copy(update={"judging": judging})


def test_the_intervention_can_be_left_out() -> None:
    assert load_config({"intervention": None}).intervention is None
    changed = load_config({"intervention": {"describing": {"noise_by": "teacher"}}}).intervention
    usual = Config().intervention
    assert changed is not None
    assert usual is not None
    describing = usual.describing.model_copy(update={"noise_by": "teacher"})
    assert changed == usual.model_copy(update={"describing": describing})


def test_the_default_intervention_is_that_of_the_reference() -> None:
    intervention = Config().intervention
    assert intervention is not None
    solver, oracle = intervention.solving.solver, intervention.describing.oracle
    assert solver.model_dump() == {"temperature": 0.2, "top_p": 0.9, "max_tokens": 2048}
    assert oracle.model_dump() == {"temperature": 0.2, "top_p": 0.95, "max_tokens": 2048}
    assert intervention.judging.judge.max_tokens == 128
    assert intervention.judging.history_steps == 12


def test_default_step_judging_is_that_of_the_reference() -> None:
    step_level = Config().step_level
    assert step_level is not None
    judging = step_level.judging
    assert judging.caption.model_dump() == {"temperature": 0.2, "top_p": 0.9, "max_tokens": 512}
    assert judging.judge.model_dump() == {"temperature": 0.0, "top_p": 1.0, "max_tokens": 8}
    assert (judging.history_steps, judging.block_size) == (None, 1)


def test_values_cannot_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().shards = 3  # type: ignore[misc]


# The generated files


def test_shipped_file_is_the_default_configuration() -> None:
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert load_config(values) == Config()
    assert set(values) == set(Config.model_fields)


def test_generated_files_are_up_to_date() -> None:
    assert config_docs.main(["--check", "--root", str(ROOT)]) == 0


def test_a_file_that_drifted_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert config_docs.main(["--root", str(tmp_path)]) == 0
    assert config_docs.main(["--check", "--root", str(tmp_path)]) == 0
    for path in config_docs.FILES:
        content = (tmp_path / path).read_text()
        (tmp_path / path).write_text(content.replace(content.split()[-1], ""))
        assert cli.run(lambda: config_docs.main(["--check", "--root", str(tmp_path)])) == 2
        assert str(path) in capsys.readouterr().err
        (tmp_path / path).unlink()
        assert cli.run(lambda: config_docs.main(["--check", "--root", str(tmp_path)])) == 2
        assert str(path) in capsys.readouterr().err
        (tmp_path / path).write_text(content)


def test_every_key_stands_in_the_file_and_in_the_reference() -> None:
    shipped, reference = config_docs.render_yaml(), config_docs.render_reference()
    words = " ".join(line.strip().removeprefix("# ") for line in shipped.splitlines())
    engine = (Model, VllmOptions, ApiOptions)
    for section in (Config, *engine, Candidates, Scoring, BestOfN, *STEP_LEVEL):
        for name, field in section.model_fields.items():
            assert f"{name}:" in shipped, name
            assert field.description
            assert " ".join(field.description.split()) in words, name
            assert f"| `{name}` |" in reference


def test_schema_accepts_the_shipped_file_and_refuses_what_the_model_refuses() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(config_docs.render_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    jsonschema.validate(values, schema)
    for broken in ({"sharts": 1}, {"shards": 0}, {"verifier": {"backend": "grpc", "model": "m"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values | broken, schema)


@pytest.mark.parametrize("path", sorted(ROOT.glob("profiles/*/experiment.yaml")), ids=str)
def test_profiles_are_valid(path: Path) -> None:
    assert load_config(yaml.safe_load(path.read_text())) != Config()
