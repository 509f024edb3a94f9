"""A small experiment in a folder of its own, and the programs that run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from PIL import Image, ImageDraw

from evpv_prm.config import Config
from tests.stages import labelled

REPOSITORY = Path(__file__).parents[2]

SOLUTIONS = "data/visualprocessbench.jsonl"
BENCHMARKS = {"Letters": "data/letters.jsonl", "Figures": "data/figures.jsonl"}
EXPERIMENTS = ("step_level", "ablations", "gate", "intervention", "stages", "claims")
TARGETS = (
    "all",
    "data",
    "models",
    "best_of_n",
    *EXPERIMENTS,
    "tables",
    "figures",
    "report",
    "cases",
)
CANDIDATES = 3
CONCURRENCY = 4
IN_FLIGHT = CONCURRENCY + 1
"""What a kill may lose: requests without a reply, and the one (a quarter as many) that is sent
ahead while a reply waits to be stored."""


def engine_flags(base_url: str) -> list[str]:
    """The flags of a command that asks the model server."""
    return [
        *("--backend", "api", "--base-url", base_url, "--model", "m"),
        *("--concurrency", str(CONCURRENCY), "--api-attempts", "1"),
        *("--api-structured-outputs", "vllm", "--api-logprobs"),
    ]


def api_model(base_url: str, name: str) -> dict[str, Any]:
    """Return the configuration of a model behind the server."""
    return {
        "backend": "api",
        "base_url": base_url,
        "model": name,
        "concurrency": CONCURRENCY,
        "api": {"structured_outputs": "vllm", "logprobs": True, "attempts": 1},
    }


def questions(datasource: str, count: int) -> list[dict[str, Any]]:
    """Return benchmark records; every other one of Figures has two images and a `choices` field."""
    rows = []
    for number in range(count):
        images = [f"{datasource}/{number}.png"]
        text = f"Which letter is number {number}?"
        row = {"id": f"{datasource}-{number}", "answer": "ABC"[number % 3]}
        if datasource == "Letters":
            text += "\nChoices:\n(A) red\n(B) green\n(C) blue"
        else:
            row["choices"] = ["red", "green", "blue"]
            if number % 2:
                images.append(f"{datasource}/{number}b.png")
                text = f"<image1> and <image 2>: {text}"
        image = images[0] if len(images) == 1 else images
        rows.append(row | {"question": text, "image": image, "datasource": datasource})
    return rows


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def draw(path: Path, label: str) -> None:
    """Write a small picture that no other label has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (48, 24), "white")
    ImageDraw.Draw(picture).text((2, 2), label, fill="black")
    picture.save(path)


def annotations(project: Project) -> Path:
    """Return the folder where the paper's configuration looks for annotations."""
    return project.folder / Config().data_set.folder / "annotations"


