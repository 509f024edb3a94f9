"""Check that a trainer really shows the model the images of its samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PARTS = ("", "chosen_", "rejected_")
"""What the fields of an encoded sample begin with: an SFT's, and the two answers of a DPO."""


def image_token_problem(
    sample: Mapping[str, Any], image_token_id: int, merge_size: int
) -> str | None:
    """Return what is wrong with the image tokens of an encoded sample, in one line, or None.

    ms-swift replaces the one image token of the text by as many as the image has patches, but it
    looks for the token id of the published models: with another vocabulary it trains on one token
    and the model sees next to nothing, without an error.

    Args:
        sample: `input_ids`, and `image_grid_thw` (images, 3) in patches; for DPO with prefixes.
        image_token_id: of the model's own configuration.
        merge_size: patches along each side that become one token.
    """
    for part in PARTS:
        if f"{part}input_ids" not in sample:
            continue
        grids = sample.get(f"{part}image_grid_thw")
        patches = [] if grids is None else [int(t * h * w) for t, h, w in grids]
        expected = sum(count // merge_size**2 for count in patches)
        found = list(sample[f"{part}input_ids"]).count(image_token_id)
        if found != expected:
            return (
                f"the first training sample holds {found} image tokens (id {image_token_id}) for "
                f"{len(patches)} image(s), expected {expected}: the trainer and the model disagree "
                "about the image token"
            )
    return None
