"""The two tiny models as the pretraining sees them: pictures in, hidden states out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evpv_prm.diagrams import architectures
from evpv_prm.diagrams.model_inputs import Picture, pixel_values, prompt_text
from evpv_prm.diagrams.pretraining.batches import Batch
from evpv_prm.prompts import Prompt

SIDE = 4
"""Tokens along one side of a picture."""


class Student(ABC):
    """A model to pretrain; ids are those of its compact vocabulary."""

    name: architectures.Name
    image_token: str

    def __init__(self, seed: int) -> None:
        """Make the model with random weights."""
        self.model: Any = architectures.compact_model(self.name, seed)
        self.tokenizer = architectures.compact_tokenizer(self.name)
        self.image_id: int = self.tokenizer.get_vocab()[self.image_token]
        self.unused = architectures.compact_ids(self.name).unused
        self.language.config._attn_implementation = ATTENTION
        # On a CPU, the fused kernel's backward pass is slower than attention as written.
        self.model.config.vision_config._attn_implementation = "eager"
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            _initialise(self.model)

    @property
    def language(self) -> Any:
        """The language model without its head."""
        return self.model.model.language_model

    @property
    def head(self) -> nn.Module:
        """Hidden states to logits."""
        head: nn.Module = self.model.lm_head
        return head

    @property
    def width(self) -> int:
        """The width of hidden states."""
        width: int = self.language.config.hidden_size
        return width

    def named_language(self) -> list[tuple[str, nn.Parameter]]:
        """What the language model learns."""
        return [(n, p) for n, p in self.model.named_parameters() if is_language(n)]

    def named_vision(self) -> list[tuple[str, nn.Parameter]]:
        """What the vision model learns."""
        return [(n, p) for n, p in self.model.named_parameters() if not is_language(n)]

    def take_vision(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the vision model of another checkpoint of this architecture."""
        taken = {name: tensor for name, tensor in weights.items() if not is_language(name)}
        self.model.load_state_dict(taken, strict=False)

    def take_language(self, weights: Mapping[str, torch.Tensor], tokenizer: Any) -> None:
        """Take the language model of another architecture; rows belong together by their token."""
        rows = tokenizer.get_vocab()
        pairs = [
            (mine, rows[token])
            for token, mine in self.tokenizer.get_vocab().items()
            if token in rows
        ]
        mine, theirs = (list(column) for column in zip(*pairs, strict=True))
        own = self.model.state_dict()
        for name, tensor in weights.items():
            if not is_language(name):
                continue
            if name.endswith(TABLES):
                own[name][mine] = tensor[theirs]
            else:
                own[name].copy_(tensor)

    def render(self, prompt: Prompt) -> str:
        """Return the prompt's text in the model's own chat format, up to the reply."""
        return prompt_text(self.name, prompt.messages)

    @abstractmethod
    def places(self, ids: Sequence[int]) -> list[tuple[int, int, int]]:
        """Return the position of every token."""

    @abstractmethod
    def look(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Return what the language model sees of pictures: (pictures, 16, width)."""

    def read(self, batch: Batch, seen: torch.Tensor | None) -> torch.Tensor:
        """Return the hidden states (B, N, width), given the pictures in the order of the ids."""
        states: torch.Tensor = self.language(
            inputs_embeds=_embedded(self.language.embed_tokens, batch.ids, seen, self.image_id),
            attention_mask={"full_attention": _bias(batch.sees)},
            position_ids=self.positions(batch.positions),
            use_cache=False,
        ).last_hidden_state
        return states

    def first_layer(self, batch: Batch, seen: torch.Tensor | None) -> torch.Tensor:
        """Return the states (B, N, width) behind the first layer."""
        embedded = _embedded(self.language.embed_tokens, batch.ids, seen, self.image_id)
        rotation = self.language.rotary_emb(embedded, self.positions(batch.positions))
        states: torch.Tensor = self.language.layers[0](
            embedded, attention_mask=_bias(batch.sees), position_embeddings=rotation
        )
        return states

    def positions(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the positions (3, B, N) in the form that the architecture takes."""
        return positions


TABLES = ("embed_tokens.weight", "lm_head.weight")
"""Weights with a row for every token."""


def is_language(name: str) -> bool:
    """Tell whether a parameter belongs to the language model."""
    return "language_model" in name or name.startswith("lm_head")


def _attention(
    _module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor,
    **_options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as written: on a CPU, the fused kernel's backward pass is twice as slow."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3) + bias
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), None


ATTENTION = "pretraining"
ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)


