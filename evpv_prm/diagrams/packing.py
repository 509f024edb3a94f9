"""Trained weights as files of this package: a compact model's, in bfloat16, with their origin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from evpv_prm.diagrams.architectures import Name, compact_model
from evpv_prm.diagrams.tokenizer import tokenizer_digest
from evpv_prm.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

WEIGHTS = Path(__file__).parent / "weights"


def weights_file(name: Name) -> Path:
    """Return where a model's trained weights lie."""
    return WEIGHTS / f"{name}.safetensors"


def pack(model: PreTrainedModel, path: Path) -> None:
    """Write a compact model's weights, rounded to bfloat16."""
    import torch
    from safetensors.torch import save

    from evpv_prm.jsonl import atomic_write

    weights = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    content = save(weights, metadata={"origin": _origin(model)})
    with atomic_write(path) as stream:
        stream.write(content)


def unpack(name: Name, path: Path) -> dict[str, torch.Tensor]:
    """Return a model's compact weights, in bfloat16.

    Raises:
        UserError: there is no such file, or its weights belong to another tokenizer or model.
    """
    from safetensors import safe_open

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with safe_open(path, framework="pt") as file:
        origin = (file.metadata() or {}).get("origin")
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    model = compact_model(name, seed=0)
    if origin != _origin(model):
        raise UserError(f"{path}: expected the weights of {_origin(model)}, not of {origin}")
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    if {key: tensor.shape for key, tensor in weights.items()} != shapes:
        raise UserError(f"{path}: the weights of a {name} of another size")
    return weights


def load_compact(name: Name, path: Path) -> PreTrainedModel:
    """Return the compact model that a file holds, in float32.

    Raises:
        UserError: see `unpack`.
    """
    model = compact_model(name, seed=0)
    model.load_state_dict(unpack(name, path))
    return model


def _origin(model: PreTrainedModel) -> str:
    """Return what weights must have in common with the model that takes them.

    One text, since the order of several entries would change from file to file.
    """
    origin = {"architecture": type(model).__name__, "tokenizer": tokenizer_digest()}
    return json.dumps(origin)
