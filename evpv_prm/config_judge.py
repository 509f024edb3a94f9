"""What the judge of a step replies: the verdict alone, or its evidence first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evpv_prm.section import Section

JudgeForm = Literal["verdict", "evidence_then_verdict"]


class JudgeReply(Section):
    """The form of the judge's reply, one for all that is judged and for the training data."""

    judge_form: JudgeForm = Field(
        "verdict",
        description="What the judge replies on a step. verdict: 1 or -1, one token, as in the "
        "paper; evidence_then_verdict: what the step should say, then 1 or -1",
    )
    max_evidence_characters: int = Field(
        300,
        ge=1,
        description="Longest evidence of one step, in characters; the judge's reply may have as "
        "many tokens more",
    )

    @property
    def has_evidence(self) -> bool:
        """Whether the judge gives its evidence before the verdict."""
        return self.judge_form == "evidence_then_verdict"


VERDICT_ALONE = JudgeReply()
"""The paper's form."""