def environment(repository: Path) -> dict[str, str]:
    """The environment in which `python -m evpv_prm.COMMAND` is this repository's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PYTHONPATH": str(repository), "PATH": path}


def arguments_of(command: str, *arguments: str | Path) -> list[str]:
    """Return the words that run `evpv_prm.COMMAND`."""
    return [sys.executable, "-m", f"evpv_prm.{command}", *map(str, arguments)]


@dataclass(frozen=True)
class Run:
    """A finished program."""

    status: int
    output: str

    @cached_property
    def planned(self) -> dict[str, int]:
        """Jobs that Snakemake meant to run, by rule, without the targets."""
        table = re.search(r"^job +count\n-.*\n((?:\w+ +\d+\n)+)", self.output, re.MULTILINE)
        counts = dict(re.findall(r"(\w+) +(\d+)\n", table[1])) if table else {}
        return {rule: int(n) for rule, n in counts.items() if rule not in (*TARGETS, "total")}

    @cached_property
    def finished(self) -> dict[str, int]:
        """Jobs that ran to their end, by rule, without the targets."""
        rules = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", self.output, re.MULTILINE)
        return dict(Counter(rule for rule in rules if rule not in TARGETS))


class Project:
    """A folder with `config.yaml`, benchmark files and images; `config` is what the file says."""

    def __init__(self, folder: Path, repository: Path = REPOSITORY) -> None:
        self.folder = folder
        self.repository = repository
        self.config: dict[str, Any] = {}
        if (folder / "config.yaml").exists():
            self.config = yaml.safe_load((folder / "config.yaml").read_text())

    @classmethod
    def create(cls, folder: Path, base_url: str, *, count: int = 4) -> Project:
        """Write two benchmarks of `count` questions, and the configuration that runs them."""
        folder.mkdir(parents=True, exist_ok=True)
        project = cls(folder)
        for name, file in BENCHMARKS.items():
            rows = questions(name, count)
            write_rows(folder / file, rows)
            for row in rows:
                for image in row["image"] if isinstance(row["image"], list) else [row["image"]]:
                    draw(folder / "data" / "images" / image, image)
        project.configure(
            shards=2,
            benchmarks={
                name: {"questions": file, "images": "data/images"}
                for name, file in BENCHMARKS.items()
            },
            policies={"policy-a": api_model(base_url, "policy-a")},
            verifier=api_model(base_url, "verifier"),
            candidates={"num_candidates": CANDIDATES},
            best_of_n={"bootstrap_samples": 50},
            step_level=None,
            intervention=None,
        )
        return project

    def add_solutions(self, count: int = 5) -> None:
        """Write labelled solutions about the images of Letters, and configure their experiments."""
        rows = [
            labelled(
                f"Step one of {number}.", "A bad step.",
                pid=f"solution-{number}", question=f"Which letter is number {number}?",
                image=[f"images/Letters/{number % 4}.png"],
            )
            for number in range(count)
        ]  # fmt: skip
        write_rows(self.folder / SOLUTIONS, rows)
        self.configure(step_level={"solutions": SOLUTIONS, "images": "data/images"})

    def copy(self, folder: Path) -> Project:
        """Return a copy with all results, times of change included."""
        shutil.copytree(self.folder, folder)
        return Project(folder, self.repository)

    def configure(self, **values: Any) -> None:
        """Change top-level keys of the configuration."""
        self.config |= values
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def edit(self, benchmark: str, line: int, **fields: Any) -> None:
        """Change fields of one record (from 0) of a benchmark's file."""
        path = self.folder / BENCHMARKS[benchmark]
        rows = read_rows(path)
        rows[line] |= fields
        write_rows(path, rows)

    def start(self, *words: str, output: BinaryIO | int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start a program here, in a process group of its own."""
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=environment(self.repository),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str) -> Run:
        """Run a program here to its end."""
        process = self.start(*words)
        output, _ = process.communicate(timeout=500)
        return Run(process.returncode, output)

    def command(self, command: str, *arguments: str | Path) -> Run:
        """Run `python -m evpv_prm.COMMAND`."""
        return self.run(*arguments_of(command, *arguments))

    def snakemake_words(self, *arguments: str) -> list[str]:
        snakefile = str(self.repository / "Snakefile")
        words = ["--snakefile", snakefile, "--configfile", "config.yaml", "--cores", "2"]
        return [sys.executable, "-m", "snakemake", *words, *arguments]

    def snakemake(self, *arguments: str) -> Run:
        """Run Snakemake on this project's configuration."""
        return self.run(*self.snakemake_words(*arguments))

    def results(self, pattern: str) -> dict[str, bytes]:
        """Return the contents of result files by their path below `results/`."""
        root = self.folder / "results"
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.glob(pattern))
            if path.is_file()
        }

    def stored_keys(self) -> list[str]:
        """Return the key of every whole line of the response store."""
        segments = self.results("store/*/*.jsonl").values()
        lines = [line for segment in segments for line in segment.splitlines(keepends=True)]
        return [json.loads(line)["k"] for line in lines if line.endswith(b"\n")]
