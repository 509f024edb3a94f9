"""The ablation suite: what each configuration changes in how labelled solutions are judged.

A configuration differs from the baseline in the fields that it sets, and in nothing else: whatever
two of them ask alike is asked once. No two of them ask the same and treat the replies alike. The
names are the reference implementation's, but for two of this project: `judge_other_form`, a judge
that gives its evidence first where the baseline's does not, and the reverse; and `free_decoding`, a
control against which the two policies for parse failures are compared: where replies are
constrained, none fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal

from evpv_prm.config_judge import JudgeReply
from evpv_prm.errors import UserError
from evpv_prm.prompts import JudgeRules
from evpv_prm.records import Caption, Verdict

Group = Literal[
    "Reference", "Caption", "Caption corruption", "Judge's view", "Judge", "History",
    "Parse failures", "Combination",
]  # fmt: skip
"""What a configuration is about; the order is that of tables and figures."""

Corruption = Literal[
    "none", "empty", "placeholder", "drop_facts", "shuffle_facts", "caption_only", "noise_caption"
]
"""What becomes of a caption before the judge reads it; see `corrupted`."""

ParseFailurePolicy = Literal["fail", "right", "random"]
"""What a reply without a verdict becomes: a failure, the verdict 1, or a random verdict."""

NOISE_CAPTION = "A photograph of a busy street with parked cars under a cloudy sky."
PLACEHOLDER = Caption(caption="There is no picture.", key_facts=[])
EMPTY = Caption(caption="", key_facts=[])
NO_FACTS = ["none"]

FIXED_CAPTIONS: Mapping[Corruption, Caption] = {"empty": EMPTY, "placeholder": PLACEHOLDER}
"""What the judge reads where no caption of the model is needed."""


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One configuration. A field at its default is as in the baseline.

    Temperatures and top-p of None, and a history of None, are as configured. `aliases` are names
    under which the reference has the same configuration again.
    """

    name: str
    group: Group
    aliases: tuple[str, ...] = ()
    caption_prompt: Literal["full", "short"] = "full"
    caption_temperature: float | None = None
    caption_top_p: float | None = None
    corruption: Corruption = "none"
    shows_description: bool = True
    shows_image: bool = True
    rules: JudgeRules = "strict"
    history: int | None = None
    judge_temperature: float | None = None
    judge_top_p: float | None = None
    judge_form: Literal["configured", "other"] = "configured"
    is_constrained: bool = True
    on_parse_failure: ParseFailurePolicy = "fail"

    @property
    def needs_caption(self) -> bool:
        """Whether the judge reads anything that the model said of the images."""
        return self.shows_description and self.corruption not in FIXED_CAPTIONS

    @property
    def compared_with(self) -> str | None:
        """The configuration that it is compared with; None for the baseline."""
        if self.name == BASELINE:
            return None
        return BASELINE if self.on_parse_failure == "fail" else FREE_DECODING

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that decide requests and policy and are not as in the baseline."""
        settings = [field for field in fields(self) if field.name not in _LABELS]
        return {
            field.name: value
            for field in settings
            if (value := getattr(self, field.name)) != field.default
        }

    def differs_in(self, settings: Mapping[str, Any] = MappingProxyType({})) -> str:
        """The changes for people, with their values in `settings`, where they are there."""
        words = {True: "yes", False: "no"}
        values = {name: settings.get(name, value) for name, value in self.changes.items()}
        parts = [
            f"{name.replace('_', ' ')}: {words[value] if isinstance(value, bool) else value}"
            for name, value in values.items()
        ]
        return ", ".join(part.replace("top p", "top-p") for part in parts)

    def reply(self, configured: JudgeReply) -> JudgeReply:
        """The form of its judge's reply, where `configured` is that of the baseline."""
        return configured if self.judge_form == "configured" else configured.other


_LABELS = ("name", "group", "aliases")
BASELINE, FREE_DECODING = "baseline", "free_decoding"

