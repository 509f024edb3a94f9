"""Every prompt of the pipeline, once.

Each function returns a `Prompt`: the messages and the schema or choices that the reply obeys.
The verifier's prompts begin with what their siblings share (images, then rules, question and
description) and end with what differs, so that an engine with a prefix cache computes the shared
part once. `VERSION` changes with any word here; provenance records it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from evpv_prm.prompts.form import Prompt
from evpv_prm.prompts.intervention import SOLVE, solve
from evpv_prm.prompts.policy import POLICY, policy
from evpv_prm.prompts.teacher import (
    CATEGORIES,
    CORRUPTIONS,
    SUBCATEGORIES,
    describe_freely,
    judge_all,
    noise,
    teacher_describe,
    teacher_steps,
)
from evpv_prm.prompts.verifier import (
    P_SCORES,
    VERDICTS,
    JudgeRules,
    audit,
    caption,
    describe,
    judge,
    judge_answer,
    premises,
)

__all__ = [
    "CATEGORIES",
    "CORRUPTIONS",
    "POLICY",
    "P_SCORES",
    "SOLVE",
    "SUBCATEGORIES",
    "VERDICTS",
    "VERSION",
    "JudgeRules",
    "Prompt",
    "audit",
    "caption",
    "describe",
    "describe_freely",
    "judge",
    "judge_all",
    "judge_answer",
    "noise",
    "policy",
    "premises",
    "solve",
    "teacher_describe",
    "teacher_steps",
]

_SOURCES = sorted(Path(__file__).parent.glob("*.py"))

VERSION = hashlib.sha256(b"".join(file.read_bytes() for file in _SOURCES)).hexdigest()[:12]
"""Changes with any word of these modules."""
