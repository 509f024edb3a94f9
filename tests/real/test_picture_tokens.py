"""The tokens of a picture, as vLLM and transformers count them."""

from __future__ import annotations

import random

import pytest

from evpv_prm.data.picture_tokens import internvl_tokens, qwen_tokens

pytestmark = pytest.mark.real

SIZES = [(side, side) for side in (1, 224, 447, 448, 449, 634, 896, 2000)]
DRAWN = random.Random(0)
SIZES += [(DRAWN.randint(8, 1500), DRAWN.randint(8, 1500)) for _ in range(300)]
# Proportions that several grids of tiles have
SIZES += [(columns * n, rows * n) for columns, rows in ((1, 2), (3, 2)) for n in range(60, 900, 60)]


@pytest.mark.parametrize("tiles", [(1, 12), (1, 6), (2, 7), (1, 1)])
@pytest.mark.parametrize("has_thumbnail", [True, False])
def test_tiles_are_those_of_vllm(tiles: tuple[int, int], has_thumbnail: bool) -> None:
    from vllm.transformers_utils.processors import internvl

    ratios = internvl.get_internvl_target_ratios(*tiles)
    for width, height in SIZES:
        expected, _, _ = internvl.calculate_internvl_targets(
            orig_width=width,
            orig_height=height,
            target_ratios=ratios,
            image_size=448,
            use_thumbnail=has_thumbnail,
        )
        found = internvl_tokens(
            width,
            height,
            side=448,
            tile_tokens=256,
            min_tiles=tiles[0],
            max_tiles=tiles[1],
            has_thumbnail=has_thumbnail,
        )
        assert found == 256 * expected, (width, height)


@pytest.mark.parametrize("most", [802_816, 12_845_056, 20_000])
def test_squares_are_those_of_transformers(most: int) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    for width, height in SIZES:
        rows, columns = smart_resize(height, width, factor=28, min_pixels=3136, max_pixels=most)
        found = qwen_tokens(width, height, side=28, min_pixels=3136, max_pixels=most)
        assert found == (rows // 28) * (columns // 28), (width, height)
