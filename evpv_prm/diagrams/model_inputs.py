"""What a tiny model is fed: the tokens and pixels that vLLM, ms-swift and transformers make.

A pretraining makes them here in bulk, without the processors; tests hold them against vLLM's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from evpv_prm.diagrams import internvl, qwen25vl
from evpv_prm.diagrams.architectures import Name

if TYPE_CHECKING:
    import jinja2
    import PIL.Image
    import torch

Picture: TypeAlias = "PIL.Image.Image | npt.NDArray[np.uint8]"

IMAGE_SIZE = internvl.IMAGE_SIZE
"""Width and height of the pictures, in pixels."""
IMAGE_TOKENS = internvl.IMAGE_TOKENS
"""Tokens of a picture, in both models."""

# ImageNet's and CLIP's, as the published models have them.
_NORMALISATION = {
    "policy": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "verifier": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


def prompt_text(name: Name, messages: Sequence[Mapping[str, Any]]) -> str:
    """Return a prompt (see `evpv_prm.prompts`) up to where the reply begins, images expanded.

    The policy's chat template is written for text: vLLM puts every part on a line of its own.
    """
    if name == "verifier":
        mark = "<|image_pad|>"
        return _render(qwen25vl.CHAT_TEMPLATE, messages).replace(mark, mark * IMAGE_TOKENS)
    picture = f"<img>{'<IMG_CONTEXT>' * IMAGE_TOKENS}</img>"
    texts = [
        {
            "role": message["role"],
            "content": "\n".join(part.get("text", picture) for part in message["content"]),
        }
        for message in messages
    ]
    return _render(internvl.CHAT_TEMPLATE, texts)


def pixel_values(name: Name, pictures: Sequence[Picture]) -> dict[str, torch.Tensor]:
    """Return the arguments of a model's forward pass that hold its pictures, RGB.

    Policy: `pixel_values` [pictures, 3, 112, 112]. Verifier: `pixel_values` [pictures × 64, 1176],
    a row for each patch (3 channels × 2 equal frames × 14 × 14), patches of a token together, and
    `image_grid_thw` [pictures, 3].

    Raises:
        ValueError: a picture has another size than 112×112, and would have to be resized.
    """
    import torch

    mean, deviation = (np.array(values, np.float32) for values in _NORMALISATION[name])
    arrays = [np.asarray(picture, np.float32) for picture in pictures]
    if shapes := {array.shape for array in arrays} - {(IMAGE_SIZE, IMAGE_SIZE, 3)}:
        raise ValueError(f"pictures of the shape {sorted(shapes)[0]}")
    colours = np.stack(arrays)
    pixels = ((colours / np.float32(255) - mean) / deviation).transpose(0, 3, 1, 2)
    if name == "policy":
        return {"pixel_values": torch.from_numpy(np.ascontiguousarray(pixels))}
    patch, merge = qwen25vl.PATCH_SIZE, qwen25vl.MERGE_SIZE
    side = IMAGE_SIZE // patch
    blocks = pixels.reshape(-1, 3, side // merge, merge, patch, side // merge, merge, patch)
    # To: picture, block row, block column, patch row and column in the block, channel, pixels.
    blocks = blocks.transpose(0, 2, 5, 3, 6, 1, 4, 7)[:, :, :, :, :, :, None]
    frames = np.broadcast_to(blocks, (*blocks.shape[:6], 2, patch, patch))
    return {
        "pixel_values": torch.from_numpy(frames.reshape(len(pixels) * side**2, -1)),
        "image_grid_thw": torch.tensor([[1, side, side]] * len(pixels)),
    }


def _render(template: str, messages: Sequence[Mapping[str, Any]]) -> str:
    text: str = _compiled(template).render(messages=messages, add_generation_prompt=True)
    return text


@cache
def _compiled(template: str) -> jinja2.Template:
    import jinja2

    compiled: jinja2.Template = jinja2.Template(template)
    return compiled
