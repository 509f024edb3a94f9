"""Ground truths, and whether an answer is right. The rules stand in the package's docstring."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase

from evpv_prm.answers.compare import LIST_SEPARATORS, exactly, folded, same
from evpv_prm.answers.normal import final_part, normalise, split_list, strip_dress, text_key
from evpv_prm.answers.options import parse_options, read_letters

LONGEST_ANSWER = 4000
"""Characters; a longer text states no answer and is wrong."""

_LETTER_LIST = re.compile(r"\(?[A-Z]\)?(?:(?:\s*[,;&\n]\s*|\s+and\s+)\(?[A-Z]\)?)*")
_LABEL = re.compile(r"\(?([A-Z])\)?")


@dataclass(frozen=True)
class GroundTruth:
    """What a question's right answer is, prepared once a question.

    `letters` are the right options (empty: not multiple choice), `options` all options with their
    normalised texts, `accepted` the normalised texts of which any is right, and `words` those of
    the question, in lower case.
    """

    letters: frozenset[str]
    options: tuple[tuple[str, str], ...]
    accepted: tuple[str, ...]
    words: frozenset[str]

    @cached_property
    def option_texts(self) -> dict[str, str]:
        """The options as a mapping."""
        return dict(self.options)


def ground_truth(question: str, answer: str, choices: Sequence[str] | None) -> GroundTruth:
    """Prepare a ground truth.

    `choices` are the texts of options A, B, …; when None or empty they are parsed out of the
    question. `answer` may be letters, an option's text, a free answer or a Python list of strings,
    any of which is right.
    """
    raw = dict(zip(ascii_uppercase, choices, strict=False)) if choices else parse_options(question)
    options = {label: normalise(text) for label, text in raw.items()}
    words = frozenset(re.findall(r"[a-z]{3,}|%", question.lower()))
    text = normalise(answer)
    letters = _true_letters(text, options)
    accepted = (text, final_part(text), *(normalise(item) for item in _alternatives(answer)))
    return GroundTruth(letters, tuple(options.items()), tuple(dict.fromkeys(accepted)), words)


def _true_letters(text: str, options: dict[str, str]) -> frozenset[str]:
    stated = strip_dress(final_part(text))
    if _LETTER_LIST.fullmatch(stated):
        letters = frozenset(re.findall("[A-Z]", stated))
        if not options or letters <= set(options):
            return letters
    else:
        letters = frozenset()
    for equal in (exactly, folded):
        if labels := [label for label, option in options.items() if equal(option, stated)]:
            return frozenset(labels[:1])
    return letters


def _alternatives(answer: str) -> list[str]:
    if not re.match(r"\s*\[\s*['\"]", answer):
        return []
    try:
        values = ast.literal_eval(answer.strip())
    except (ValueError, SyntaxError):
        return []
    texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
    return values if texts else []


def is_correct(truth: GroundTruth, final_answer: str) -> bool:
    """Whether an answer is right. Never raises; costs milliseconds at worst."""
    if len(final_answer) > LONGEST_ANSWER:
        return False
    whole = normalise(final_answer)
    stated = strip_dress(final_part(whole))
    if not stated:
        return False
    if truth.letters:
        return _names(truth, whole) == truth.letters
    return any(
        text_key(accepted) == text_key(whole) or same(accepted, stated, truth.words)
        for accepted in truth.accepted
    )


def _names(truth: GroundTruth, answer: str) -> frozenset[str]:
    """Return the letters of the options that an answer names, by letter or by text."""
    options = truth.option_texts
    stated = strip_dress(final_part(answer))
    label = _LABEL.fullmatch(stated)
    is_label = label and (not options or label[1] in options)
    for text in () if is_label else (answer, stated):  # "None of the other answers is right"
        if named := _with_text(truth, text, exactly):
            return named
    letters = read_letters(stated, options)
    if letters is None or letters:
        return letters or frozenset()
    if named := _by_text(truth, stated):
        return named
    parts = split_list(stated, LIST_SEPARATORS) if len(truth.letters) > 1 else []
    each = [read_letters(part, options) or _by_text(truth, part) for part in parts]
    return frozenset().union(*each) if all(each) else frozenset()


def _by_text(truth: GroundTruth, stated: str) -> frozenset[str]:
    if named := _with_text(truth, stated, exactly) or _with_text(truth, stated, folded):
        return named
    labels = [label for label, text in truth.options if same(text, stated, truth.words)]
    return frozenset(labels) if len(labels) == 1 else frozenset()


def _with_text(
    truth: GroundTruth, stated: str, equal: Callable[[str, str], bool]
) -> frozenset[str]:
    """Return the options with this text; of several, the right ones if they are among them."""
    labels = frozenset(label for label, text in truth.options if equal(text, stated))
    return truth.letters if truth.letters <= labels else labels
