"""Pretrain the demo's tiny models from nothing, on synthetic diagrams.

A language model learns to look up in texts; a vision model of each architecture learns to read
pictures; then each model learns its tasks. A killed run goes on where it stopped, and the same seed
on the same machine gives the same models. Writes DIR/STAGE.pt (checkpoints), DIR/curves.jsonl and,
with --weights, both models' compact weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from evpv_prm import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "diagrams.pretrain")
    parser.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="folder of the checkpoints"
    )
    parser.add_argument(
        "--stages", nargs="+", metavar="STAGE",
        help="stages to run, in order (default: all); two that do not build on each other can "
        "run at the same time, each in a command of its own",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder to write the compact weights to"
    )
    parser.add_argument(
        "--threads", type=cli.at_least(1), metavar="N", help="threads (default: one a core)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of weights and data (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    # Imported late, so that --help and a wrong flag answer at once.
    import torch

    from evpv_prm.diagrams.pretraining import recipe

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    stages = list(recipe.PLANS) if arguments.stages is None else arguments.stages
    recipe.check_names(stages)
    for stage in stages:
        recipe.run(stage, arguments.work, arguments.seed, reporter(arguments.work))
    if arguments.weights:
        recipe.write_weights(arguments.work, arguments.weights)
    return 0


def reporter(work: Path) -> Callable[[Mapping[str, Any]], None]:
    """Return a function that prints figures and appends them to the curves."""

    def report(figures: Mapping[str, Any]) -> None:
        print(" ".join(f"{name}={value}" for name, value in figures.items()), flush=True)
        # Not made before there is something to write: a stage may lack what it builds on.
        work.mkdir(parents=True, exist_ok=True)
        with (work / "curves.jsonl").open("ab") as stream:
            stream.write(orjson.dumps(figures, option=orjson.OPT_APPEND_NEWLINE))

    return report


if __name__ == "__main__":
    cli.run_and_exit(main)
