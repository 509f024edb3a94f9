"""The demo's models have learned, and a part of the pipeline that does not work is seen by that.

Each sabotage changes one line of a copy of the package, as a mistake would, in a copy of the
finished demo. Snakemake makes again what depends on it, and the figures show it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real.demo import RESULTS
from tests.real.learning import figures, out_of_bounds
from tests.real.slurm.conftest import LOCALLY, Demo
from tests.workflow.project import REPOSITORY, Project

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]

BEST_OF_N = "metrics/best_of_n/tiny-InternVL2.5.json"
STAGES = "metrics/stages.json"


@dataclass(frozen=True)
class Sabotage:
    """A line of a file, what stands in its place, what is made again, and what then is amiss.

    `asks_again`: the change is in what the models are shown, which stored replies do not know.
    """

    file: str
    line: str
    instead: str
    target: str
    seen_by: str
    asks_again: bool = False


SABOTAGES = {
    "broken gate": Sabotage(
        "reward.py",
        "        reliability if index in visual and score == 1 else score\n",
        "        score\n",
        BEST_OF_N,
        "credit of visual steps, a fact wrong",
    ),
    "swapped label": Sabotage(
        "build_step_judge_sft_data.py",
        "prompts.judge_answer(result.evidence, result.score, reply)",
        "prompts.judge_answer(result.evidence, -result.score, reply)",
        STAGES,
        "macro-F1 of judged steps",
    ),
    "lost image": Sabotage(
        "engine/vllm.py",
        '    return picture.convert("RGB")\n',
        '    return PIL.Image.new("RGB", picture.size, "white")\n',
        STAGES,
        "facts that descriptions state",
        asks_again=True,
    ),
}


def test_the_figures_are_those_of_models_that_have_learned(demo: Demo) -> None:
    found = figures(demo.folder / RESULTS)
    assert not out_of_bounds(found), found


@pytest.mark.sabotage
@pytest.mark.parametrize("name", SABOTAGES)
def test_a_sabotage_is_seen(demo: Demo, name: str, tmp_path: Path) -> None:
    sabotage = SABOTAGES[name]
    project = copy(demo.folder, tmp_path / "copy")
    results = project.folder / RESULTS
    file = project.folder / "evpv_prm" / sabotage.file
    text = file.read_text()
    assert text.count(sabotage.line) == 1
    file.write_text(text.replace(sabotage.line, sabotage.instead))
    if sabotage.asks_again:
        shutil.rmtree(results / "store")
    words = ("--configfile", "experiment.yaml", "--", f"{RESULTS}/{sabotage.target}")
    run = project.run("snakemake", *LOCALLY, *words)
    assert run.status == 0, run.output
    found = figures(results)
    assert sabotage.seen_by in out_of_bounds(found), found


def copy(demo: Path, folder: Path) -> Project:
    """Copy a finished demo, its models as links, with a package of its own."""

    def copy_file(source: str, target: str) -> None:
        (os.link if source.endswith(".safetensors") else shutil.copy2)(source, target)

    shutil.copytree(demo, folder, symlinks=True, copy_function=copy_file)
    package = folder / "evpv_prm"
    package.unlink()
    shutil.copytree(REPOSITORY / "evpv_prm", package, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(folder, folder)
