"""Flags from configuration sections, and back."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from evpv_prm.config import (
    Aggregation,
    ApiOptions,
    BestOfN,
    Candidates,
    Decoding,
    JudgeDecoding,
    Model,
    Scoring,
    VllmOptions,
)
from evpv_prm.errors import UserError
from evpv_prm.options import add_options, read_options, render_options
from evpv_prm.section import Section

# A text field that may be null reads the word "null" as null.
texts = st.text(min_size=1).filter(lambda value: value != "null")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(), values, max_size=2),
    max_leaves=6,
)
objects = st.dictionaries(st.text(), json_values, max_size=3)
positive = st.integers(1, 10**6)
fractions = st.floats(0, 1, exclude_min=True)
sizes = st.floats(0, 1e6, exclude_min=True)
temperatures = st.floats(0, 3)


def ordered(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    return st.lists(values, min_size=2, max_size=2).map(sorted)


@st.composite
def candidates(draw: st.DrawFn) -> Candidates:
    temperature_low, temperature_high = draw(ordered(temperatures))
    top_p_low, top_p_high = draw(ordered(fractions))
    penalties = st.floats(-2, 2)
    return Candidates(
        num_candidates=draw(st.integers(1, 64)),
        temperature_low=temperature_low,
        temperature_high=temperature_high,
        top_p_low=top_p_low,
        top_p_high=top_p_high,
        repetition_penalty=draw(sizes),
        presence_penalty=draw(penalties),
        frequency_penalty=draw(penalties),
        max_tokens=draw(positive),
        max_steps=draw(positive),
        max_step_characters=draw(positive),
        letters_only=draw(st.booleans()),
    )


def decodings(section: type[Decoding]) -> st.SearchStrategy[Decoding]:
    return st.builds(section, temperature=temperatures, top_p=fractions, max_tokens=positive)


vllm_options = st.builds(
    VllmOptions,
    dtype=st.sampled_from(["auto", "bfloat16", "float16", "float32"]),
    max_model_len=st.integers(16, 10**6),
    tensor_parallel_size=positive,
    gpu_memory_utilization=fractions,
    max_num_batched_tokens=st.none() | st.integers(16, 10**6),
    enable_prefix_caching=st.booleans(),
    enforce_eager=st.booleans(),
    trust_remote_code=st.booleans(),
    max_images=positive,
    mm_processor_kwargs=objects,
    cpu_kv_cache_gib=sizes,
)
api_options = st.builds(
    ApiOptions,
    timeout_s=sizes,
    attempts=positive,
    backoff_s=sizes,
    structured_outputs=st.sampled_from(["vllm", "openai", "none"]),
    logprobs=st.booleans(),
    extra_body=objects.map(lambda body: {f"own_{key}": value for key, value in body.items()}),
)
addresses = st.sampled_from(["http://127.0.0.1:8000/v1", "https://api.example.org"])
models = st.builds(
    Model,
    backend=st.just("vllm"),
    model=st.text(min_size=1),
    revision=st.none() | texts,
    base_url=st.none() | addresses,
    api_key_env=st.none() | texts,
    concurrency=positive,
    vllm=vllm_options,
    api=api_options,
) | st.builds(Model, backend=st.just("api"), model=st.text(min_size=1), base_url=addresses)
scorings = st.builds(
    Scoring,
    describe=decodings(Decoding),
    audit=decodings(Decoding),
    judge=decodings(JudgeDecoding),
    history_steps=st.integers(0, 100),
    max_description_characters=positive,
    max_audit_errors=positive,
    max_audit_characters=positive,
)
best_of_n = st.builds(
    BestOfN,
    bootstrap_samples=positive,
    aggregations=st.lists(
        st.sampled_from(Aggregation.__args__),  # type: ignore[attr-defined]
        min_size=1,
    ),
)


def parser(section: type[BaseModel]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(allow_abbrev=False)
    made.add_argument("--seed", type=int)  # a flag of the command's own
    add_options(made, section)
    return made


def parse(section: type[Any], words: list[str]) -> Any:
    return read_options(parser(section).parse_args(words), section)


def leaves(section: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from ((name, *rest) for rest in leaves(nested))
        else:
            yield (name,)


@given(candidates() | models | scorings | best_of_n)
def test_flags_say_the_whole_section(options: Section) -> None:
    assert parse(type(options), [*render_options(options), "--seed", "3"]) == options


@pytest.mark.parametrize("options", [Candidates(), Scoring(), BestOfN()])
def test_defaults_need_no_flag(options: Section) -> None:
    assert render_options(options) == []
    assert parse(type(options), []) == options


def test_flags_read_as_a_person_types_them() -> None:
    options = parse(
        Model,
        ["--model", "m", "--backend", "api", "--base-url", "http://h/v1", "--no-api-logprobs",
         "--vllm-enforce-eager", "--vllm-mm-processor-kwargs", '{"max_pixels": 4}',
         "--vllm-max-num-batched-tokens=null", "--api-backoff-s", "0.5"],
    )  # fmt: skip
    assert options == Model(
        model="m",
        backend="api",
        base_url="http://h/v1",
        vllm=VllmOptions(enforce_eager=True, mm_processor_kwargs={"max_pixels": 4}),
        api=ApiOptions(logprobs=False, backoff_s=0.5),
    )
    assert parse(Candidates, ["--presence-penalty=-1.5"]).presence_penalty == -1.5
    assert parse(BestOfN, ["--aggregations", "streak_score", "geometric_mean"]).aggregations == [
        "streak_score",
        "geometric_mean",
    ]


def test_a_required_field_is_a_required_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(Model, [])
    assert caught.value.code == 2
    assert "--model" in capsys.readouterr().err


def test_a_text_that_cannot_be_null_may_be_the_word() -> None:
    assert parse(Model, ["--model=null"]).model == "null"


@pytest.mark.parametrize(
    ("section", "word", "allowed"),
    [
        (Candidates, "--num-candidates=0", "greater than or equal to 1"),
        (Candidates, "--num-candidates=65", "less than or equal to 64"),
        (Candidates, "--num-candidates=two", "integer"),
        (Candidates, "--num-candidates=null", "integer"),
        (Candidates, "--top-p-low=0", "greater than 0"),
        (Candidates, "--presence-penalty=-3", "greater than or equal to -2"),
        (Scoring, "--judge-max-tokens=-1", "greater than or equal to 1"),
        (Scoring, "--history-steps=1.5", "integer"),
        (BestOfN, "--aggregations=mean", "'correctness_rate'"),
        (Model, "--backend=grpc", "'vllm'"),
        (Model, "--vllm-max-num-batched-tokens=8", "greater than or equal to 16"),
        (Model, "--vllm-mm-processor-kwargs={", "JSON object"),
        (Model, "--vllm-mm-processor-kwargs=[1]", "dictionary"),
        (Model, "--api-timeout-s=0", "greater than 0"),
    ],
)
def test_a_bad_value_names_the_flag_and_what_is_allowed(
    section: type[Section], word: str, allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(section, ["--model=m", word] if section is Model else [word])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    flag, _, value = word.partition("=")
    assert f"argument {flag}: {value!r}: " in last
    assert allowed in last


@pytest.mark.parametrize("word", ["--num", "--max-token=3", "--temperature_low=1"])
def test_a_flag_is_given_in_full(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Candidates, [word])
    assert f"unrecognized arguments: {word}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "words", "message"),
    [
        (Model, ["--model=m", "--backend=api"], "backend api needs base_url"),
        (Model, ["--model=m", "--base-url=host:80/v1"], "--base-url: expected http://"),
        (Candidates, ["--temperature-low=2"], "temperature_low (2.0) must not exceed"),
        (Candidates, ["--temperature-high=inf"], "--temperature-high: .* finite"),
        (Scoring, ["--judge-temperature=inf"], "--judge-temperature: .* finite"),
    ],
)
def test_values_that_do_not_go_together_are_one_line(
    section: type[Section], words: list[str], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        parse(section, words)
    text = str(caught.value)
    assert "\n" not in text
    assert all(part in text for part in message.split(" .* "))


@pytest.mark.parametrize("section", [Candidates, Model, Scoring, BestOfN])
def test_help_explains_every_flag_with_its_default(section: type[Section]) -> None:
    shown = " ".join(parser(section).format_help().split())
    for path in leaves(section):
        assert f"--{'-'.join(path)}".replace("_", "-") in shown
    for name, field in section.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            assert " ".join((field.description or name).split()) in shown
    if section is Candidates:
        assert "(default: 4096)" in shown
