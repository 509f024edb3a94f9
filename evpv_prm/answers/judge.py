"""Ground truths, and whether an answer is right. The rules stand in the package's docstring."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase

from evpv_prm.answers import numbers, symbolic
from evpv_prm.answers.normal import final_part, normalise, split_list, strip_dress, text_key
from evpv_prm.answers.options import parse_options, read_letters
from evpv_prm.answers.units import compatible, split_unit

LONGEST_ANSWER = 4000
"""Characters; a longer text states no answer and is wrong."""

_LETTER_LIST = re.compile(r"\(?[A-Z]\)?(?:(?:\s*[,;&\n]\s*|\s+and\s+)\(?[A-Z]\)?)*")
_NAME = re.compile(r"[A-Za-z∠][A-Za-z0-9 .'_{}∠]*(?:\([a-z]\))?\s*|\s*")
_VARIABLE = re.compile(r"∠?\s*[A-Za-z]{1,3}(?:_\{?\w{1,3}\}?)?\s*")
_RANGE = re.compile(r"([\d.,]+\s*%?)\s*(?:-|~|\bto\b)\s*([\d.,]+\s*%?)(.*)", re.DOTALL)
_COLONS = re.compile(r"\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?)+")
_TITLE = re.compile(r"([A-Za-z][A-Za-z .]*):\s*(.+)", re.DOTALL)
_LABEL = re.compile(r"\(?([A-Z])\)?")
_LIST_SEPARATORS = r",|;|&|\n|\band\b|\bor\b|和|与|或"
_UNORDERED = re.compile(r"&|\band\b|\bor\b|和|与|或|∪")
_ARTICLE = re.compile(r"^(?:the|an?)\s+(?=\w{2})", re.IGNORECASE)
_DEEPEST = 5
_MOST_PARTS = 20


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
    letters = _true_letters(answer, text, options)
    accepted = (text, *(normalise(item) for item in _alternatives(answer)))
    return GroundTruth(letters, tuple(options.items()), accepted, words)


def _true_letters(answer: str, text: str, options: dict[str, str]) -> frozenset[str]:
    stated = strip_dress(final_part(text))
    if _LETTER_LIST.fullmatch(stated):
        letters = frozenset(re.findall("[A-Z]", stated))
        if not options or letters <= set(options):
            return letters
    else:
        letters = frozenset()
    for same in (_exactly, _folded):
        if labels := [label for label, option in options.items() if same(option, stated)]:
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
        return _names(truth, stated) == truth.letters
    return any(
        text_key(accepted) == text_key(whole) or _same(accepted, stated, truth.words)
        for accepted in truth.accepted
    )


def _names(truth: GroundTruth, stated: str) -> frozenset[str]:
    """Return the letters of the options that an answer names, by letter or by text."""
    options = truth.option_texts
    label = _LABEL.fullmatch(stated)
    is_label = label and (not options or label[1] in options)
    if not is_label and (named := _with_text(truth, stated, _exactly)):
        return named
    letters = read_letters(stated, options)
    if letters is None or letters:
        return letters or frozenset()
    if named := _by_text(truth, stated):
        return named
    parts = split_list(stated, _LIST_SEPARATORS) if len(truth.letters) > 1 else []
    each = [read_letters(part, options) or _by_text(truth, part) for part in parts]
    return frozenset().union(*each) if all(each) else frozenset()


def _by_text(truth: GroundTruth, stated: str) -> frozenset[str]:
    if named := _with_text(truth, stated, _exactly) or _with_text(truth, stated, _folded):
        return named
    labels = [label for label, text in truth.options if _same(text, stated, truth.words)]
    return frozenset(labels) if len(labels) == 1 else frozenset()


def _with_text(truth: GroundTruth, stated: str, same: Callable[[str, str], bool]) -> frozenset[str]:
    """Return the options with this text; of several, the right ones if they are among them."""
    labels = frozenset(label for label, text in truth.options if same(text, stated))
    return truth.letters if truth.letters <= labels else labels


def _exactly(truth: str, answer: str) -> bool:
    return bool(truth) and text_key(truth) == text_key(answer)


def _folded(truth: str, answer: str) -> bool:
    """Compare without regard to case and articles, but for formulas that need the case."""
    if symbolic.mixes_cases(truth) and symbolic.is_algebra(truth):
        return False
    keys = [text_key(_ARTICLE.sub("", text)).casefold() for text in (truth, answer)]
    return bool(keys[0]) and keys[0] == keys[1]


def _same(truth: str, answer: str, words: frozenset[str], depth: int = 0) -> bool:
    """Whether two normalised texts state the same number, list, formula or text."""
    truth, answer = strip_dress(final_part(truth)), strip_dress(answer)
    if _exactly(truth, answer) or _folded(truth, answer):
        return True
    if depth > _DEEPEST or not truth or not answer:
        return False
    if _RANGE.fullmatch(truth) or _RANGE.fullmatch(answer):
        return _same_range(truth, answer, words, depth)
    if _COLONS.fullmatch(truth) or _COLONS.fullmatch(answer):
        return _same_colons(truth, answer, words)
    gold, given = (numbers.read_quantity(text, words) for text in (truth, answer))
    if gold and given:
        return numbers.equal(gold, given, words)
    gold_list, given_list = _as_list(truth), _as_list(answer)
    if gold_list or given_list:
        return bool(gold_list and given_list) and _same_list(gold_list, given_list, words, depth)
    return _same_formula(truth, answer, words, depth)


def _same_range(truth: str, answer: str, words: frozenset[str], depth: int) -> bool:
    gold, given = _RANGE.fullmatch(truth), _RANGE.fullmatch(answer)
    if not (gold and given):
        return False
    ends = zip(gold.groups(), given.groups(), strict=True)
    return all(_same(a, b, words, depth + 1) for a, b in ends)


def _same_colons(truth: str, answer: str, words: frozenset[str]) -> bool:
    """Compare 1:2 part by part, as times and scores are; in a question of ratios, as quotients."""
    if "ratio" not in words:
        if not (_COLONS.fullmatch(truth) and _COLONS.fullmatch(answer)):
            return False
        return [float(n) for n in truth.split(":")] == [float(n) for n in answer.split(":")]
    gold, given = (
        [float(n) for n in text.split(":")] if _COLONS.fullmatch(text) else []
        for text in (truth, answer)
    )
    if gold and given:
        return len(gold) == len(given) and all(
            a * given[0] == b * gold[0] for a, b in zip(gold, given, strict=True)
        )
    quotients = [numbers.read_quantity(text.replace(":", "/"), words) for text in (truth, answer)]
    a, b = quotients
    return len(gold or given) == 2 and a is not None and b is not None and numbers.equal(a, b)


@dataclass(frozen=True)
class _List:
    brackets: str
    parts: list[str]
    ordered: bool


def _as_list(text: str) -> _List | None:
    if text[0] in "([{" and text[-1] in ")]}":
        parts = split_list(text[1:-1], ",|;")
        if len(parts) > 1 and text.count("∪") == 0:
            return _List(text[0] + text[-1], parts, ordered=text[0] != "{")
    for separators in (_LIST_SEPARATORS, "∪"):
        parts = split_list(text, separators)
        if len(parts) > 1:
            return _List("", parts, ordered=not _UNORDERED.search(text))
    return None


def _same_list(truth: _List, answer: _List, words: frozenset[str], depth: int) -> bool:
    if truth.brackets != answer.brackets or len(truth.parts) != len(answer.parts):
        return False
    if len(truth.parts) > _MOST_PARTS:
        return False
    if truth.ordered:
        pairs = zip(truth.parts, answer.parts, strict=True)
        return all(_same(a, b, words, depth + 1) for a, b in pairs)
    left = list(answer.parts)
    for part in truth.parts:
        match = next((other for other in left if _same(part, other, words, depth + 1)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _same_formula(truth: str, answer: str, words: frozenset[str], depth: int) -> bool:
    gold_name, gold = _split_name(truth)
    given_name, given = _split_name(answer)
    if (gold != truth and "=" not in given) or (given != answer and "=" not in gold):
        if gold_name and given_name and not _names_agree(gold_name, given_name, depth):
            return False
        return _same(gold, given, words, depth + 1)
    (gold, gold_unit), (given, given_unit) = split_unit(truth), split_unit(answer)
    if (gold_unit or given_unit) and symbolic.is_algebra(gold) and symbolic.is_algebra(given):
        return compatible(gold_unit, given_unit) and _same(gold, given, words, depth + 1)
    return symbolic.equal(truth, answer)


def _split_name(text: str) -> tuple[str, str]:
    """Split `Area = 5`, `x = 5`, `f(x) = 5`, `5 = x`, `domain: …` and `y = 2 + 3 = 5`."""
    if match := _TITLE.fullmatch(text):
        return match[1], match[2]
    first, equals, rest = text.partition("=")
    last = rest.rpartition("=")[2].strip()
    if not equals or not last or re.search("[<>≤≥]", text):
        return "", text
    if _NAME.fullmatch(first):
        return first.strip(), last
    if _VARIABLE.fullmatch(last) and numbers.read_quantity(first):
        return last, first.strip()
    return "", text


def _names_agree(truth: str, answer: str, depth: int) -> bool:
    """Different variables are different answers; what a title is called matters inside a list."""
    variables = _VARIABLE.fullmatch(truth) and _VARIABLE.fullmatch(answer)
    return not (variables or depth) or text_key(truth).casefold() == text_key(answer).casefold()
