"""Write the directory of a trained tiny model from the compact weights of this package.

The policy becomes an InternVL2.5 (load it with trust_remote_code), the verifier a Qwen2.5-VL with
the published vocabulary. vLLM, ms-swift and transformers load them like any other model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evpv_prm import cli
from evpv_prm.diagrams import internvl
from evpv_prm.diagrams.architectures import (
    NAMES,
    Name,
    compact_ids,
    expanded,
    write_verifier,
)
from evpv_prm.diagrams.model_directory import model_directory
from evpv_prm.diagrams.sizes import TRAINED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = cli.parser(__doc__, "diagrams.expand_weights")
    parser.add_argument("--model", choices=NAMES, required=True)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="compact weights of a pretraining (default: those of the package)",
    )
    arguments = parser.parse_args(argv)
    # Imported late, so that --help and a wrong flag answer at once.
    from evpv_prm.diagrams.packing import weights_file

    name: Name = arguments.model
    with model_directory(arguments.output) as directory:
        expand(name, arguments.weights or weights_file(name), directory)
    return 0


def expand(name: Name, weights_path: Path, directory: Path) -> None:
    """Write a model, its tokenizer and its processor into an existing directory.

    Raises:
        UserError: the file holds no weights for this model.
    """
    from evpv_prm.diagrams.packing import unpack
    from evpv_prm.diagrams.tokenizer import build_tokenizer

    weights = expanded(name, unpack(name, weights_path))
    if name == "verifier":
        write_verifier(directory, weights, compact_ids(name))
        return
    tokenizer = build_tokenizer(internvl.SPECIAL_TOKENS, internvl.CHAT_TEMPLATE)
    internvl.write(directory, TRAINED, weights, tokenizer, max_tiles=1)


if __name__ == "__main__":
    cli.run_and_exit(main)
