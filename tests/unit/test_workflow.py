"""What the rules ask of the package: digests of code, files of models."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evpv_prm import workflow
from evpv_prm.config import Model, load_config
from evpv_prm.data import download
from evpv_prm.errors import UserError
from evpv_prm.workflow import (
    MANIFEST,
    annotation_files,
    checkpoint_files,
    code_digest,
    job_environment,
    model_files,
    solution_files,
)

MODULES = {
    "__init__": "",
    "stage": "from evpv_prm import helper\nimport evpv_prm.deep.inner\nimport json\n",
    "helper": "from evpv_prm.names import NAME\n",
    "names": "NAME = 1\n",
    "late": "def load():\n    if True:\n        from evpv_prm.heavy import Engine\n",
    "heavy": "class Engine: ...\n",
    "unrelated": "import evpv_prm.helper\n",
    "circle_a": "import evpv_prm.circle_b\n",
    "circle_b": "import evpv_prm.circle_a\n",
    "deep/__init__": "from evpv_prm.deep.shared import x\n",
    "deep/inner": "y = 1\n",
    "deep/shared": "x = 1\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Path]:
    """Return a function that writes a package with changes and makes it the one that is read."""
    versions = iter(range(1000))

    def write(changes: dict[str, str]) -> Path:
        folder = tmp_path / str(next(versions)) / "evpv_prm"
        for name, source in (MODULES | changes).items():
            path = folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        monkeypatch.setattr(workflow, "PACKAGE", folder)
        return folder

    return write


@pytest.mark.parametrize(
    ("module", "changed", "expected"),
    [
        ("stage", "stage", True),
        ("stage", "helper", True),
        ("stage", "names", True),
        ("stage", "deep/inner", True),
        ("stage", "unrelated", False),
        ("stage", "heavy", False),
        ("names", "stage", False),
        ("late", "heavy", True),
        ("unrelated", "names", True),
        ("circle_a", "circle_b", True),
        ("deep.inner", "deep/inner", True),
        ("deep.inner", "stage", False),
        ("deep", "deep/shared", True),
    ],
)
def test_a_digest_changes_with_what_a_module_imports(
    module: str, changed: str, expected: bool, package: Callable[[dict[str, str]], Path]
) -> None:
    package({})
    before = code_digest(module)
    package({changed: MODULES[changed] + "# changed\n"})
    assert (code_digest(module) != before) == expected


def test_a_folder_of_assets_counts_with_all_of_its_files(
    package: Callable[[dict[str, str]], Path],
) -> None:
    digests = []
    for content in ("p {}", "p { color: red }"):
        folder = package({})
        (folder / "assets").mkdir()
        (folder / "assets/style.css").write_text(content)
        digests.append(code_digest("stage", "assets"))
    assert len({*digests, code_digest("stage")}) == 3


def test_several_modules_have_one_digest(package: Callable[[dict[str, str]], Path]) -> None:
    package({})
    both = code_digest("names", "heavy")
    assert both == code_digest("heavy", "names")
    assert len({both, code_digest("names"), code_digest("heavy")}) == 3


def test_where_a_package_lies_does_not_matter(
    package: Callable[[dict[str, str]], Path],
) -> None:
    package({})
    before = code_digest("stage")
    package({})
    assert code_digest("stage") == before


def test_the_engines_that_a_stage_opens_late_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: code_digest(name) for name in ("evpv_prm_inference", "tables")}
    copy = tmp_path / "evpv_prm"
    shutil.copytree(workflow.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(workflow, "PACKAGE", copy)
    assert {name: code_digest(name) for name in before} == before
    changed = tmp_path / "changed" / "evpv_prm"
    shutil.copytree(copy, changed)
    with (changed / "engine/vllm.py").open("a") as stream:
        stream.write("# changed\n")
    monkeypatch.setattr(workflow, "PACKAGE", changed)
    assert code_digest("evpv_prm_inference") != before["evpv_prm_inference"]
    assert code_digest("tables") == before["tables"]


def test_a_module_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        code_digest("no_such_module")


def test_a_rule_depends_on_folders_that_are_made_or_there(tmp_path: Path) -> None:
    config = load_config({"results": "results/mine"})
    (tmp_path / "model").mkdir()
    assert model_files(config, Model(model="results/mine/models/tuned")) == [
        "results/mine/models/tuned"
    ]
    assert model_files(config, Model(model=str(tmp_path / "model"))) == [str(tmp_path / "model")]
    assert model_files(config, Model(model="OpenGVLab/InternVL2_5-8B")) == []
    assert model_files(config, Model(model="results/minelike")) == []
    api = Model(backend="api", model=str(tmp_path / "model"), base_url="http://h/v1")
    assert model_files(config, api) == []


def test_the_labelled_solutions_are_there_made_or_not_wanted(tmp_path: Path) -> None:
    assert solution_files(load_config({"step_level": None})) == []
    made = "results/world/v.jsonl"
    assert solution_files(load_config({"step_level": {"solutions": made}})) == [made]
    file = tmp_path / "v.jsonl"
    config = load_config({"step_level": {"solutions": str(file)}})
    with pytest.raises(UserError, match=r"v\.jsonl: no such file; docs/data\.md says where"):
        solution_files(config)
    file.touch()
    assert solution_files(config) == [str(file)]


# What the chain depends on


def test_a_download_is_known_by_the_file_that_is_written_last() -> None:
    config = load_config({})
    base = config.training.base
    assert checkpoint_files(config, base) == [f"{base}/download.json"]
    assert MANIFEST == download.MANIFEST
    assert checkpoint_files(config, "owner/name") == []


def test_the_default_verifier_is_made_by_the_trainings() -> None:
    config = load_config({})
    assert model_files(config, config.verifier) == [config.verifier.model]


def test_annotations_are_found_at_any_depth(tmp_path: Path) -> None:
    config = load_config({"data_set": {"folder": str(tmp_path)}})
    with pytest.raises(UserError, match="no annotation files"):
        annotation_files(config)
    for name in ("b.jsonl", "deep/a.jsonl", "deep/readme.md"):
        path = tmp_path / "annotations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = annotation_files(config)
    assert found == [str(tmp_path / "annotations" / name) for name in ("b.jsonl", "deep/a.jsonl")]


def test_a_data_set_that_a_rule_makes_is_not_looked_for() -> None:
    config = load_config({"data_set": {"folder": "results/visualprm"}})
    assert annotation_files(config) == [
        "results/visualprm/annotations",
        "results/visualprm/images",
    ]


def test_jobs_find_the_code_of_the_repository_first() -> None:
    assert job_environment("/code", {}) == {
        "SCRIPTS": "/code/scripts",
        "PYTHONPATH": "/code",
        "TQDM_DISABLE": "1",
    }
    assert job_environment("/code", {"PYTHONPATH": "/own"})["PYTHONPATH"] == "/code:/own"
