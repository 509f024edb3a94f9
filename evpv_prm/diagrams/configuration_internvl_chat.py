"""The configuration class of an `InternVLChatModel` checkpoint, copied into the tiny model.

The published InternVL2.5 checkpoints bring such a file along, and load it with
`trust_remote_code`; it therefore imports nothing of this package.
"""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig, Qwen2Config


class InternVisionConfig(PretrainedConfig):
    """The vision tower's part."""

    model_type = "intern_vit_6b"


class InternVLChatConfig(PretrainedConfig):
    """A vision tower, a projection and a Qwen2 language model."""

    model_type = "internvl_chat"
    is_composition = True
    has_no_defaults_at_init = True

    def __init__(
        self,
        vision_config: dict[str, Any] | None = None,
        llm_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.vision_config = InternVisionConfig(**(vision_config or {}))
        self.llm_config = Qwen2Config(**(llm_config or {}))
        super().__init__(**kwargs)

    def get_text_config(self, *_args: Any, **_kwargs: Any) -> PretrainedConfig:
        """Return the language model's part, which is not called `text_config` here."""
        return self.llm_config
