"""Pretrain the demo's tiny models from nothing, on synthetic diagrams.

Both start from one language model that has learnt to look up in texts; each learns to see with a
vision model of its own. A killed run goes on where it stopped; the same seed gives the same models.
Writes WORK/curves.jsonl and, per model, its compact weights.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evpv_prm import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "diagrams.pretrain")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="checkpoints")
    parser.add_argument(
        "--stages", nargs="+", required=True, help="stages to run, in order: see recipe.py"
    )
    parser.add_argument("--threads", type=int, default=0, help="0: all cores (default)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    # Imported late, so that --help and a wrong flag answer at once.
    import torch

    from evpv_prm.diagrams.pretraining import recipe

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    for stage in arguments.stages:
        recipe.run(stage, arguments.work, arguments.seed, reporter(arguments.work))
    return 0


def reporter(work: Path) -> Callable[[Mapping[str, Any]], None]:
    """Return a function that prints figures and appends them to the curves."""

    def report(figures: Mapping[str, Any]) -> None:
        print(" ".join(f"{name}={value}" for name, value in figures.items()), flush=True)
        with (work / "curves.jsonl").open("a") as stream:
            stream.write(json.dumps(figures) + "\n")

    return report


if __name__ == "__main__":
    sys.exit(cli.run(main))
