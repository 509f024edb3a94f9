"""Records that cannot be judged properly, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evpv_prm.answers.judge import GroundTruth, ground_truth
from evpv_prm.answers.normal import normalise, text_key

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MOJIBAKE = re.compile("[掳\ufffd\ue000-\uf8ff]|â€|Â(?=[°²³·£])|Ã[\x80-\xbf©¨±]|锟斤拷|锛|鈭|脳")
_LOST_FRACTION = re.compile(r"(?<![A-Za-z\]}])\{\d+\}\s*\{\d+\}")
_LOST_UNIT = re.compile(r"\d+\s*\^\s*[23]")
_CHOICE_HEADER = re.compile(r"\bchoices?\s*:|following answers\s*:|answer below\s*[:：]", re.I)
_NUMBERED = re.compile(r"\bselect\b[^.]*\bfrom 1\s*(?:-|to|,)", re.I)
_QUANTITY = re.compile(r"\bhow (?:much|many)\b", re.I)
_LETTER = re.compile(r"\(?([A-Z])\)?")


def broken_reason(question: str, answer: str, choices: Sequence[str] | None) -> str | None:
    """Return why a benchmark record cannot be judged properly, None for a sound one.

    A broken record is still judged, as well as it can be; the reason is for a report.
    """
    if not answer.strip():
        return "the answer is empty"
    if _CONTROL.search(answer):
        return f"a control character in the answer {answer!r}, read as {normalise(answer)!r}"
    if _MOJIBAKE.search(answer):
        return f"mojibake in the answer {answer!r}, read as {normalise(answer)!r}"
    truth = ground_truth(question, answer, choices)
    return _broken_options(truth, question, answer) or _broken_answer(truth, question, answer)


def _broken_options(truth: GroundTruth, question: str, answer: str) -> str | None:
    options = truth.option_texts
    listed = ", ".join(options)
    if not options:
        if truth.letters and _CHOICE_HEADER.search(question):
            return f"the answer is {answer!r}, but the question lists no options"
        return None
    if not truth.letters:
        return f"the answer {answer!r} is none of the options {listed}"
    if outside := truth.letters - set(options):
        return f"the answer {', '.join(sorted(outside))!r} is outside the options {listed}"
    for label, text in options.items():
        twins = [k for k, other in options.items() if text and text_key(other) == text_key(text)]
        if len(twins) > 1 and truth.letters & set(twins):
            return f"options {' and '.join(twins)} have the same text {text!r}"
        named = _LETTER.fullmatch(text)
        if (
            named
            and named[1] != label
            and named[1] in options
            and truth.letters & {label, named[1]}
        ):
            return f"the text of option {label} is {text!r}, the letter of another option"
    return None


def _broken_answer(truth: GroundTruth, question: str, answer: str) -> str | None:
    text = normalise(answer)
    if truth.letters:
        if not truth.options and _NUMBERED.search(question):
            return f"the question asks for a number, the answer is {answer!r}"
        return None
    if _LOST_FRACTION.search(text):
        return f"braces without a command in the answer {answer!r}"
    if _LOST_UNIT.fullmatch(text) and re.search(r"\barea|\bvolume|\bunits", question):
        return f"the answer {answer!r} is a power where an area or a volume is asked for"
    if _QUANTITY.search(question) and re.fullmatch(r"[A-Za-z]{3,}(?: [A-Za-z]{2,})*", text):
        return f"the question asks for a quantity, the answer is {answer!r}"
    return None