class Verifier(Student):
    """Qwen2.5-VL: a position is a place in time and on the picture."""

    name = "verifier"
    image_token = "<|image_pad|>"

    def places(self, ids: Sequence[int]) -> list[tuple[int, int, int]]:
        """Return the position of every token; a picture's lie on a square."""
        places: list[tuple[int, int, int]] = []
        start, index = 0, 0
        while index < len(ids):
            if ids[index] == self.image_id:
                places += [(start, start + y, start + x) for y in range(SIDE) for x in range(SIDE)]
                index += SIDE * SIDE
                start += SIDE
            else:
                places.append((start, start, start))
                index += 1
                start += 1
        return places

    def look(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Return what the language model sees of pictures: (pictures, 16, width)."""
        inputs = pixel_values(self.name, pictures)
        vision = self.model.model.visual
        seen: torch.Tensor = vision(
            inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]
        ).pooler_output
        return seen.view(len(pictures), SIDE * SIDE, -1)


class Policy(Student):
    """InternVL2.5: a position is a number."""

    name = "policy"
    image_token = "<IMG_CONTEXT>"

    def __init__(self, seed: int) -> None:
        """Make the model with random weights."""
        super().__init__(seed)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            _initialise_vision(self.model.model.vision_tower)

    def places(self, ids: Sequence[int]) -> list[tuple[int, int, int]]:
        """Return the position of every token."""
        return [(index, index, index) for index in range(len(ids))]

    def positions(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the positions (3, B, N) in the form that the architecture takes."""
        return positions[0]

    def look(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Return what the language model sees of pictures: (pictures, 16, width)."""
        seen: torch.Tensor = self.model.model.get_image_features(
            **pixel_values(self.name, pictures),
            vision_feature_layer=-1,
            vision_feature_select_strategy="default",
        ).pooler_output
        return seen


def _initialise_vision(vision: Any) -> None:
    """Give InternVL's vision model a start from which reading is soon found.

    As published, its positions begin at zero, where all patches are alike; here they are waves
    along both sides, as those of Qwen2.5-VL are.
    """
    for name, parameter in vision.named_parameters():
        if name.endswith(("lambda_1", "lambda_2")):
            nn.init.ones_(parameter)
        elif parameter.ndim in (2, 4):
            scale = 0.3 if name.endswith(("projection_layer.weight", "fc2.weight")) else 1.0
            nn.init.normal_(parameter, 0, scale * parameter[0].numel() ** -0.5)
    positions = vision.embeddings.position_embeddings
    side = round((positions.shape[1] - 1) ** 0.5)
    waves = 2.0 ** -torch.arange(positions.shape[2] // 4).div(4)
    angles = torch.arange(side).unsqueeze(1) * waves
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = line.unsqueeze(1).expand(side, side, -1)
    columns = line.unsqueeze(0).expand(side, side, -1)
    # The first one is no patch's.
    positions[0, 1:] = torch.cat([rows, columns], dim=-1).flatten(0, 1)


OFFSETS = (1, 2, 3)
"""How many tokens back the first heads of the first layer look at the start."""
SHARPNESS = 5.3
CARRY, MATCH = 2.0, 1.5
"""How strongly these heads pass on what they see, and how strongly equal labels attract."""
MATCHING_HEADS = 2
VERDICT_OFFSETS = (1, 3)
"""How many tokens back the first heads of the last layer look at the start."""


def _initialise(model: Any) -> None:
    """Give the language model a start from which looking up is soon found.

    Matrices keep the norm of what they are given, embeddings are large. The first heads of the
    first layer look one, two and three tokens back. A value stands behind "LABEL shows": in the
    second layer, the first heads ask for values (queries) with the two words before "shows" in
    front of them, two and three tokens back, as a token of "shows" (keys) has them one and two
    back. They do so in the dimensions that turn slowly with the distance. The first heads of the
    last layer look back from a verdict to the evidence in front of it, in texts and in JSON.
    """
    language = model.model.language_model
    for name, parameter in language.named_parameters():
        if parameter.ndim == 2 and "embed" not in name:
            scale = 0.3 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
            nn.init.normal_(parameter, 0, scale * parameter.shape[1] ** -0.5)
    nn.init.normal_(language.embed_tokens.weight, 0, 1.0)
    nn.init.normal_(model.lm_head.weight, 0, 0.02)
    config = language.config
    size = config.hidden_size // config.num_attention_heads
    theta = config.rope_parameters["rope_theta"]
    turns = theta ** -(torch.arange(0, size, 2).float() / size)
    first, second = (layer.self_attn for layer in language.layers[:2])
    seen = torch.linalg.qr(torch.randn(config.hidden_size, len(OFFSETS) * size))[0]
    for head, offset in enumerate(VERDICT_OFFSETS):
        _look_back(language.layers[-1].self_attn, head, offset, turns)
    for head, offset in enumerate(OFFSETS):
        _look_back(first, head, offset, turns)
        rows = slice(head * size, (head + 1) * size)
        # What a word looks like does not depend on who sees it.
        first.v_proj.weight[rows] = first.v_proj.weight[:size]
        first.o_proj.weight[:, rows] = CARRY * seen[:, rows]
    one, two, three = (seen[:, head * size : (head + 1) * size].T for head in range(3))
    slow = torch.cat([torch.arange(size // 4, size // 2), torch.arange(3 * size // 4, size)])
    for head in range(MATCHING_HEADS):
        nearer, farther = (torch.randn(len(slow), size) * size**-0.5 for _ in range(2))
        rows = head * size + slow
        for projection in (second.q_proj, second.k_proj):
            projection.weight[head * size : (head + 1) * size] = 0
        second.q_proj.weight[rows] = MATCH * (nearer @ one + farther @ two)
        second.k_proj.weight[rows] = MATCH * (nearer @ two + farther @ three)


def _look_back(attention: Any, head: int, offset: int, turns: torch.Tensor) -> None:
    """Make a head look some tokens back; `turns` are the rotations of its dimensions a token."""
    size = 2 * len(turns)
    rows = slice(head * size, (head + 1) * size)
    attention.q_proj.weight[rows] *= 0.25
    attention.k_proj.weight[rows] *= 0.25
    angles = turns * offset
    start = torch.cat([torch.ones_like(turns), torch.zeros_like(turns)])
    attention.q_proj.bias[rows] = SHARPNESS * torch.cat([angles.cos(), -angles.sin()])
    attention.k_proj.bias[rows] = SHARPNESS * start


def is_circuit(name: str) -> bool:
    """Tell whether a parameter belongs to what `_initialise` builds for looking up.

    Trained like the others, it is lost before anything makes use of it.
    """
    parts = ("layers.0.self_attn.", "layers.1.self_attn.q_proj.", "layers.1.self_attn.k_proj.")
    return "language_model" in name and any(part in name for part in parts)


def _bias(sees: torch.Tensor) -> torch.Tensor:
    """Return what is added to the attention's scores: nothing, or nearly minus infinity."""
    return torch.zeros(sees.shape, dtype=torch.bfloat16).masked_fill_(~sees, -1e9)


def _embedded(
    embed: nn.Module, ids: torch.Tensor, seen: torch.Tensor | None, image_id: int
) -> torch.Tensor:
    """Return the embeddings (B, N, width) with the pictures in their places."""
    states: torch.Tensor = embed(ids)
    if seen is None:
        return states
    mask = (ids == image_id).unsqueeze(-1)
    return states.masked_scatter(mask, seen.flatten(0, 1).to(states.dtype))
