"""Compute what each training adds to the verifier: facts that it sees, steps that it judges right.

Reads the folders of `evpv_prm.examine_stage`, one for the base and for the model after each
training, all about the same records, and writes one JSON document: the share of facts right and the
macro-F1 of the judged steps, with the paired differences of each model to the one before it and to
the base. Intervals are of 95 %, from a bootstrap over images.
"""

from __future__ import annotations

from collections.abc import Sequence

from evpv_prm import cli, reports
from evpv_prm.data.examined import read_examined
from evpv_prm.errors import UserError
from evpv_prm.metrics.stage_file import STAGE_LABELS
from evpv_prm.metrics.stage_summary import summarise
from evpv_prm.metrics.stage_tables import stage_tables


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module's text."""
    parser = cli.parser(__doc__, "compute_stage_gains")
    parser.add_argument(
        "--stages", nargs="+", required=True, metavar="NAME=DIR",
        help=f"folders of the models: {', '.join(STAGE_LABELS)}; the base must be there",
    )  # fmt: skip
    reports.add_metrics_output(parser)
    cli.add_bootstrap(parser)
    arguments = parser.parse_args(argv)
    folders = reports.named_files("--stages", arguments.stages)
    if unknown := sorted(folders.keys() - STAGE_LABELS.keys()):
        raise UserError(f"--stages: {unknown[0]!r}: expected one of {', '.join(STAGE_LABELS)}")
    if "base" not in folders:
        raise UserError("--stages: expected the base, too")
    examined = {name: read_examined(folders[name]) for name in STAGE_LABELS if name in folders}
    metrics = summarise(examined, arguments.bootstrap_samples, arguments.seed)
    reports.write_metrics(arguments, metrics, stage_tables({"": metrics}))
    print(
        f"{len(metrics.stages)} models, {metrics.n_facts} facts, {metrics.n_steps} steps: "
        f"{arguments.output}"
    )
    return 0


if __name__ == "__main__":
    cli.run_and_exit(main)
