"""Whether two normalised texts state the same number, list, formula or text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from evpv_prm.answers import numbers, symbolic
from evpv_prm.answers.normal import split_list, strip_dress, text_key
from evpv_prm.answers.units import compatible, split_unit

_NAME = re.compile(r"[A-Za-z∠][A-Za-z0-9 .'_{}∠]*(?:\([a-z]\))?\s*|\s*")
_VARIABLE = re.compile(r"∠?\s*[A-Za-z]{1,3}(?:_\{?\w{1,3}\}?)?\s*")
_RANGE = re.compile(r"([\d.,]+\s*%?)\s*(?:-|~|\bto\b)\s*([\d.,]+\s*%?)\s*(°|[^\W\d_]{2,}[\w/^]*)?")
_COLONS = re.compile(r"\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?)+")
_TITLE = re.compile(r"([A-Za-z][A-Za-z .]*):\s*(.+)", re.DOTALL)
LIST_SEPARATORS = r",|;|&|\n|\band\b|\bor\b|和|与|或"
_SEPARATOR = re.compile(LIST_SEPARATORS + "|∪")
_UNORDERED = re.compile(r"&|\band\b|\bor\b|和|与|或|∪")
_ARTICLE = re.compile(r"^(?:the|an?)\s+(?=\w{2})", re.IGNORECASE)
_DEEPEST = 5
_MOST_PARTS = 20


def exactly(truth: str, answer: str) -> bool:
    """Whether two normalised texts are equal, case included; empty ones are not."""
    return bool(truth) and text_key(truth) == text_key(answer)


def folded(truth: str, answer: str) -> bool:
    """Compare without regard to case and articles, but for formulas that need the case."""
    keys = [text_key(_ARTICLE.sub("", text)).casefold() for text in (truth, answer)]
    if not keys[0] or keys[0] != keys[1]:
        return False
    return not (symbolic.mixes_cases(truth) and symbolic.is_algebra(truth))


def same(truth: str, answer: str, words: frozenset[str], depth: int = 0) -> bool:
    """Whether two normalised texts state the same number, list, formula or text."""
    truth, answer = strip_dress(truth), strip_dress(answer)
    if exactly(truth, answer) or folded(truth, answer):
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
    if gold_list and given_list:
        return _same_list(gold_list, given_list, words, depth)
    if any(found and not found.brackets for found in (gold_list, given_list)):
        return False
    return _same_formula(truth, answer, words, depth)


def _same_range(truth: str, answer: str, words: frozenset[str], depth: int) -> bool:
    gold, given = _RANGE.fullmatch(truth), _RANGE.fullmatch(answer)
    if not (gold and given):
        return False
    units = [split_unit(f"1 {match[3]}")[1] if match[3] else None for match in (gold, given)]
    ends_agree = all(same(gold[end], given[end], words, depth + 1) for end in (1, 2))
    return ends_agree and compatible(*units)


def _same_colons(truth: str, answer: str, words: frozenset[str]) -> bool:
    """Compare 1:2 part by part, as times and scores are; in a question of ratios, as quotients."""
    gold, given = _components(truth), _components(answer)
    if gold and given and "ratio" in words:
        pairs = zip(gold, given, strict=False)
        return len(gold) == len(given) and all(a * given[0] == b * gold[0] for a, b in pairs)
    if (gold and given) or "ratio" not in words or len(gold or given) != 2:
        return gold == given
    a, b = (numbers.read_quantity(text.replace(":", "/"), words) for text in (truth, answer))
    return a is not None and b is not None and numbers.equal(a, b)


def _components(text: str) -> list[float]:
    return [float(n) for n in text.split(":")] if _COLONS.fullmatch(text) else []


@dataclass(frozen=True)
class _List:
    """A list in a text; `brackets` is empty for a bare one."""

    brackets: str
    parts: tuple[str, ...]
    ordered: bool


@lru_cache(maxsize=1 << 14)
def _as_list(text: str) -> _List | None:
    if not _SEPARATOR.search(text):
        return None
    if text[0] in "([{" and text[-1] in ")]}":
        parts = split_list(text[1:-1], ",|;")
        if len(parts) > 1 and text.count("∪") == 0:
            return _List(text[0] + text[-1], tuple(parts), ordered=text[0] != "{")
    for separators in (LIST_SEPARATORS, "∪"):
        parts = split_list(text, separators)
        if len(parts) > 1:
            assignments = all("=" in part for part in parts)
            return _List("", tuple(parts), ordered=not (assignments or _UNORDERED.search(text)))
    return None


def _same_list(truth: _List, answer: _List, words: frozenset[str], depth: int) -> bool:
    if truth.brackets != answer.brackets or len(truth.parts) != len(answer.parts):
        return False
    if len(truth.parts) > _MOST_PARTS:
        return False
    if truth.ordered:
        pairs = zip(truth.parts, answer.parts, strict=True)
        return all(same(a, b, words, depth + 1) for a, b in pairs)
    left = list(answer.parts)
    for part in truth.parts:
        match = next((other for other in left if same(part, other, words, depth + 1)), None)
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
        return same(gold, given, words, depth + 1)
    (gold, gold_unit), (given, given_unit) = split_unit(truth), split_unit(answer)
    if (gold_unit or given_unit) and symbolic.is_algebra(gold) and symbolic.is_algebra(given):
        return compatible(gold_unit, given_unit) and same(gold, given, words, depth + 1)
    return not (_as_list(truth) or _as_list(answer)) and symbolic.equal(truth, answer)


def _split_name(text: str) -> tuple[str, str]:
    """Split `Area = 5`, `x = 5`, `f(x) = 5`, `5 = x`, `domain: …` and `2 + 3 = 5`."""
    if match := _TITLE.fullmatch(text):
        return match[1], match[2]
    first, equals, rest = text.partition("=")
    last = rest.rpartition("=")[2].strip()
    if not equals or not last or re.search("[<>≤≥]", text):
        return "", text
    if _NAME.fullmatch(first):
        return first.strip(), last
    if numbers.read_quantity(first):
        if _VARIABLE.fullmatch(last):
            return last, first.strip()
        if numbers.read_quantity(last):
            return "", last
    return "", text


def _names_agree(truth: str, answer: str, depth: int) -> bool:
    """Different variables are different answers; what a title is called matters inside a list."""
    variables = _VARIABLE.fullmatch(truth) and _VARIABLE.fullmatch(answer)
    return not (variables or depth) or text_key(truth).casefold() == text_key(answer).casefold()
