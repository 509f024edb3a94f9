"""What one GPU does with a model of the real size, for the day that one is there.

    python -m benchmarks.gpu_check [--output FILE.json]

Made to take at most 12 minutes. Needs torch, transformers, pydantic, orjson, pillow and jinja2:
no vLLM, no ms-swift, no download. The model has Qwen2.5-VL-7B's shape and random weights. Parts:

    node                what the machine has (compilers, headers, driver); one Triton kernel
    training-KERNEL     seconds and memory (GiB) of a LoRA step of 2,000 and of 8,192 tokens with a
                        picture of 1,024, of a forward pass alone, and of the vision tower, whose
                        attention calls are counted; with sdpa, and with flash-attn where installed
    serving             prompt tokens read and new tokens written a second
    verdicts            the trained tiny verifier: merged against base + adapter, in both precisions

Each part is by itself: one that fails says so in a line, the others go on, and the exit status is
1. Last come rows for profiles/rates.csv, computed from what was measured. Without a GPU, a narrow
model stands in and a few seconds suffice: that shows that the script works, and no speed.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from evpv_prm import cli

KERNELS = {
    "sdpa": "torch",
    "flash_attention_2": "flash-attn",
    "flash_attention_3": "flash-attn-3",
    "flash_attention_4": "flash-attn-4",
}
"""Attention kernels as transformers names them, and the packages that they are in."""


def parts() -> list[str]:
    """Return the names of the parts in their order; a kernel that is not installed has none."""
    kernels = [each for each, package in KERNELS.items() if any(distributions(name=package))]
    return ["node", *(f"training-{kernel}" for kernel in kernels), "serving", "verdicts"]


def measurements(part: str, scale: Any, device: Any) -> Iterator[Any]:
    """Yield what a part finds."""
    # Imported late, so that --help and a wrong flag answer at once.
    from benchmarks.gpu_check import node, serving, training, verdicts

    name, _, kernel = part.partition("-")
    measures: Mapping[str, Callable[[], Iterator[Any]]] = {
        "node": partial(node.measure, device),
        "training": partial(training.measure, kernel, scale, device),
        "serving": partial(serving.measure, scale, device),
        "verdicts": partial(verdicts.measure, scale, device),
    }
    return measures[name]()


def run_part(part: str, scale: Any, device: Any) -> dict[str, Any]:
    """Run one part to its end or failure, print what it finds, and return all that."""
    import torch

    begun = time.perf_counter()
    found, failure = [], None
    try:
        for each in measurements(part, scale, device):
            print(f"  {each}", flush=True)
            found.append({"name": each.name, "value": each.value, "unit": each.unit})
    # Whatever ends a part, the others have something to say.
    except Exception as error:
        failure = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        print(f"  failed: {failure}", flush=True)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    seconds = round(time.perf_counter() - begun, 1)
    return {"measurements": found, "failure": failure, "seconds": seconds}


def numbers(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the numbers that each part found, by their names."""
    return {
        part: {
            each["name"]: each["value"]
            for each in result["measurements"]
            if not isinstance(each["value"], str)
        }
        for part, result in results.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=parts(), metavar="PART", help="run one part alone")
    parser.add_argument(
        "--small", action="store_true", help="take the narrow model, on a GPU as well"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE.json", help="file to write what was found to, as well"
    )
    arguments = parser.parse_args(argv)
    import torch

    from benchmarks.gpu_check.model import NARROW, REAL
    from benchmarks.gpu_check.rates import rows
    from evpv_prm.jsonl import write_json
    from evpv_prm.plan.tables import SHIPPED_RATES, format_rates, read_rates

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # What the CPU computes are models so small that more threads would only wait for each other.
    torch.set_num_threads(1)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    scale = REAL if gpu and not arguments.small else NARROW
    model = "Qwen2.5-VL-7B's shape" if scale.is_real else "a narrow model, which shows no speed"
    print(f"on {gpu or 'the CPU'}: {model}; short rows have {scale.short_row} tokens, long ones "
          f"{scale.long_row}, with a picture of {scale.picture_side**2}")  # fmt: skip
    chosen = [arguments.only] if arguments.only else parts()
    results: dict[str, Any] = {}
    found = {"gpu": gpu, "parts": results, "rates": []}

    def keep() -> None:
        if arguments.output:
            write_json(arguments.output, found)

    keep()  # what cannot be written is known before anything was measured
    for place, part in enumerate(chosen, start=1):
        print(f"[{place}/{len(chosen)}] {part}", flush=True)
        results[part] = run_part(part, scale, device)
        print(f"  {results[part]['seconds']} s in all", flush=True)
        keep()
    source = f"on {gpu or 'a CPU'} by benchmarks.gpu_check"
    source += "" if scale.is_real else " (a narrow model: not a rate of this class)"
    rates = rows(read_rates(SHIPPED_RATES).values(), numbers(results), scale, source)
    if rates:
        print(f"rows for profiles/rates.csv:\n{format_rates(rates)}", end="")
    found["rates"] = [rate.model_dump() for rate in rates]
    keep()
    failed = [part for part in chosen if results[part]["failure"]]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
