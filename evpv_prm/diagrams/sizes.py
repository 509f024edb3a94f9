"""The sizes of a tiny vision-language model."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_SIZE = 32
"""Of all attention heads: no smaller one is served by vLLM on a CPU."""


@dataclass(frozen=True)
class Sizes:
    """What a configuration is made from, in either architecture."""

    layers: int
    heads: int
    key_value_heads: int
    intermediate: int
    vision_layers: int
    vision_heads: int
    vision_intermediate: int
    rope_theta: float
    tied: bool
    """Whether the output rows are the embeddings."""

    @property
    def width(self) -> int:
        """Return the width of the language model."""
        return self.heads * HEAD_SIZE

    @property
    def vision_width(self) -> int:
        """Return the width of the vision tower."""
        return self.vision_heads * HEAD_SIZE


def random_sizes(
    *, layers: int = 2, heads: int = 1, vision_heads: int = 1, tied: bool = False
) -> Sizes:
    """Return the sizes of a model with random weights: as quick as may be."""
    return Sizes(
        layers=layers,
        heads=heads,
        key_value_heads=1,
        intermediate=2 * heads * HEAD_SIZE,
        vision_layers=layers,
        vision_heads=vision_heads,
        vision_intermediate=2 * vision_heads * HEAD_SIZE,
        rope_theta=1_000_000.0,
        tied=tied,
    )


TRAINED = Sizes(
    layers=4,
    heads=4,
    key_value_heads=4,
    intermediate=384,
    vision_layers=3,
    vision_heads=4,
    vision_intermediate=256,
    # Prompts of some hundred tokens: slower rotations would not tell them apart.
    rope_theta=10_000.0,
    tied=False,
)
"""The sizes of the models whose trained weights are a part of this package."""
