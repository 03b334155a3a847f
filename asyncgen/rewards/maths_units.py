"""The unit behind a number: cut off, and said in one word where it is a known one.

Knows units of length, area, time, mass, money, angle and a few more, and that other words behind a number count things.
Does not convert: `50 cm` and `0.5 m` are two answers.
"""

from __future__ import annotations

import re
from typing import Final

PERCENT: Final = "%"

_SPELLINGS: Final = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre", "km": "kilometer kilometre",
    "in": "inch inches", "ft": "foot feet", "yd": "yard", "mi": "mile", "mg": "milligram", "g": "gram gm",
    "kg": "kilogram", "lb": "pound lbs", "oz": "ounce", "ton": "tonne", "ml": "milliliter millilitre mL",
    "l": "liter litre L", "gal": "gallon",
    "s": "second sec", "min": "minute", "h": "hour hr hrs", "day": "", "week": "", "month": "", "year": "yr yrs",
    "mph": "", "kmh": "kph", "degree": "deg", "rad": "radian", "dollar": "usd", "cent": "", "euro": "", "rupee": "rs",
    "unit": "", "n": "newton N", "j": "joule J", "w": "watt W", "v": "volt V", "ohm": "", "hz": "hertz Hz",
    "pa": "pascal Pa", "mol": "mole", "acre": "", "hectare": "ha", "bit": "", "byte": "",
}  # fmt: skip
_CANONICAL: Final = {
    spelling + plural: name
    for name, more in _SPELLINGS.items()
    for spelling in (name, *more.split())
    for plural in ("", "s")
    if len(spelling + plural) > 1 or spelling == name or spelling.isupper()
} | {"meters": "m", "ms": "ms"}
_SCALES: Final = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_NO_UNITS: Final = frozenset({
    "or", "and", "not", "no", "more", "less", "than", "least", "most", "over", "under", "to", "by", "if", "when",
    "where", "mod", "modulo", "divided", "times", "plus", "minus", "of", "is", "greater", "fewer", "except", "with",
    "without", "between", "from", "only", "but",
})  # fmt: skip
_DEGREES = re.compile(r"\s*\^\\circ\s*([CF])?\s*$")
_FUNCTION = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc)")
_TEXT_TAIL = re.compile(r"(?:\s*[/*]|\s*\\cdot|\s*\\times)?\s*\\text\s*\{([^{}]*)\}\s*(?:\^\{?(-?\d)\}?)?\s*$")
_WORD_TAIL = re.compile(r"(?:(?<![A-Za-z])(per\s+)|(/\s*)|(?<![\\A-Za-z]))([A-Za-z]+)\.?(?:\^(\d))?\s*$")
_NUMBER = re.compile(
    r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s*/\s*\d+|\s*\\frac\{\d+\}\{\d+\}|\s+\d+/\d+)?|[-+]?\\frac\{\d+\}\{\d+\}"
)
_COUNTED = re.compile(
    r"(?P<number>[-+]?\d[\d,]*(?:\.\d+)?|[-+]?\\frac\{\d+\}\{\d+\})\s*(?P<words>[A-Za-z][A-Za-z' .-]*)"
)
_BASE = re.compile(r"([0-9A-F]+)_(?:\{?(\d+|\\text\{[^{}]*\})\}?)$")
_ABOUT = re.compile(
    r"(?:approximately|approx\.?|about|roughly|\\approx|\\sim|\\text\{(?:approximately|about)\s*\})\s*(?=[-+\d\\.])"
)


def split_unit(text: str) -> tuple[str, str]:
    """A plain text without the unit at its end, and the unit in one spelling: `""` none, `%`, `?` before one that is
    not known."""
    text = _ABOUT.sub("", text, count=1) if _ABOUT.match(text) else text
    if text.endswith("%"):
        return text[:-1].strip(), PERCENT
    if (match := _BASE.fullmatch(text)) and match[2]:
        return match[1], f"base {match[2]}"
    if (match := _DEGREES.search(text)) and match.start() and not _FUNCTION.search(text):
        return text[: match.start()], match[1] or "degree"
    if match := _COUNTED.fullmatch(text):
        return _counted(text, match["number"], match["words"].strip(" .").split())
    units: list[str] = []
    rest = text
    while True:
        cut, name = _last_unit(rest)
        if not cut:
            break
        rest = cut
        units.insert(0, name)
    return rest, "".join(units) if units else ""


def _counted(text: str, number: str, words: list[str]) -> tuple[str, str]:
    """A number and words alone: `5 red apples`, `2 million`."""
    scale = _SCALES.get(words[0].casefold())
    if scale is not None:
        return f"({number})*{scale}", "".join(map(_canonical, words[1:]))
    known = all(word.casefold() in _CANONICAL or word in _CANONICAL for word in words)
    apart = text[len(number) : len(number) + 1] == " "
    if known and (apart or len("".join(words)) > 1):
        return number, "".join(map(_canonical, words))
    if any(word.casefold() in _NO_UNITS for word in words) or len("".join(words)) < 3:
        return text, ""
    return number, "?" + " ".join(words).casefold()


def _last_unit(text: str) -> tuple[str, str]:
    """The text without the last unit in it, and that one; `""` twice where there is none."""
    if match := _TEXT_TAIL.search(text):
        rest, words = text[: match.start()].strip(), match[1].strip(" .").split()
        if rest and not any(word.casefold() in _NO_UNITS for word in words):
            slash = "/" if "/" in match[0].partition("\\text")[0] else ""
            return rest, slash + "".join(map(_canonical, words)) + (f"^{match[2]}" if match[2] else "")
    if match := _WORD_TAIL.search(text):
        rest, word, over = text[: match.start()].strip(), match[3], bool(match[1] or match[2])
        name = _CANONICAL.get(word) or _CANONICAL.get(word.casefold())
        is_number = bool(_NUMBER.fullmatch(rest))
        apart = text[match.start() - 1 : match.start()] == " "
        if rest and name and (len(word) > 1 or over or (apart and is_number)):
            return rest, ("/" if over else "") + name + (f"^{match[4]}" if match[4] else "")
    return "", ""


def _canonical(word: str) -> str:
    name = _CANONICAL.get(word) or _CANONICAL.get(word.casefold())
    return name or f"?{word.casefold()}"


def units_agree(one: str, other: str) -> bool:
    """Two units of which one is not given, or not known, do not speak against each other."""
    return not one or not other or "?" in one or "?" in other or one == other
