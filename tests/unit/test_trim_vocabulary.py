"""Trimming refuses what is no trained tiny verifier, before it loads any weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evpv_prm.diagrams import trim_vocabulary
from evpv_prm.errors import UserError


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"model_type": "internvl_chat"}, "found internvl_chat of width None"),
        (
            {"model_type": "qwen2_5_vl", "text_config": {"hidden_size": 3584}},
            "found qwen2_5_vl of width 3584",
        ),
    ],
)
def test_another_model_is_refused(config: dict[str, Any], found: str, tmp_path: Path) -> None:
    model, output = tmp_path / "model", tmp_path / "output"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=found):
        trim_vocabulary.main(["--model", str(model), "--output", str(output)])
    assert not output.exists()
