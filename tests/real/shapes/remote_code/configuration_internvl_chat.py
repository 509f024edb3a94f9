"""The configuration of an InternVL2.5 over InternLM2; copied into the model, and imported there."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class InternVisionConfig(PretrainedConfig):
    """The vision tower's part."""

    model_type = "intern_vit_6b"


class InternLM2Config(PretrainedConfig):
    """The language model's part."""

    model_type = "internlm2"

    def __init__(
        self,
        rope_theta: float = 10_000.0,
        rope_scaling: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.rope_theta = rope_theta
        self.rope_scaling = rope_scaling
        super().__init__(**kwargs)


class InternVLChatConfig(PretrainedConfig):
    """A vision tower, a projection and a language model.

    As the published class, it cannot be made without arguments, which transformers' own way to
    load it tries and vLLM's does not.
    """

    model_type = "internvl_chat"
    is_composition = True

    def __init__(
        self,
        vision_config: dict[str, Any] | None = None,
        llm_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if vision_config is None or llm_config is None:
            raise ValueError("Unsupported architecture")
        self.vision_config = InternVisionConfig(**vision_config)
        self.llm_config = InternLM2Config(**llm_config)
        super().__init__(**kwargs)
