"""A reasoning in one text, and the steps that it is made of."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

# Emphasis, headings and list signs that can stand in front of a number.
_DECORATION = r"[ \t]*(?:#{1,6}[ \t]*|[-*•>][ \t]+)?[*_]{0,3}"
_MARKER = re.compile(
    rf"(?:^{_DECORATION}|(?<=[.!?。！？:：])[*_]{{0,3}}\s+[*_]{{0,3}})"
    r"step[ \t]*[0-9]+[ \t]*[*_]{0,3}[ \t]*(?:[:：.)\]—–-]|$)[*_]{0,3}",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBERED = re.compile(
    rf"^{_DECORATION}\(?(?P<number>[0-9]{{1,3}})(?:[.)、．:]|\*\*)[*_]{{0,3}}"
    r"(?=[ \t]|[^\x00-\x7f])",
    re.MULTILINE,
)
_LINE = re.compile(r"(?:^|(?<=\n))[^\S\n]*(?=\S)")
_SENTENCE_END = re.compile(
    # After a full stop there is white space, in Chinese there need not be; a small letter goes on.
    r"(?P<stop>(?<![.!?])[.!?]++)[\"'”’)\]*_]*+\s++(?![a-z])(?=\S)|[。！？；]++[”’）\s]*+(?=\S)"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:approx|ca|cf|def|eq|eqn|eqs|ex|fig|figs|i\.e|e\.g|no|nos|p|pp|prop|resp|sec"
    r"|st|thm|vs|viz|w\.r\.t|dr|mr|mrs|ms|prof)\.$",
    re.IGNORECASE,
)
_NUMBER_ALONE = re.compile(r"(?:^|\n\s*|[.!?]\s+|[。！？]\s*)[*_(]*[0-9]{1,3}[.)]$")
_WINDOW = 24  # characters before a full stop that tell what it ends
_FORMULA = re.compile(
    # The limit keeps openings that nothing closes from being sought for ever.
    r"\$\$.{1,2000}?\$\$|\\\[.{1,2000}?\\\]|\\\(.{1,2000}?\\\)|(?<![\\$])\$[^$\n]{1,2000}\$"
    r"|\\begin\{(\w{1,20}\*?)\}.{1,2000}?\\end\{\1\}",
    re.DOTALL,
)


def split_steps(text: str) -> list[str]:
    """Return the steps of a reasoning, each without white space around it; none if it is blank.

    A step begins at each "Step 1:", else at each entry of a numbered list, else at each line, else
    at each sentence, whichever first divides the text; no formula, decimal number or abbreviation
    is cut. Nothing is lost: what stands before the first marker is a step, and the steps one after
    the other are the text but for white space.
    """
    for find_starts in (_markers, _list_entries, _lines, _sentences):
        steps = _cut(text, find_starts(text))
        if len(steps) > 1:
            return steps
    return _cut(text, [])


def unlabelled(step: str) -> str:
    """Return a step without its own "Step 1:"; whole if nothing else is in it."""
    marker = _MARKER.match(step)
    return (step[marker.end() :].strip() if marker else "") or step


def _markers(text: str) -> Iterable[int]:
    return (marker.start() for marker in _MARKER.finditer(text))


def _list_entries(text: str) -> Iterable[int]:
    """Return where the entries of a list begin that counts 1, 2, 3, …"""
    starts: list[int] = []
    for entry in _NUMBERED.finditer(text):
        if int(entry["number"]) == len(starts) + 1:
            starts.append(entry.start())
    return starts if len(starts) > 1 else []


def _lines(text: str) -> Iterable[int]:
    return (line.start() for line in _LINE.finditer(text))


def _sentences(text: str) -> Iterable[int]:
    for end in _SENTENCE_END.finditer(text):
        stop = end.end("stop")
        before = text[max(0, stop - _WINDOW) : stop] if stop > 0 else ""
        if not (_ABBREVIATION.search(before) or _NUMBER_ALONE.search(before)):
            yield end.end()


def _cut(text: str, starts: Iterable[int]) -> list[str]:
    """Cut a text outside its formulas; a piece without letter and digit goes with its neighbour."""
    begins, says = [0], False
    cuts = [*_outside_formulas(text, starts), len(text)]
    for begin, end in zip([0, *cuts], cuts, strict=False):
        says_now = any(character.isalnum() for character in text[begin:end])
        if says and says_now:
            begins.append(begin)
        says = says or says_now
    steps = (text[begin:end] for begin, end in zip(begins, [*begins[1:], len(text)], strict=True))
    return [stripped for step in steps if (stripped := step.strip())]


def _outside_formulas(text: str, places: Iterable[int]) -> Iterator[int]:
    spans = [match.span() for match in _FORMULA.finditer(text)]
    for place in places:
        before = bisect_left(spans, (place,)) - 1  # the last formula that begins before it
        if before < 0 or spans[before][1] <= place:
            yield place
