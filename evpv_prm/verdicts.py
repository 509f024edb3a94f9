"""The judge's replies: a bare verdict, or its evidence and then the verdict; and p of the verdict.

Nothing is guessed: a reply that does not say 1 or -1 is a failure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evpv_prm.config_judge import JudgeReply
from evpv_prm.engine.base import Failure
from evpv_prm.parsing import parse_object
from evpv_prm.records import Verdict

VERDICT_KEY = '"verdict"'
"""What stands before the verdict in a reply that has evidence."""

_MINUS = str.maketrans("−–—﹣－", "-----")
_OPENING = r"""[\s"'`*(]*"""
_VERDICT = re.compile(_OPENING + r"""([+-]?1)[\s"'`*).。]*""")
_BEGINNING = re.compile(_OPENING + r"([+-]?)")
_BEFORE_VALUE = re.compile(r'\A"?\s*:?\s*')


class Judgement(NamedTuple):
    """What the judge says of a step; without `evidence` where it gave none."""

    verdict: Verdict
    evidence: str | None


def parse_judgement(text: str, reply: JudgeReply) -> Judgement | Failure:
    """Read a reply of the form `reply`; one without verdict is the failure "invalid_verdict".

    With evidence that is {"evidence": TEXT, "verdict": 1 or -1}; the verdict counts without, too.
    """
    if not reply.has_evidence:
        verdict = parse_verdict(text)
        return verdict if isinstance(verdict, Failure) else Judgement(verdict, None)
    value = parse_object(text)
    said = value.get("verdict") if isinstance(value, dict) else None
    is_readable = isinstance(said, str | int) and not isinstance(said, bool)
    verdict = parse_verdict(str(said)) if is_readable else Failure("invalid_verdict")
    if isinstance(value, Failure) or isinstance(verdict, Failure):
        return Failure("invalid_verdict", "expected a JSON object with verdict 1 or -1", text)
    evidence = value.get("evidence")
    stripped = evidence.strip() if isinstance(evidence, str) else ""
    return Judgement(verdict, stripped or None)


def parse_verdict(text: str) -> Verdict | Failure:
    """Read a bare 1 or -1, in quotes, brackets or bold at most; anything else is a failure."""
    match = _VERDICT.fullmatch(text.translate(_MINUS))
    if match is None:
        return Failure("invalid_verdict", "expected 1 or -1", text)
    return -1 if match[1] == "-1" else 1


def verdict_probability(logprobs: Sequence[Mapping[str, float]] | None) -> float | None:
    """Return p of the verdict 1 against -1, in [0, 1]; None where no token tells.

    `logprobs` is as in `Reply`, or its end from the verdict's key on. The output is walked from
    where the verdict can begin to the token that decides it. At each token the alternatives that
    decide for a verdict, be it at the end of more text (`":-`), count for it, and so does the token
    that was taken. One that only repeats a part of the text that was taken (`":` for `":-`) counts
    for the other verdict: had it been on the way to the same one, the text would have been divided
    into tokens as it was.
    """
    if not logprobs:
        return None
    tokens = [next(iter(position), "") for position in logprobs]
    whole = "".join(tokens)
    key = whole.rfind(VERDICT_KEY)
    # The place of the key's closing quote, or 0 where the reply is nothing but the verdict.
    place = 0 if key < 0 else key + len(VERDICT_KEY) - 1
    shares = {1: 0.0, -1: 0.0}
    undecided, taken, start = 0.0, 1.0, 0
    for token, position in zip(tokens, logprobs, strict=True):
        said = whole[:start]
        start += len(token)
        if start <= key:
            continue
        for alternative, logprob in position.items():
            text = said + alternative
            if not whole.startswith(text[:place]):
                continue
            decided = _decision(text[place:], keyed=key >= 0)
            if decided:
                shares[decided] += taken * math.exp(logprob)
            elif alternative not in ("", token) and whole.startswith(text):
                undecided += taken * math.exp(logprob)
        decision = _decision(whole[place:start], keyed=key >= 0)
        if decision:
            shares[-decision] += undecided
        if decision != 0:
            break
        taken *= math.exp(position.get(token, 0.0))
    total = shares[1] + shares[-1]
    return shares[1] / total if total > 0 else None


def _decision(text: str, *, keyed: bool) -> int | None:
    """Return the verdict that a reply can only have if it goes on so; 0: any, None: none."""
    if keyed:
        text = re.split("[,}]", _BEFORE_VALUE.sub("", text))[0]
    verdict = parse_verdict(text)
    if not isinstance(verdict, Failure):
        return verdict
    beginning = _BEGINNING.fullmatch(text.translate(_MINUS))
    if beginning is None:
        return None
    return -1 if beginning[1] == "-" else 0
