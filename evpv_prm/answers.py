"""Whether a record's answer can be judged at all."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOJIBAKE = re.compile("[\ufffd掳]")  # 掳: the UTF-8 bytes of a degree sign read as GBK


def broken_reason(question: str, answer: str, choices: Sequence[str] | None) -> str | None:  # noqa: ARG001
    """Return why no reply can be compared with this answer, or None when it is sound."""
    if _CONTROL.search(answer):
        return f"control character in {answer!r}"
    if _MOJIBAKE.search(answer):
        return f"mojibake in {answer!r}"
    return None