SUITE: tuple[Ablation, ...] = (
    Ablation(name=BASELINE, group="Reference"),
    Ablation(name="vision_prompt_short", group="Caption", caption_prompt="short"),
    Ablation(name="vision_temp_0_0", group="Caption", caption_temperature=0.0, caption_top_p=1.0),
    Ablation(name="vision_temp_0_5", group="Caption", caption_temperature=0.5),
    Ablation(name="vision_top_p_0_7", group="Caption", caption_top_p=0.7),
    Ablation(name="vision_corrupt_empty", group="Caption corruption", corruption="empty"),
    Ablation(name="vision_corrupt_drop_facts", group="Caption corruption", corruption="drop_facts"),
    Ablation(
        name="vision_corrupt_shuffle_facts", group="Caption corruption", corruption="shuffle_facts"
    ),
    Ablation(
        name="vision_corrupt_caption_only", group="Caption corruption", corruption="caption_only"
    ),
    Ablation(
        name="vision_corrupt_noise_caption", group="Caption corruption", corruption="noise_caption"
    ),
    Ablation(
        name="no_structured_vision",
        group="Judge's view",
        aliases=("judge_no_visionjson_with_image",),
        shows_description=False,
    ),
    Ablation(name="judge_text_only_keep_visionjson", group="Judge's view", shows_image=False),
    Ablation(
        name="judge_text_only_no_visionjson",
        group="Judge's view",
        aliases=("combo_no_visionjson_text_only",),
        shows_description=False,
        shows_image=False,
        rules="text_only",
    ),
    Ablation(
        name="multi_image_none",
        group="Judge's view",
        corruption="placeholder",
        shows_image=False,
    ),
    Ablation(
        name="judge_prefix_novision", group="Judge", shows_description=False, rules="text_only"
    ),
    Ablation(name="judge_prefix_lenient", group="Judge", rules="lenient"),
    Ablation(name="judge_other_form", group="Judge", judge_form="other"),
    Ablation(name="judge_temp_0_2", group="Judge", judge_temperature=0.2),
    Ablation(name="judge_temp_0_5", group="Judge", judge_temperature=0.5, judge_top_p=0.9),
    Ablation(name="history_none", group="History", history=0),
    Ablation(name="history_last1", group="History", history=1),
    Ablation(name="history_last2", group="History", history=2),
    Ablation(name="history_last4", group="History", history=4),
    Ablation(name="history_last8", group="History", history=8),
    Ablation(name=FREE_DECODING, group="Parse failures", is_constrained=False),
    Ablation(
        name="parse_fail_to_1",
        group="Parse failures",
        is_constrained=False,
        on_parse_failure="right",
    ),
    Ablation(
        name="parse_fail_random",
        group="Parse failures",
        is_constrained=False,
        on_parse_failure="random",
    ),
    Ablation(
        name="combo_vision_corrupt_dropfacts_text_only",
        group="Combination",
        corruption="drop_facts",
        shows_image=False,
    ),
    Ablation(
        name="combo_history_none_no_visionjson",
        group="Combination",
        shows_description=False,
        history=0,
    ),
    Ablation(
        name="combo_judge_temp_0_5_history_last2",
        group="Combination",
        judge_temperature=0.5,
        judge_top_p=0.9,
        history=2,
    ),
)
"""The baseline, the configurations that are compared, and the control, in the order of tables."""

NAMES = tuple(ablation.name for ablation in SUITE)
_BY_NAME = {name: ablation for ablation in SUITE for name in (ablation.name, *ablation.aliases)}


def find(name: str) -> Ablation:
    """Return the configuration of this name or alias.

    Raises:
        UserError: there is none.
    """
    if name not in _BY_NAME:
        raise UserError(f"no ablation configuration {name!r}; --list prints the names of all")
    return _BY_NAME[name]


def is_compared(ablation: Ablation) -> bool:
    """Whether a configuration is one of those whose p-values are corrected together."""
    return ablation.name not in (BASELINE, FREE_DECODING)


def corrupted(caption: Caption, corruption: Corruption, pid: str) -> Caption:
    """Return the caption that the judge of the record `pid` reads; nothing in it says so.

    empty: a caption without words. placeholder: a sentence that there is no picture. drop_facts:
    the list of facts says that there are none. shuffle_facts: the facts in another order, a
    permutation by the SHA-256 of `pid` and never the identity where two facts differ. caption_only:
    the caption without both lists. noise_caption: a sentence about something else, with the lists
    as they are.
    """
    if corruption in FIXED_CAPTIONS:
        return FIXED_CAPTIONS[corruption]
    changes: Mapping[Corruption, Mapping[str, Any]] = {
        "none": {},
        "drop_facts": {"key_facts": NO_FACTS},
        "shuffle_facts": {"key_facts": _shuffled(caption.key_facts, pid)},
        "caption_only": {"key_facts": [], "uncertain": []},
        "noise_caption": {"caption": NOISE_CAPTION},
    }
    return caption.model_copy(update=changes[corruption])


def random_verdict(seed: int, pid: str, step: int) -> Verdict:
    """Return 1 or -1 with equal chances, by the SHA-256 of the arguments."""
    return 1 if hashlib.sha256(f"{seed}/{pid}/{step}".encode()).digest()[0] % 2 else -1


def _shuffled(facts: Sequence[str], pid: str) -> list[str]:
    order = sorted(
        range(len(facts)), key=lambda index: hashlib.sha256(f"{pid}/{index}".encode()).digest()
    )
    shuffled = [facts[index] for index in order]
    # A list of texts that differ is never its own rotation by one.
    return shuffled if shuffled != list(facts) else [*shuffled[1:], *shuffled[:1]]
