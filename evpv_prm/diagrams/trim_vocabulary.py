"""Write a tiny verifier's directory without the tokens that its tokenizer never yields.

A trainer needs the published ids, and with them 150 thousand rows that no text uses. A server
spends most of its time on them. The trimmed model gives the same replies with the same
probabilities; its special tokens stand right behind the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.diagrams.architectures import trimmed, trimmed_ids, write_verifier
from evpv_prm.diagrams.model_directory import model_directory
from evpv_prm.diagrams.sizes import TRAINED
from evpv_prm.errors import UserError

QWEN = "qwen2_5_vl"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = cli.parser(__doc__, "diagrams.trim_vocabulary")
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR",
        help="the expanded verifier, or what trainings made of it",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args(argv)
    if not (arguments.model / "config.json").is_file():
        raise UserError(f"{arguments.model}: expected the directory of a model, with a config.json")
    with model_directory(arguments.output) as directory:
        trim(arguments.model, directory)
    return 0


def trim(model: Path, directory: Path) -> None:
    """Write the trimmed model, its tokenizer and its processor into an existing directory.

    Raises:
        UserError: `model` is none of this package's trained verifiers.
    """
    # Imported late, so that --help and a wrong flag answer at once.
    import torch
    from transformers import PretrainedConfig, Qwen2_5_VLForConditionalGeneration

    # A model of another kind or size would be built first, in minutes and gigabytes.
    found, _ = PretrainedConfig.get_config_dict(model)
    width = found.get("text_config", {}).get("hidden_size")
    if (found.get("model_type"), width) != (QWEN, TRAINED.width):
        raise UserError(
            f"{model}: expected a trained tiny verifier ({QWEN} of width {TRAINED.width}), "
            f"found {found.get('model_type')} of width {width}"
        )
    try:
        whole = Qwen2_5_VLForConditionalGeneration.from_pretrained(model, dtype=torch.bfloat16)
        write_verifier(directory, trimmed(whole.state_dict()), trimmed_ids())
    except (ValueError, IndexError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{model}: expected a trained tiny verifier: {reason}") from error


if __name__ == "__main__":
    cli.run_and_exit(main)
