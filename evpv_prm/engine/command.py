"""What the commands share that ask a model: the engine's flags, failures."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from evpv_prm.config import Model
from evpv_prm.engine.base import Engine
from evpv_prm.engine.fingerprint import engine_identity
from evpv_prm.engine.store import ResponseStore, StoredEngine
from evpv_prm.options import add_options, read_options
from evpv_prm.records import failure_reason

logger = logging.getLogger(__name__)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a command that asks a model."""
    parser.add_argument(
        "--store", type=Path, default=Path("results/store"), metavar="DIR",
        help="folder of the response store, shared by all commands (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--stored-only", action="store_true",
        help="never ask the model: what the store does not hold is a failure",
    )  # fmt: skip
    add_seed_option(parser)
    parser.add_argument(
        "--max-failures", type=_fraction, default=0.05, metavar="FRACTION",
        help="largest fraction of failures with which output is written (default: %(default)s)",
    )  # fmt: skip
    add_options(parser, Model)


def add_seed_option(parser: argparse.ArgumentParser) -> None:
    """Add --seed for a command that may do without a model; `add_engine_options` has it too."""
    parser.add_argument(
        "--seed", type=_seed, default=20260130, metavar="N",
        help="seed of all sampling; the same seed gives the same output (default: %(default)s)",
    )  # fmt: skip


def _seed(word: str) -> int:
    if not word.isdecimal():  # engines take -1 for no seed
        raise argparse.ArgumentTypeError(f"{word!r}: expected a whole number from 0")
    return int(word)


def _fraction(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{word!r}: expected a fraction from 0 to 1")
    return value


def open_engine(arguments: argparse.Namespace) -> StoredEngine:
    """Return the engine that the flags describe, behind its store; the model is not loaded yet.

    Lines of progress name what the replies are for: the output, or the training rows.
    """
    model = read_options(arguments, Model)
    identity = engine_identity(model)

    def load() -> Engine:
        if model.backend == "api":
            from evpv_prm.engine.api import ApiEngine

            return ApiEngine(model)
        from evpv_prm.engine.vllm import VllmEngine

        logger.info("loading %s", model.model)
        return VllmEngine(model, until_exit=True)

    store = ResponseStore(arguments.store, identity)
    making = arguments.output if "output" in arguments else arguments.train
    return StoredEngine(
        store,
        None if arguments.stored_only else load,
        str(making),
        may_all_fail=arguments.max_failures == 1,
    )


def check_failures(
    failures: Iterable[Sequence[str]],
    allowed: float,
    items: str = "candidates",
    details: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Return the exit status for failed items; above the allowed fraction, say so, and why.

    Args:
        failures: why each item failed, as "KIND", "STAGE:KIND" or "STAGE[INDEX]:KIND"; nothing for
            one that went well.
        allowed: largest fraction of failed items that is put up with.
        items: what they are.
        details: what is known of a kind, as in `StoredEngine.details`.
    """
    found = [set(map(failure_reason, reasons)) for reasons in failures]
    failed = sum(map(bool, found))
    if not failed or failed / len(found) <= allowed:
        return 0
    commonest = Counter(reason for reasons in found for reason in sorted(reasons)).most_common(3)
    named = ", ".join(f"{count} × {reason}" for reason, count in commonest)
    kinds = [reason.rpartition(":")[2] for reason, _ in commonest]
    known = [f" ({kind}: {details[kind]})" for kind in kinds if details.get(kind)]
    print(
        f"error: {failed} of {len(found)} {items} failed, more than --max-failures {allowed:g}: "
        f"{named}{''.join(known[:1])}; nothing was written, the good replies are stored",
        file=sys.stderr,
    )
    return 1
