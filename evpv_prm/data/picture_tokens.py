"""How many tokens a picture takes in a prompt: from its size and a checkpoint's configuration.

No model library is loaded. The formulas are those of vLLM's and transformers' image processors,
with which a test compares them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    # config.json of OpenGVLab/InternVL2_5-8B, -26B and -38B
    r"InternVL2[._]5": {
        "model_type": "internvl_chat",
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "max_dynamic_patch": 12,
        "use_thumbnail": True,
    },
    # config.json and preprocessor_config.json of Qwen/Qwen2.5-VL-7B-Instruct
    r"Qwen2[._]5-VL": {
        "model_type": "qwen2_5_vl",
        "min_pixels": 3136,
        "max_pixels": 12_845_056,
    },
}
"""What a checkpoint that is not here yet is taken for, by what is in its name."""

TokenCount = Callable[[int, int], int]
"""Gives the tokens of a picture by its width and height, in pixels."""


def token_count(checkpoint: str, processor: Mapping[str, Any]) -> TokenCount | None:
    """Return how a checkpoint's pictures are counted; None for an unknown kind of model.

    Args:
        checkpoint: a folder, or the name of a model that is not here yet.
        processor: arguments of the image processor that outrank the checkpoint's.
    """
    found = {**_configuration(checkpoint), **processor}
    vision = found.get("vision_config", {})
    patch = vision.get("patch_size", 14)
    match found.get("model_type"):
        case "internvl_chat":
            side = processor.get("image_size") or vision.get("image_size", 448)
            # What the checkpoint leaves out is as in its own InternVLChatConfig.
            is_tiled = found.get("dynamic_image_size", False)
            return lambda width, height: internvl_tokens(
                width,
                height,
                side=side,
                tile_tokens=int((side // patch) ** 2 * found.get("downsample_ratio", 0.5) ** 2),
                min_tiles=found.get("min_dynamic_patch", 1) if is_tiled else 1,
                max_tiles=found.get("max_dynamic_patch", 6) if is_tiled else 1,
                has_thumbnail=found.get("use_thumbnail", False),
            )
        case "qwen2_5_vl":
            size = found.get("size", {})
            return lambda width, height: qwen_tokens(
                width,
                height,
                side=patch * vision.get("spatial_merge_size", 2),
                min_pixels=found.get("min_pixels") or size["shortest_edge"],
                max_pixels=found.get("max_pixels") or size["longest_edge"],
            )
    return None


def internvl_tokens(
    width: int,
    height: int,
    *,
    side: int,
    tile_tokens: int,
    min_tiles: int,
    max_tiles: int,
    has_thumbnail: bool,
) -> int:
    """Return the tokens of a picture that is cut into square tiles.

    The grid of tiles is the one whose proportions are nearest to the picture's; among equally near
    ones, the largest of which the picture would fill more than half. Where it has more than one
    tile, a thumbnail follows. Source: `calculate_internvl_targets` in vLLM's
    transformers_utils/processors/internvl.py.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        side: of a tile, in pixels.
        tile_tokens: tokens of a tile.
        min_tiles: fewest tiles.
        max_tiles: most tiles, without the thumbnail.
        has_thumbnail: whether a thumbnail, of a tile's size, follows several tiles.
    """
    grids = [
        (columns, rows)
        for columns in range(1, max_tiles + 1)
        for rows in range(1, max_tiles + 1)
        if min_tiles <= columns * rows <= max_tiles
    ]
    distances = {(columns, rows): abs(width / height - columns / rows) for columns, rows in grids}
    nearest = min(distances.values())
    near = sorted(columns * rows for (columns, rows), d in distances.items() if d == nearest)
    tiles = max([near[0], *(n for n in near if width * height > 0.5 * side**2 * n)])
    return tile_tokens * (tiles + (has_thumbnail and tiles > 1))


def qwen_tokens(width: int, height: int, *, side: int, min_pixels: int, max_pixels: int) -> int:
    """Return the tokens of a picture that is resized to a whole number of squares, a token each.

    Source: `smart_resize` in transformers' models/qwen2_vl/image_processing_qwen2_vl.py.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        side: of a token's square, in pixels.
        min_pixels: fewest pixels after resizing.
        max_pixels: most pixels after resizing.
    """
    rows, columns = round(height / side), round(width / side)
    if rows * columns * side**2 > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        rows = max(1, math.floor(height / shrink / side))
        columns = max(1, math.floor(width / shrink / side))
    elif rows * columns * side**2 < min_pixels:
        stretch = math.sqrt(min_pixels / (width * height))
        rows = math.ceil(height * stretch / side)
        columns = math.ceil(width * stretch / side)
    return rows * columns


def _configuration(checkpoint: str) -> dict[str, Any]:
    """Return a checkpoint's configuration and its image processor's, in one."""
    folder = Path(checkpoint)
    if not (folder / "config.json").is_file():
        known = (values for name, values in PUBLISHED.items() if re.search(name, folder.name))
        return dict(next(known, {}))
    found: dict[str, Any] = {}
    for name in ("preprocessor_config.json", "config.json"):
        if (folder / name).is_file():
            found |= orjson.loads((folder / name).read_bytes())
    return found
