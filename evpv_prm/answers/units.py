"""Units of measurement at the end of an answer."""

from __future__ import annotations

import re

_ALIASES: dict[str, tuple[str, ...]] = {
    "°": ("degrees", "degree", "deg", "° t", "°t", "°", "度"),
    "°c": ("° c", "°c", "degrees celsius", "celsius", "摄氏度"),
    "°f": ("° f", "°f", "degrees fahrenheit", "fahrenheit"),
    "rad": ("radians", "radian", "rad"),
    "%": ("percent", "per cent", "%"),
    "units": ("units", "unit"),
    "nm": ("nanometers", "nanometres", "nm"),
    "um": ("micrometers", "micrometres", "um", "μm"),
    "mm": ("millimeters", "millimetres", "millimeter", "millimetre", "mm", "毫米"),
    "cm": ("centimeters", "centimetres", "centimeter", "centimetre", "cms", "cm", "厘米"),
    "dm": ("decimeters", "decimetres", "dm", "分米"),
    "m": ("meters", "metres", "meter", "metre", "m", "米"),
    "km": ("kilometers", "kilometres", "kilometer", "kilometre", "kms", "km", "千米", "公里"),
    "nmi": ("nautical miles", "nautical mile", "海里"),
    "in": ("inches", "inch", "in"),
    "ft": ("feet", "foot", "ft"),
    "yd": ("yards", "yard", "yd"),
    "mi": ("miles", "mile", "mi"),
    "ml": ("milliliters", "millilitres", "ml", "毫升"),
    "l": ("liters", "litres", "liter", "litre", "l", "升"),
    "mg": ("milligrams", "mg"),
    "g": ("grams", "gram", "g", "克"),
    "kg": ("kilograms", "kilogram", "kgs", "kg", "千克", "公斤"),
    "t": ("tonnes", "tons", "吨"),
    "lb": ("pounds", "pound", "lbs", "lb"),
    "oz": ("ounces", "ounce", "oz"),
    "ms": ("milliseconds", "ms"),
    "s": ("seconds", "second", "secs", "sec", "s", "秒"),
    "min": ("minutes", "minute", "mins", "min", "分钟"),
    "h": ("hours", "hour", "hrs", "hr", "h", "小时"),
    "d": ("days", "day", "天"),
    "wk": ("weeks", "week", "周"),
    "mo": ("months", "month", "个月"),
    "yr": ("years", "year", "yrs", "yr", "年"),
    "mph": ("mph",),
    "$": ("dollars", "dollar", "usd"),
    "¢": ("cents", "cent", "¢"),
    "£": ("gbp",),
    "元": ("yuan", "元"),
    "n": ("newtons", "newton", "n"),
    "kn": ("kilonewtons", "kn"),
    "j": ("joules", "joule", "j"),
    "kj": ("kj",),
    "w": ("watts", "watt", "w"),
    "kw": ("kilowatts", "kw"),
    "kwh": ("kwh",),
    "v": ("volts", "volt", "v"),
    "a": ("amperes", "amps", "amp", "a"),
    "ma": ("ma",),
    "ohm": ("ohms", "ohm", "ω"),
    "kohm": ("kω",),
    "hz": ("hertz", "hz"),
    "pa": ("pascals", "pa"),
    "kpa": ("kpa",),
    "mpa": ("mpa",),
    "k": ("kelvin", "k"),
    "mol": ("moles", "mol"),
}
_CANONICAL = {alias: unit for unit, aliases in _ALIASES.items() for alias in aliases}
_ALIAS = "|".join(re.escape(alias) for alias in sorted(_CANONICAL, key=len, reverse=True))
_POWER = r"(?:\s*\^?\s*\{?\s*([23])\s*\}?)?"
_UNIT = re.compile(
    r"(?<![A-Za-z\\^_])\{?\s*(?:(square|sq|cubic|cu)\b\.?\s*|(square|cubic))?"
    rf"({_ALIAS}){_POWER}(?:\s*(?:/|\bper\b)\s*({_ALIAS}){_POWER})?\s*\}}?\.?$",
    re.IGNORECASE,
)
_PREFIX_POWER = {"square": "2", "sq": "2", "cubic": "3", "cu": "3"}
_LONGEST = 40


def split_unit(text: str) -> tuple[str, str | None]:
    """Split a normalised text into what stands before its unit and the unit's one spelling.

    `"8 cm^2"` gives `("8", "cm^2")`, `"10 km/h"` gives `("10", "km/h")`; the unit is None where
    the text ends in none.
    """
    start = max(0, len(text) - _LONGEST)
    match = _UNIT.search(text, start)
    if not match or not (number := text[: match.start()].strip()) or number[-1] in "+-*/^=(<>≤≥|":
        return text, None
    square, joined, name, power, per, per_power = match.groups()
    if len(name) == 1 and name.isalpha() and not power and re.search(r"[^(\[{e]\s*[-+]", number):
        return text, None  # the t of 180-2t is a variable
    power = power or _PREFIX_POWER.get((square or joined or "").lower(), "")
    unit = _CANONICAL[name.lower()] + (f"^{power}" if power else "")
    if per:
        unit += "/" + _CANONICAL[per.lower()] + (f"^{per_power}" if per_power else "")
    return number, unit


def compatible(truth: str | None, answer: str | None) -> bool:
    """Whether two units may stand for each other: the same one, or one of them left out.

    Nothing is converted: 60 mm is not taken for 6 cm. "units" stands for any unit of its power.
    """
    if truth is None or answer is None or truth == answer:
        return True
    if truth.startswith("units") or answer.startswith("units"):
        return truth.partition("^")[2] == answer.partition("^")[2]
    return False
