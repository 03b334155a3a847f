"""The unit behind a number: cut off, and said in one way. Words that are no known unit count things.

Knows units of length, area, time, mass, money, angle and a few more, in products and powers (`m/s^2`), and words that
are a part of the number (`million`, `dozen`). Does not convert: `50 cm` and `0.5 m` are two answers.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Final

PERCENT: Final = "%"
MOST_WORDS = 12
"""That are cut off behind a number."""

_SPELLINGS: Final = {
    "nm": "nanometer nanometre", "μm": "micrometer micrometre um micron", "mm": "millimeter millimetre",
    "cm": "centimeter centimetre", "m": "meter metre", "km": "kilometer kilometre",
    "in": "inch inches", "ft": "foot feet", "yd": "yard", "mi": "mile", "mg": "milligram", "g": "gram gm",
    "kg": "kilogram", "lb": "pound lbs", "oz": "ounce", "ton": "tonne", "ml": "milliliter millilitre mL",
    "l": "liter litre L", "gal": "gallon", "ms": "millisecond",
    "s": "second sec", "min": "minute", "h": "hour hr hrs", "day": "", "week": "", "month": "", "year": "yr yrs",
    "mph": "", "kmh": "kph", "degree": "deg", "C": "celsius", "F": "fahrenheit", "rad": "radian", "dollar": "usd",
    "cent": "", "euro": "eur", "rupee": "rs", "yen": "", "unit": "", "n": "newton N", "j": "joule J", "w": "watt W",
    "v": "volt V", "ohm": "", "hz": "hertz Hz", "pa": "pascal Pa", "mol": "mole", "acre": "", "hectare": "ha",
    "bit": "", "byte": "",
}  # fmt: skip
_CANONICAL: Final = {
    spelling + plural: name
    for name, more in _SPELLINGS.items()
    for spelling in (name, *more.split())
    for plural in ("", "s")
    if name not in {"C", "F"} or len(spelling) > 1
    if len(spelling + plural) > 1 or spelling == name or spelling.isupper()
} | {"meters": "m", "ms": "ms"}
_COMPOUNDS: Final = {"mph": {"mi": 1, "h": -1}, "kmh": {"km": 1, "h": -1}}
_POWERS: Final = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "squared": 2, "cubed": 3}
_SCALES: Final = {
    "dozen": 12, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_NO_UNITS: Final = frozenset({
    "or", "and", "not", "no", "more", "less", "than", "least", "most", "over", "under", "to", "by", "if", "when",
    "where", "mod", "modulo", "divided", "times", "plus", "minus", "of", "is", "greater", "fewer", "except", "with",
    "without", "between", "from", "only", "but", "factorial", "negative", "positive", "half", "halves", "third",
    "thirds", "quarter", "quarters", "fourth", "fourths", "fifth", "fifths", "sixth", "sixths", "seventh", "sevenths",
    "eighth", "eighths", "ninth", "ninths", "tenth", "tenths", "hundredth", "hundredths", "thousandth", "thousandths",
})  # fmt: skip
"""Words that make another number of the one before them, or a sentence."""
_BASES: Final = dict(
    zip(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), map(str, range(2, 11)), strict=True)
) | {"twelve": "12", "sixteen": "16"}
_DEGREES = re.compile(r"\s*\^\\circ\s*(?:([CF])|\\text\{\s*([CF])\s*\})?\s*$")
_FUNCTION = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc)")
_MONEY = re.compile(r"\\(dollar|euro|pound|yen|rupee)(?![A-Za-z])\s*")
_TEXT_TAIL = re.compile(
    r"(\s*/|\s*\*|\s*\\cdot|\s*\\times)?\s*\\text\s*\{([^{}\d,;:]*(?:\^\d[^{}\d,;:]*)*)\}\s*(?:\^\{?(-?\d)\}?)?\s*$"
)
_WORD_TAIL = re.compile(r"(?:(?<![A-Za-z])(per\s+)|(/\s*)|(?<![\\A-Za-z]))([A-Za-z]+)\.?(?:\^(\d))?\s*$")
_NUMBER = re.compile(
    r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s*/\s*\d+|\s*\\frac\{\d+\}\{\d+\}|\s+\d+/\d+)?|[-+]?\\frac\{\d+\}\{\d+\}"
)
_COUNTED = re.compile(
    rf"(?P<number>{_NUMBER.pattern}|[-+]?\d[\d,]*(?:\.\d+)?%)(?P<gap>\s*)(?P<words>[A-Za-z][A-Za-z' .-]*)"
)
_WORD = re.compile(r"(/|(?<![^\W\d_])per(?![^\W\d_]))|\^\{?(-?\d+)\}?|([^\W\d_][\w'-]*)")
_BASE = re.compile(r"([0-9A-F]+)_\{?(?:(\d+)|\\text\{\s*([a-z]+)\s*\}|([a-z]{3,}))\}?$")
_MODULO = re.compile(r"(\d+)\s*\\pmod\{(\d+)\}")
_PAIR = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)(?:,?\s+(?=\d)|$)")
_ABOUT = re.compile(
    r"(?:approximately|approx\.?|about|roughly|\\approx|\\sim|\\text\{(?:approximately|about)\s*\})\s*(?=[-+\d\\.])"
)


@lru_cache(maxsize=4096)
def split_unit(text: str) -> tuple[str, str]:
    """A plain text without the unit at its end, and the unit in one spelling: `""` none; `%`, or `% increase`."""
    text = _ABOUT.sub("", text, count=1) if _ABOUT.match(text) else text
    currencies = set(_MONEY.findall(text))
    if len(currencies) == 1:
        rest, words = _without_words(_MONEY.sub("", text).strip())
        currency = currencies.pop()
        known = "lb" if currency == "pound" else currency
        return rest, _canonical(words if _canonical(words).startswith(known) else f"{currency} {words}")
    if (match := _BASE.fullmatch(text)) and (base := match[2] or _BASES.get(match[3] or match[4])):
        return match[1], f"base {base}"
    if (match := _MODULO.fullmatch(text)) and int(match[1][:20]) < int(match[2][:20]):
        return match[1], f"mod {match[2]}"
    if (match := _DEGREES.search(text)) and match.start() and not _FUNCTION.search(text):
        return text[: match.start()], match[1] or match[2] or "degree"
    rest, words = _without_words(text)
    unit = _canonical(words)
    if rest.endswith("%"):
        return rest[:-1].strip(), f"{PERCENT} {unit}".strip()
    return rest, unit


def _without_words(text: str) -> tuple[str, str]:
    """The text without the unit's words at its end, a scale (`million`) multiplied; those words."""
    if match := _COUNTED.fullmatch(text):
        words = match["words"].strip(" .")
        if not _are_unit(match["number"], match["gap"], words.split()):
            return text, ""
        rest = match["number"]
    else:
        rest, pieces = text, list[str]()
        while len(pieces) < MOST_WORDS and (cut := _last_unit(rest)):
            rest, piece = cut
            pieces.insert(0, piece)
        words = " ".join(pieces)
    first, _, more = words.partition(" ")
    while scale := _SCALES.get(first.casefold().removesuffix("s")):
        rest, words = f"({rest})*{scale}", more
        first, _, more = words.partition(" ")
    return rest, words


