"""What the rules need from the package: code digests, and the files of questions and models.

Imported by the Snakefile, so it must load quickly.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from evpv_prm.config import Config, Model
from evpv_prm.errors import UserError

PACKAGE = Path(__file__).parent
MODELS = Path("data/models")
"""Folder of the models that are downloaded, each by its name in the configuration."""

LOOKS = {"plan", "rates", "status"}
"""Targets that look at the workflow and run none of its jobs."""

PLAN_VARIABLE = "EVPV_PRM_PLAN"
"""Environment variable that is set while the DAG is built for a plan, which nothing runs."""

MANIFEST = "download.json"
"""What a download writes last into its folder, as `evpv_prm.data.download` does."""


def code_digest(*modules: str) -> str:
    """Return a digest of modules of this package and of all that they import from it.

    A folder that is no module, such as one of assets, counts with the files in it.

    A rule holds the digest of the modules that it runs as a parameter: when the code changes, it
    runs again, and nothing else does.

    Args:
        modules: dotted names without the package's own, such as "metrics.best_of_n".
    """
    files = sorted(set().union(*(_closure(_files(module)) for module in modules)))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(PACKAGE).as_posix()}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def job_environment(repository: Path | str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which a job finds the code of a repository and draws no bars.

    As variables, these paths are no part of a rule: to move the repository makes nothing run again.
    Bars of tqdm, which the model libraries draw, are no use in a log.
    """
    known = environ.get("PYTHONPATH")
    return {
        "SCRIPTS": f"{repository}/scripts",
        "PYTHONPATH": f"{repository}{os.pathsep}{known}" if known else str(repository),
        "TQDM_DISABLE": "1",
    }


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _files(module: str) -> list[Path]:
    folder = PACKAGE.joinpath(*module.split("."))
    if folder.is_dir() and not (folder / "__init__.py").exists():
        return [path for path in folder.iterdir() if path.is_file()]
    return [_file(module)]


def _closure(files: Sequence[Path]) -> set[Path]:
    seen: set[Path] = set()
    queue = list(files)
    while queue:
        current = queue.pop()
        if current not in seen:
            seen.add(current)
            queue.extend(_imports(current))
    return seen


@cache
def _imports(file: Path) -> frozenset[Path]:
    """The package's own files that a file imports, wherever the import stands."""
    found: set[Path] = set()
    if file.suffix != ".py":
        return frozenset(found)
    for node in ast.walk(ast.parse(file.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import name` may import a module or a name of the package.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            package, _, module = name.partition(".")
            if package == PACKAGE.name and module and _file(module).is_file():
                found.add(_file(module))
    return frozenset(found)


def question_files(config: Config, *benchmarks: str, is_plan: bool = False) -> list[str]:
    """Return the questions files of these benchmarks, each once; of all when none is named.

    A plan does without those that are neither there nor made by a rule.

    Raises:
        UserError: there are such files, and this is no plan; the line names all of them.
    """
    files = sorted({config.benchmarks[name].questions for name in benchmarks or config.benchmarks})
    missing = [file for file in files if not (_is_made(config, file) or Path(file).is_file())]
    if missing and not is_plan:
        raise UserError(
            f"{', '.join(missing)}: no such file; docs/data.md says where the questions come from, "
            "benchmarks.NAME.questions in the configuration where they are"
        )
    return [file for file in files if file not in missing]


def solution_files(config: Config, *, is_plan: bool = False) -> list[str]:
    """Return the file of labelled solutions; none where no step-level experiment is configured.

    A plan does without one that is neither there nor made by a rule.

    Raises:
        UserError: it is neither, and this is no plan.
    """
    if config.step_level is None:
        return []
    file = config.step_level.solutions
    if not (_is_made(config, file) or Path(file).is_file()):
        if is_plan:
            return []
        raise UserError(
            f"{file}: no such file; docs/data.md says where the labelled solutions come from, "
            "step_level.solutions in the configuration where they are; `step_level: null` does "
            "without the step-level experiments"
        )
    return [file]


def model_files(config: Config, model: Model) -> list[str]:
    """Return the files that a rule depends on which asks a model; see `checkpoint_files`.

    An API's model is no file.
    """
    return [] if model.backend == "api" else checkpoint_files(config, model.model)


def checkpoint_files(config: Config, checkpoint: str) -> list[str]:
    """Return what a rule depends on that reads a checkpoint: what a rule makes, or what is there.

    A download is known by the file that it writes last. A hub name is no file.
    """
    if Path(checkpoint) in {MODELS / name for name in config.downloads}:
        return [f"{checkpoint}/{MANIFEST}"]
    is_folder = _is_made(config, checkpoint) or Path(checkpoint).is_dir()
    return [checkpoint] if is_folder else []


def annotation_files(config: Config, *, is_plan: bool = False) -> list[str]:
    """Return the annotation files of the data set; its folders where a rule makes them.

    Where there are none, a plan takes what the download of the data set makes.

    Raises:
        UserError: there are none, and this is no plan.
    """
    folder = Path(config.data_set.folder)
    if _is_made(config, str(folder)):
        return [str(folder / "annotations"), str(folder / "images")]
    files = sorted(str(path) for path in (folder / "annotations").rglob("*.jsonl"))
    if not files and is_plan:
        return [f"{folder}/{MANIFEST}"]
    if not files:
        raise UserError(
            f"{folder / 'annotations'}: no annotation files (*.jsonl); `snakemake "
            "download_visualprm400k` fetches them, data_set.folder in the configuration says where "
            "they are, and a verifier.model outside the results needs none"
        )
    return files


def _is_made(config: Config, file: str) -> bool:
    return Path(file).is_relative_to(config.results)
