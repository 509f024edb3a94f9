"""The options of a multiple-choice question, and the letters by which an answer names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import ascii_uppercase

from evpv_prm.answers.normal import strip_dress, text_key

_HEADER = re.compile(
    r"\bchoices?\s*:|\boptions?\s*:|following answers\s*:|correct answer below\s*[:：]"
    r"|\bselect (?:from|between)\b[^().:\n]*[.:]?",
    re.IGNORECASE,
)
_BRACKETED = r"(?:^|(?<=[\s,;.?:!]))\({label}\)"
_MARKERS = (_BRACKETED, r"(?:^|(?<=[\s;])){label}[.:：、．]", r"(?:^|(?<=[\s;])){label}\)")
_OPTION_WORDS = re.compile(
    r"\b(?:options?|choices?|answers?|and|or|both|the|correct|only)\b|选项?|和|与|或|项",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"[\s,;&/()\[\]{}<>\"'.:]+")
_LED = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+)?(?:options?|choices?)\s+|选项?\s*)?"
    r"(?:[(\[{<]\s*([A-Z])\s*[)\]}>]|([A-Z])(?![A-Za-z']))\s*(.*)",
    re.DOTALL,
)
_TRAILED = re.compile(r"(.+?)\s*\(([A-Z])\)", re.DOTALL)
_AFTER_LETTER = re.compile(r"^(?:[.:,)\-]+(?!\w\.)|项)")
_IS_RIGHT = re.compile(
    r"(?:is(?:\s+(?:the|correct|right|best|true|final|answer|option|choice))+[.!]?"
    r"|(?:because|since)\b.*)",
    re.DOTALL,
)
_MORE_LETTERS = re.compile(r"[(\[]?[A-Z](?![A-Za-z'])|(?:and|or|not)\b|和|或")


def parse_options(question: str) -> dict[str, str]:
    """Parse a question's options, as `{letter: text}`, empty if it has none.

    Knows the layouts of the benchmarks: `(A) text`, `A. text`, `A:text` and `A) text`, a line each
    or all on one, with or without ";", after a header ("Choices:", "Select from A, B and C.", …).
    Without a header only `(A) … (B) …` counts. Of several lists the last one stands.
    """
    starts = [match.end() for match in _HEADER.finditer(question)]
    for start in reversed(starts):
        lists = [_parse_list(question[start:], marker) for marker in _MARKERS]
        if options := min(filter(None, lists), key=lambda found: found[0], default=None):
            return options[1]
    found = _parse_list(question, _BRACKETED)
    return found[1] if found else {}


def _parse_list(text: str, marker: str) -> tuple[int, dict[str, str]] | None:
    """Return where a list of options with this marker begins, and the options."""
    marks: list[tuple[int, int]] = []
    position = 0
    for label in ascii_uppercase:
        match = re.compile(marker.format(label=label)).search(text, position)
        if not match:
            break
        marks.append(match.span())
        position = match.end()
    if len(marks) < 2:
        return None
    own_lines = all(text[:start].rstrip(" ").endswith("\n") for start, _ in marks[1:])
    ends = [start for start, _ in marks[1:]] + [len(text)]
    texts = [text[start:end] for (_, start), end in zip(marks, ends, strict=True)]
    if own_lines:
        texts[-1] = texts[-1].lstrip("\n").partition("\n")[0]
    texts = [option.strip().rstrip(";,").strip() for option in texts]
    return marks[0][0], dict(zip(ascii_uppercase, texts, strict=False))


def read_letters(text: str, options: Mapping[str, str]) -> frozenset[str] | None:
    """Read the option letters that a normalised answer names; empty if it names none.

    `options` maps letters to normalised texts; when empty, any letter may be named. A letter that
    leads a text is named when the text is its own option's, or when a bracket, stop or colon sets
    it off and the text is no other option's: the "A" of "A triangle" names nothing. Returns None
    for a letter with another option's text: such an answer names two.
    """
    text = strip_dress(text)
    letter, rest = _leading_letter(text, options)
    if letter and (not rest or _same(options.get(letter, ""), rest)):
        return frozenset(letter)
    if letters := _only_letters(text, options):
        return letters
    set_off = text[:1] in "([{<" or text[text.find(letter) + 1 :].strip() != rest
    if not (letter and set_off):
        return frozenset()
    if any(_same(option, rest) for option in options.values()):
        return None
    return frozenset() if _MORE_LETTERS.match(rest) else frozenset(letter)


def _leading_letter(text: str, options: Mapping[str, str]) -> tuple[str, str]:
    """Return the letter that leads (or, in brackets, ends) a text, and the text without it."""
    if match := _LED.fullmatch(text):
        rest = _AFTER_LETTER.sub("", match[3].strip()).strip()
        return match[1] or match[2], "" if _IS_RIGHT.fullmatch(rest) else rest
    match = _TRAILED.fullmatch(text)
    if match and _same(options.get(match[2], ""), match[1]):
        return match[2], ""
    return "", text


def _only_letters(text: str, options: Mapping[str, str]) -> frozenset[str]:
    runs = _SEPARATORS.split(_OPTION_WORDS.sub(" ", text))
    letters = "".join(runs)
    if all(len(run) <= 1 for run in runs):
        letters = letters.upper()
    if not set(letters) <= set(ascii_uppercase) or any(len(set(run)) < len(run) for run in runs):
        return frozenset()
    known = set(letters) <= set(options or ascii_uppercase)
    return frozenset(letters) if known or len(letters) == 1 else frozenset()


def _same(option: str, text: str) -> bool:
    if text.startswith("(") and text.endswith(")") and not option.startswith("("):
        text = text[1:-1]
    return bool(option) and text_key(option).casefold() == text_key(text).casefold()