def _are_unit(number: str, gap: str, words: list[str]) -> bool:
    """Whether words behind a number, and nothing else, are its unit: `5cm`, `5 red apples`; not `2xyz`, `5 or more`."""
    if words[0].casefold().removesuffix("s") in _SCALES:
        return not _speak_of_numbers(words)
    known = all(_known(word) or word.casefold() in {"per", *_POWERS} for word in words) and _known(words[-1])
    letters = "".join(words)
    if known:
        return bool(gap) or len(letters) > 1
    are_letters = len(words) == 1 and len(letters) < 4 and (letters in _ALPHABET or not gap)
    return bool(gap or number.endswith("%")) and len(letters) > 2 and not are_letters and not _speak_of_numbers(words)


_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz"


def _speak_of_numbers(words: list[str]) -> bool:
    """Whether the words are more than a unit: `or more`, `squared` where there is nothing but the number to square."""
    if words and words[0].casefold() in {"squared", "cubed"}:
        return True
    return any(word.casefold() in _NO_UNITS for word in words)


def _last_unit(text: str) -> tuple[str, str] | None:
    """The text without the last unit in it, and that one's words."""
    if match := _TEXT_TAIL.search(text):
        rest, words = text[: match.start()].strip(), match[2].strip(" .")
        if rest and words and not _speak_of_numbers(words.split()):
            over = "/ " if "/" in (match[1] or "") else ""
            return rest, over + words + (f"^{match[3]}" if match[3] else "")
    if match := _WORD_TAIL.search(text):
        rest, word, over = text[: match.start()].strip(), match[3], "/ " if match[1] or match[2] else ""
        apart = text[match.start() - 1 : match.start()] == " " and bool(_NUMBER.fullmatch(rest))
        known = _known(word) or word in _POWERS
        if rest and known and (len(word) > 1 or over or apart):
            return rest, over + word + (f"^{match[4]}" if match[4] else "")
    return None


