"""What the judge of a step replies: the verdict alone, or its evidence first."""

from __future__ import annotations

from typing import Literal, Self

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

    @property
    def other(self) -> Self:
        """The other one of the two forms."""
        form: JudgeForm = "verdict" if self.has_evidence else "evidence_then_verdict"
        return self.model_copy(update={"judge_form": form})

    @property
    def evidence_tokens(self) -> int:
        """Tokens that the evidence adds to a reply at most; a verdict alone has none.

        Few tokenizers take more than one token a character.
        """
        around = len('{"evidence":"","verdict":}')
        return self.max_evidence_characters + around if self.has_evidence else 0


VERDICT_ALONE = JudgeReply()
"""The paper's form."""
