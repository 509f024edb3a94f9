"""The tokens of a picture, known without a model library."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from evpv_prm.data.picture_tokens import token_count


@pytest.mark.parametrize(
    ("checkpoint", "processor", "size", "tokens"),
    [
        # As vLLM 0.32 has counted them: 12 tiles and a thumbnail, 6 and one, one tile alone
        ("OpenGVLab/InternVL2_5-38B", {}, (1200, 900), 13 * 256),
        ("data/models/InternVL2_5-8B", {}, (300, 200), 7 * 256),
        ("data/models/InternVL2_5-8B", {"max_dynamic_patch": 1}, (1200, 900), 256),
        ("data/models/InternVL2_5-8B", {}, (448, 448), 256),
        ("data/models/Qwen2.5-VL-7B-Instruct", {}, (1120, 1120), 40 * 40),
        ("data/models/Qwen2.5-VL-7B-Instruct", {"max_pixels": 802_816}, (1120, 1120), 32 * 32),
        ("data/models/Qwen2.5-VL-7B-Instruct", {}, (20, 10), 3 * 2),
    ],
)
def test_published_models(
    checkpoint: str, processor: dict[str, int], size: tuple[int, int], tokens: int
) -> None:
    count = token_count(checkpoint, processor)
    assert count is not None
    assert count(*size) == tokens


def test_a_checkpoint_says_what_it_is_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "InternVL2_5-8B"
    folder.mkdir()
    config = {"model_type": "qwen2_5_vl", "vision_config": {"patch_size": 7}}
    (folder / "config.json").write_bytes(orjson.dumps(config))
    processor = {"size": {"shortest_edge": 196, "longest_edge": 1960}}
    (folder / "preprocessor_config.json").write_bytes(orjson.dumps(processor))
    count = token_count(str(folder), {})
    assert count is not None
    assert count(28, 28) == 4
    assert count(280, 280) == 9


def test_an_unknown_kind_of_model_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    assert token_count(str(tmp_path), {}) is None
    assert token_count("owner/name", {}) is None