def _known(word: str) -> str:
    """The one spelling of a known unit, else `""`."""
    return _CANONICAL.get(word) or _CANONICAL.get(word.casefold()) or ""


def _canonical(words: str) -> str:
    """A unit's words in one spelling: `m per s^2`, `m/s^2` and `meters per second squared` are `m s^-2`."""
    powers = Counter[str]()
    sign, ahead, last = 1, 1, dict[str, int]()
    for over, exponent, word in _WORD.findall(words):
        if over:
            sign = -1
        elif exponent or word.casefold() in {"squared", "cubed"}:
            more = (int(exponent) if exponent else _POWERS[word.casefold()]) - 1
            powers.update({name: power * more for name, power in last.items()})
        elif word.casefold() in _POWERS:
            ahead = _POWERS[word.casefold()]
        else:
            name = _known(word) or re.sub(r"(?<!s)s$", "", word.casefold()).removesuffix("e")
            last = {one: power * sign * ahead for one, power in _COMPOUNDS.get(name, {name: 1}).items()}
            powers.update(last)
            ahead = 1
    if {"degree", "C"} <= set(powers) or {"degree", "F"} <= set(powers):
        del powers["degree"]
    return " ".join(name if power == 1 else f"{name}^{power}" for name, power in sorted(powers.items()) if power)


def quantities(text: str) -> list[tuple[str, str]] | None:
    """The numbers and units of `5 ft 6 in`, words without `\\text{}` around them; None where it is nothing of the
    kind."""
    if not text[:1].isdecimal():
        return None
    pairs, place = list[tuple[str, str]](), 0
    while match := _PAIR.match(text, place):
        if not _known(match[2]):
            return None
        pairs.append((match[1], _known(match[2])))
        place = match.end()
    named = [unit for _, unit in pairs]
    return pairs if place == len(text) and len(pairs) > 1 and len(set(named)) == len(named) else None


def is_percent(unit: str) -> bool:
    """Whether a unit is a hundredth, whatever it counts."""
    return unit.startswith(PERCENT)


def units_agree(one: str, other: str) -> bool:
    """Whether two units are one; one that is not given does not speak against the other."""
    if is_percent(one) != is_percent(other):
        return one in {"", PERCENT} and other in {"", PERCENT}
    ours, theirs = one.removeprefix(PERCENT).strip(), other.removeprefix(PERCENT).strip()
    return not ours or not theirs or ours == theirs
