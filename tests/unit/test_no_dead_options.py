"""Every key of the configuration has an effect.

Sampling, scoring, endpoint and decoding options are shown to act by the tests of their modules;
here are those of the vllm backend, and that the rules pass on what the configuration holds.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from evpv_prm.config import (
    Benchmark,
    BestOfN,
    Candidates,
    Config,
    Diagrams,
    Figures,
    ImageDescription,
    Model,
    Scoring,
    VllmOptions,
    load_config,
)
from evpv_prm.config_data import DataSet, DatasetDownload, ModelDownload, PairExtraction
from evpv_prm.config_intervention import Describing, Intervention, SolutionJudging, Solving
from evpv_prm.config_judge import JudgeReply
from evpv_prm.config_stages import StageGains
from evpv_prm.config_step_level import (
    AblationSuite,
    ConstraintCorruption,
    StepGate,
    StepJudging,
    StepLevel,
)
from evpv_prm.config_teacher import (
    Preferences,
    TeacherData,
    TeacherDescriptions,
    TeacherSteps,
    TrainingFiles,
)
from evpv_prm.config_training import StepJudgeSft, Trainings, VisionDpo, VisionSft
from evpv_prm.engine import vllm as engine
from evpv_prm.engine.vllm import VllmEngine
from evpv_prm.options import render_options

ROOT = Path(__file__).resolve().parents[2]
RULES = "\n".join(path.read_text() for path in sorted(ROOT.glob("rules/*.smk")))

OTHER_VLLM_VALUES: dict[str, Any] = {
    "dtype": "float32",
    "max_model_len": 99,
    "tensor_parallel_size": 2,
    "gpu_memory_utilization": 0.25,
    "max_num_batched_tokens": 640,
    "enable_prefix_caching": False,
    "enforce_eager": True,
    "trust_remote_code": True,
    "max_images": 3,
    "mm_processor_kwargs": {"max_pixels": 784},
    "cpu_kv_cache_gib": 2.5,
}


@pytest.fixture
def vllm_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function: the arguments and environment with which a model starts vLLM."""
    started: dict[str, Any] = {}

    class Recorder:
        def __init__(self, **arguments: Any) -> None:
            started.update(arguments)

        def get_tokenizer(self) -> None: ...

    vllm, torch = ModuleType("vllm"), ModuleType("torch")
    vllm.LLM = Recorder  # type: ignore[attr-defined]
    tokenizer = SimpleNamespace(is_fast=True, decode=lambda *_: "")
    monkeypatch.setattr(engine, "load_tokenizer", lambda _: tokenizer)
    monkeypatch.setattr(engine, "core_tied_to_this_process", lambda: nullcontext(Path("reason")))
    monkeypatch.setattr(engine, "PromptRenderer", lambda *_: None)
    monkeypatch.setattr(engine, "check_compiler", lambda _: None)
    torch.cuda = SimpleNamespace(  # type: ignore[attr-defined]
        is_available=lambda: True,
        device_count=lambda: 8,
        get_device_properties=lambda _: SimpleNamespace(total_memory=80e9),
    )
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setitem(sys.modules, "torch", torch)
    # What a test with a real engine has left.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VLLM_")}

    def settings(**fields: Any) -> dict[str, Any]:
        started.clear()
        os.environ.clear()
        os.environ.update(environment)
        VllmEngine(Model.model_validate({"model": "org/name", **fields}))
        changed = {k: v for k, v in os.environ.items() if environment.get(k) != v}
        return {**started, **changed}

    yield settings
    os.environ.clear()
    os.environ.update(environment)


def test_every_option_of_vllm_is_tried() -> None:
    assert set(OTHER_VLLM_VALUES) == set(VllmOptions.model_fields)


@pytest.mark.parametrize("name", OTHER_VLLM_VALUES)
def test_an_option_of_vllm_changes_how_it_starts(name: str, vllm_settings: Any) -> None:
    usual, other = vllm_settings(), vllm_settings(vllm={name: OTHER_VLLM_VALUES[name]})
    changed = {key for key in usual | other if usual.get(key) != other.get(key)}
    assert len(changed) == 1
    assert str(OTHER_VLLM_VALUES[name]) in str(other[changed.pop()])


@pytest.mark.parametrize(
    ("field", "value", "argument"),
    [
        ("model", "other", "model"),
        ("revision", "v1", "revision"),
        ("concurrency", 3, "max_num_seqs"),
    ],
)
def test_a_model_is_started_as_it_is_named(
    field: str, value: Any, argument: str, vllm_settings: Any
) -> None:
    usual, other = vllm_settings(), vllm_settings(**{field: value})
    assert other[argument] == value
    assert usual[argument] != value


def leaves(section: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in section:
        if isinstance(value, BaseModel):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def other_value(section: BaseModel, path: tuple[str, ...], value: Any) -> BaseModel:
    name, *rest = path
    inner = other_value(getattr(section, name), tuple(rest), value) if rest else value
    return section.model_copy(update={name: inner})


@pytest.mark.parametrize(
    "section",
    [
        Candidates(),
        Scoring(),
        ImageDescription(),
        Model(model="m"),
        ModelDownload(repository="owner/name"),
        DatasetDownload(),
        PairExtraction(),
        TrainingFiles(),
        TeacherDescriptions(),
        TeacherSteps(),
        Preferences(),
        VisionSft(),
        VisionDpo(),
        StepJudgeSft(),
        JudgeReply(),
        StepJudging(),
        StepGate(),
        ConstraintCorruption(),
        AblationSuite(),
        Describing(),
        Solving(),
        SolutionJudging(),
    ],
    ids=lambda section: type(section).__name__,
)
def test_every_option_of_a_command_changes_its_flags(section: BaseModel) -> None:
    usual = render_options(section)
    for path, value in leaves(section):
        changed = render_options(other_value(section, path, f"not {value}"))
        assert len(set(changed) - set(usual)) == 1, path


@pytest.mark.parametrize(
    "name", sorted({*Config.model_fields, "judge_reply"} - JudgeReply.model_fields.keys())
)
def test_rules_use_every_section(name: str) -> None:
    assert re.search(rf"\bCONFIG\.{name}\b", RULES)


def test_the_form_of_the_judge_s_reply_is_a_section_of_its_own() -> None:
    config = load_config({"judge_form": "evidence_then_verdict", "max_evidence_characters": 44})
    form = JudgeReply(judge_form="evidence_then_verdict", max_evidence_characters=44)
    assert config.judge_reply == form


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("best_of_n", BestOfN.model_fields),
        ("figures", Figures.model_fields),
        ("diagrams", Diagrams.model_fields),
        ("data_set", DataSet.model_fields),
        ("teacher_data", TeacherData.model_fields),
        ("training", Trainings.model_fields),
        ("step_level", StepLevel.model_fields),
        ("intervention", Intervention.model_fields),
        ("stages", StageGains.model_fields),
    ],
)
def test_rules_use_every_key_of_a_section(section: str, names: Collection[str]) -> None:
    assert [n for n in names if not re.search(rf"\bCONFIG\.{section}\.{n}\b", RULES)] == []


def test_rules_use_every_key_of_a_benchmark() -> None:
    used = set(re.findall(r"\bbenchmark\.(\w+)", RULES))
    used |= set(re.findall(r"\bCONFIG\.benchmarks\[[^]]+\]\s*\.(\w+)", RULES))
    assert set(Benchmark.model_fields) <= used
