"""One spelling for what a reader takes as the same text."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CHARACTERS = str.maketrans(
    {
        "掳": "°",  # the UTF-8 bytes of a degree sign, read as GBK
        "º": "°",
        "˚": "°",
        "℃": "°C",
        "℉": "°F",
        **dict.fromkeys("−–—‐‑‒", "-"),
        **dict.fromkeys("×·⋅∙", "*"),
        "÷": "/",
        "∶": ":",
        "。": ".",
        "、": ",",
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("‘’", "'"),
        "【": "[",
        "】": "]",
        "〈": "<",
        "〉": ">",
        "⩽": "≤",
        "⩾": "≥",
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
        **{c: f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
        **{c: f" {a}/{b}" for c, a, b in [("½", 1, 2), ("⅓", 1, 3), ("⅔", 2, 3), ("¼", 1, 4),
                                          ("¾", 3, 4), ("⅛", 1, 8), ("⅜", 3, 8), ("⅝", 5, 8)]},
    }
)  # fmt: skip

_PLAIN = re.compile(r"[A-Za-z0-9 .,:;()+/='\"-]*")  # nothing that normalising would change
# "\frac" inside a JSON string that nobody escaped is read as a form feed and "rac", and so on.
_ESCAPED_COMMAND = re.compile(
    r"\f(?=rac)|\x08(?=oxed|eta)|\t(?=imes|ext|heta|frac|an\b)|\r(?=ight)"
)
_ESCAPES = {"\f": r"\f", "\x08": r"\b", "\t": r"\t", "\r": r"\r"}

_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|operatorname|mbox|emph|underline)"
    r"\s*\{([^{}]*)\}"
)
_COMMANDS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[,!](?=\d{3}(?!\d))|\{,\}(?=\d{3}(?!\d))", ","),
        (r"\\(?:left|right|displaystyle|limits|[Bb]igg?[lr]?)(?![A-Za-z])\.?|\\!", ""),
        (r"\\(?:quad|qquad)(?![A-Za-z])|\\[,;: ]|~|\\\(|\\\)|\\\[|\\\]|\\?\$", " "),
        (r"(?:\^\s*\{?\s*\\circ\s*\}?|\\circ(?![A-Za-z])|\*?\\degrees?(?![A-Za-z]))", "°"),
        (r"\\pi(?![A-Za-z])", "π"),
        (r"\\sqrt(?![A-Za-z])|(?<![A-Za-z\\])sqrt(?=[({])", "√"),
        (r"\\(?:times|cdot|ast)(?![A-Za-z])", "*"),
        (r"\\div(?![A-Za-z])", "/"),
        (r"\\(?:leq|leqslant|le)(?![A-Za-z])|<=", "≤"),
        (r"\\(?:geq|geqslant|ge)(?![A-Za-z])|>=", "≥"),
        (r"\\approx(?![A-Za-z])", "≈"),
        (r"\\infty(?![A-Za-z])", "∞"),
        (r"\\cup(?![A-Za-z])", "∪"),
        (r"\\angle(?![A-Za-z])", "∠"),
        (r"\\ldots(?![A-Za-z])|\\dots(?![A-Za-z])", "..."),
        (r"\\([%{}&#_])", r"\1"),
        (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*\{([^{}]*)\}\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{"),
        (r"°(?:\s*°)+", "°"),
        (r"`|__(?=\w)|(?<=\w)__", ""),
        (r"\*\*([^*]+)\*\*", r"\1"),
        (r"\*\*", "^"),
    )
]  # fmt: skip
_ANSWER_PHRASE = re.compile(
    r"\b(?:answer|option|choice)s?\s*(?:is\b|are\b|should\s+be\b|:|=)\s*:?|答案\s*(?:应?[是为选]|:)?\s*:?|故选",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\f?boxed\s*\{")
_MOST_NESTED_BOXES = 3
_OPENING, _CLOSING = "([{", ")]}"
_QUOTES = "\"'*"


@lru_cache(maxsize=1 << 14)
def normalise(text: str) -> str:
    """Return `text` with one spelling for each sign: Unicode signs, no LaTeX layout, no Markdown.

    Full-width and Chinese punctuation become ASCII, `^\\circ` and mojibake degrees become `°`,
    `\\text{…}` its content; fractions stay `\\frac{…}{…}`. Normalising twice changes nothing that
    matters for a comparison.
    """
    if _PLAIN.fullmatch(text) and "sqrt" not in text:
        return text.strip()
    text = _ESCAPED_COMMAND.sub(lambda match: _ESCAPES[match[0]], text)
    text = unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).translate(_CHARACTERS)
    if "\\" in text:
        for _ in range(3):  # wrappers nest; real answers never deeper
            text, count = _WRAPPER.subn(r" \1 ", text)
            if not count:
                break
    for pattern, replacement in _COMMANDS:
        text = pattern.sub(replacement, text)
    return text.strip()


@lru_cache(maxsize=1 << 14)
def final_part(text: str) -> str:
    """Return the part of an answer that states it: the boxes, else what follows "answer is".

    Several boxes are one answer with several parts: who boxes two things has not chosen one.
    """
    if "boxed" in text and (boxes := _boxes(text)):
        for _ in range(_MOST_NESTED_BOXES):
            text = ", ".join(dict.fromkeys(boxes))
            if not (boxes := _boxes(text)):
                break
    tail = ""
    for match in _ANSWER_PHRASE.finditer(text):
        tail = text[match.end() :]
    return tail.strip() or text


def _boxes(text: str) -> list[str]:
    found, position = [], 0
    while match := _BOXED.search(text, position):
        depth, end = 1, match.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        found.append(text[match.end() : end - (not depth)].strip())
        position = end
    return found


@lru_cache(maxsize=1 << 14)
def strip_dress(text: str) -> str:
    """Remove quotes, emphasis and closing punctuation around an answer."""
    text = text.strip()
    if text.endswith("!"):
        text = re.sub(r"(?<=[A-Za-z])!+$", "", text)  # not that of a factorial
    text = text.rstrip(".,;:").strip()
    while len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
        text = text[1:-1].strip()
    return text


@lru_cache(maxsize=1 << 14)
def text_key(text: str) -> str:
    """Return the form in which two normalised texts are compared letter by letter.

    Spaces go, but between digits: "1 2" is not "12". Case stays; fold it where it does not matter.
    """
    text = strip_dress(text).replace('"', "").replace("'", "")
    text = re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", re.sub(r"\s+", " ", text))
    return re.sub(r"([\^_])\{(\w)\}", r"\1\2", text)


def split_list(text: str, separators: str) -> list[str]:
    """Split at the separators that stand outside all brackets; empty parts are dropped."""
    parts, depth, start = [], 0, 0
    for match in re.finditer(rf"[(\[{{]|[)\]}}]|{separators}", text):
        if match[0] in _OPENING:
            depth += 1
        elif match[0] in _CLOSING:
            depth -= 1
        elif depth <= 0:
            parts.append(text[start : match.start()])
            start = match.end()
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]
