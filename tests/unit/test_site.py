"""What rules ask a cluster for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.config import Config, Model
from evpv_prm.errors import InputError
from evpv_prm.site import Site, load_site, requested_gpus, resources, serving_resources

SHIPPED = Path(__file__).parents[2] / "profiles/slurm/site.yaml"


def asked(found: Any, attempt: int = 1, wildcards: Any = None) -> dict[str, Any]:
    """The values that Snakemake gets for one job."""
    values = {}
    for name, value in found.items():
        if name in ("mem_mb", "runtime"):
            values[name] = value(wildcards, attempt)
        else:
            values[name] = value(wildcards) if callable(value) else value
    return values


def test_a_plain_site_asks_for_memory_and_time_alone() -> None:
    assert asked(resources(Site(), 4, 30)) == {"mem_mb": 4000, "runtime": 30}
    assert asked(resources(Site(), 4, 30, 0)) == {"mem_mb": 4000, "runtime": 30}


def test_gpus_by_number() -> None:
    site = Site(account="lab", cpu_partition="cpu", gpu_partition="fast", gpu_type="h100")
    assert asked(resources(site, 32, 60, 4)) == {
        "mem_mb": 128_000, "runtime": 60, "slurm_account": "lab", "nodes": 1, "gpu": 4,
        "gpu_model": "h100", "slurm_partition": "fast", "slurm_extra": "--signal=TERM@120",
    }  # fmt: skip
    assert asked(resources(site, 1, 10))["slurm_partition"] == "cpu"


@pytest.mark.parametrize(("kind", "word"), [(None, "gpu:2"), ("a100", "gpu:a100:2")])
def test_gpus_as_generic_resources(kind: str | None, word: str) -> None:
    found = asked(resources(Site(gpu_request="gres", gpu_type=kind), 1, 10, 2))
    assert found["gres"] == word
    assert found["nodes"] == 1
    assert "gpu" not in found


@pytest.mark.parametrize("request_by", ["gpu", "gres"])
@pytest.mark.parametrize("kind", [None, "a100"])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_gpus_of_a_job_are_read_in_all_words(
    request_by: Any, kind: str | None, count: int
) -> None:
    site = Site(gpu_request=request_by, gpu_type=kind)
    assert requested_gpus(asked(resources(site, 1, 10, count))) == count
    assert requested_gpus(asked(resources(site, 1, 10, lambda _: count))) == count


@pytest.mark.parametrize("request_by", ["gpu", "gres"])
def test_a_job_behind_an_api_asks_for_no_gpu(request_by: Any) -> None:
    site = Site(gpu_request=request_by, gpu_type="h100", cpu_partition="cpu", gpu_partition="fast")
    rule = resources(site, 32, 60, lambda wildcards: {"local": 2, "api": 0}[wildcards])
    found = asked(rule, wildcards="api")
    assert not any(found.get(name) for name in ("gpu", "gpu_model", "gres"))
    assert found["slurm_partition"] == "cpu"
    assert found["mem_mb"] == 32_000
    assert asked(rule, wildcards="local")["slurm_partition"] == "fast"


@given(st.integers(1, 100), st.integers(1, 5000), st.integers(0, 8), st.integers(1, 5000))
def test_an_attempt_gets_more_up_to_the_limit(
    memory: int, minutes: int, gpus: int, limit: int
) -> None:
    rule = resources(Site(max_runtime_min=limit), memory, minutes, gpus)
    first, second = asked(rule, 1), asked(rule, 2)
    assert second["mem_mb"] == 2 * first["mem_mb"]
    assert first["runtime"] <= second["runtime"] <= limit
    assert first["runtime"] == min(minutes, limit)


def test_memory_and_time_follow_from_the_size_of_a_model() -> None:
    def served(size: float | None, gpus: int) -> dict[str, Any]:
        vllm = {"tensor_parallel_size": gpus}
        model = Model.model_validate({"model": "m", "parameters_b": size, "vllm": vllm})
        return asked(serving_resources(Site(), model, 100))

    small, large = served(8, 1), served(38.4, 4)
    assert (small["gpu"], small["mem_mb"], small["runtime"]) == (1, 32_000, 100)
    assert (large["gpu"], large["mem_mb"], large["runtime"]) == (4, 4 * 35_200, 120)
    assert served(None, 1) == small


def test_a_model_behind_an_api_asks_for_little_and_no_gpu() -> None:
    teacher = Config().teacher
    assert asked(serving_resources(Site(), teacher, 100)) == {"mem_mb": 16_000, "runtime": 100}


def test_only_long_jobs_with_gpus_are_warned() -> None:
    site = Site(warning_s=30)
    assert asked(resources(site, 1, 600, 1))["slurm_extra"] == "--signal=TERM@30"
    assert "slurm_extra" not in asked(resources(site, 1, 10, 1))
    assert "slurm_extra" not in asked(resources(site, 1, 600))


def test_the_shipped_site_says_nothing() -> None:
    assert load_site(SHIPPED) == load_site(None) == Site()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("acount: x", ["acount", "not permitted"]),
        ("gpu_request: two", ["gpu_request", "'gpu' or 'gres'"]),
        ("[", ["not valid YAML"]),
    ],
)
def test_a_bad_site_is_one_line(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_site(file)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in [str(file), *words])


def test_a_missing_site_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_site(tmp_path / "none.yaml")
