"""A pair of coordinates in a model's text.

Knows where models put an answer and how they write latitude and longitude: LaTeX, degree signs, hemispheres, labels,
degrees-minutes-seconds, full-width marks. Knows nothing of the truth or of scores. The text is hostile: every
expression here is bounded or possessive, so that reading takes time linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asyncgen.rewards.text import answer_tag, last_boxed

TAIL = 200
"""Without a box or an answer tag, only so many characters at the end of a text count."""
LONGEST = 2_000
"""Characters: a longer box, answer tag or answer is none."""
LOOKED_AT = 10_000
"""Characters at the end of a text that a box or an answer tag is looked for in: no text holds up the event loop."""

Pair = tuple[float, float]
"""Latitude and longitude in degrees."""


def _hemisphere(letter: str, word: str, chinese: str) -> str:
    """A letter counts in capitals and alone, or right after a number (`40.7N`, but not the exponent of `1E2`)."""
    alone = rf"(?<![A-Za-z0-9]){letter}(?![A-Za-z])|(?<=[0-9]){letter}(?![A-Za-z0-9+-])"
    return rf"(?i:(?<![a-z]){word}(?![a-z]))|{chinese}|{alone}"


def _small(letter: str, after: str = "") -> str:
    """A small letter counts after a degree sign with its minutes and seconds; the sign and they are group 1."""
    minutes, seconds = r"(?:[0-9]{1,2}(?:\.[0-9]*+)?+' ?)?", r"(?:[0-9]{1,2}(?:\.[0-9]*+)?+\" ?)?"
    return rf"(° ?{minutes}{seconds}){letter}(?![A-Za-z]){after}"


_FULL_WIDTH = str.maketrans("０１２３４５６７８９．＋", "0123456789.+")
_REWRITES = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"\{([.,])\}", r"\1"),
        (r"[{}$]", " "),
        (r"\\(?=[\"'])", ""),
        (r"\\(?:text|math)(?:rm|bf|it|sf|tt|normal)?(?![a-z])|\\operatorname(?![a-z])", " "),
        (r"&(?:deg|#176|#[xX][bB]0);|\^ *[oO0](?![0-9a-z.])", "°"),
        (r"(?:\^ *)?\\(?:circ|(?:text)?degree)(?![a-z])|[º˚∘度]|(?i:(?<![a-z])deg(?:ree)?s?(?![a-z]))", "°"),
        (r"(?:\^ *)?\\prime(?![a-z])|[′’‘分]", "'"),
        (r"[″”“秒]|' ?'", '"'),
        (r"(?:±|\\pm(?![a-zA-Z])|\+/-) *+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?: *+°)?", ""),
        (r"\\[a-zA-Z]+|\\[^a-zA-Z]|[~^()\[\]（）【】*`\s]", " "),
        (r"[−–‒﹣－‐‑](?= ?[0-9.])|(?:^|(?<=[,，(（])|(?<=[,，] ))—(?=[0-9.])", "-"),
        (r"_ *(?=[NSEW](?![A-Za-z]))", " "),
        (r"[，、；;]", ","),
        (r"[：＝=≈]", ":"),
        (r"(?i:(?<![a-z])lat(?:itude)?(?![a-z])\.?)|纬度", " lat "),
        (r"(?i:(?<![a-z])(?:lon|long|lng|longitude)(?![a-z])\.?)|经度", " lon "),
        (_small("n"), r"\1 N "),
        (_small("s"), r"\1 S "),
        (_small("w"), r"\1 W "),
        (_small("e", "(?= ?(?:,|$))"), r"\1 E "),  # in several languages it means "and"
        (_hemisphere("N", "north", "北纬"), " N "),
        (_hemisphere("S", "south", "南纬"), " S "),
        (_hemisphere("E", "east", "东经"), " E "),
        (_hemisphere("W", "west", "西经"), " W "),
        (r" {2,}", " "),
    )
)

# One number and the marks beside it. A mark before it leaves what follows to the next number: `N 40.7 W 74`. A minus
# with a blank after it is a sign only where no number stands before it: `40.7 - 74.0` may be a range, and is no pair.
_ANGLE = re.compile(
    r"""
    (?:(?P<label>lat|lon)(?![A-Za-z])[^0-9\n,.+-]{0,24}?)?
    (?:(?<![A-Za-z])(?P<before>[NSEW])\ ?)?
    (?<![A-Za-z0-9_.+-])(?<![+-]\ )
    (?P<number>(?:[-+]|(?<![0-9°NSEW'"]\ )[-+]\ )?
      (?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]{1,3}+)?+)(?![A-Za-z]|\.[0-9])
    (?:\ ?(?P<sign>°))?
    (?(sign)(?:\ ?(?P<minutes>[0-9]++(?:\.[0-9]++)?+)\ ?'(?:\ ?(?P<seconds>[0-9]++(?:\.[0-9]++)?+)\ ?")?)?)
    (?(before)|(?:\ ?(?P<after>[NSEW])(?![A-Za-z]))?)
    (?(label)|(?:\ (?P<trailing>lat|lon)(?![A-Za-z]))?)
    """,
    re.VERBOSE,
)
_COMMA = re.compile(" ?, ?")
_GAP = re.compile(r"""[ ,/|"']*+(?:and|和)?+[ ,/|:"']*+""")
_LON_LAT_HEADING = re.compile(r"lon(?![A-Za-z])[^0-9]{0,24}\blat(?![A-Za-z])")

_LAT, _LON = "lat", "lon"
_AXIS = {"N": _LAT, "S": _LAT, "E": _LON, "W": _LON}


@dataclass(frozen=True, slots=True)
class _Angle:
    """One number of a text, with its marks."""

    degrees: float
    hemisphere: str
    """`N`, `S`, `E`, `W` or empty."""
    label: str
    """`lat`, `lon` or empty."""
    decimal: bool
    """Written with a decimal point."""
    start: int
    number_start: int
    end: int

    @property
    def axis(self) -> str:
        return _AXIS.get(self.hemisphere, self.label)


def parse_coordinates(text: str, *, lenient: bool) -> Pair | None:
    """Latitude and longitude from a visible text; None if there are none, or none on the globe.

    The first of these that holds a pair of numbers counts: the box in the last answer tag, the last box, the last
    answer tag, and in the last 200 characters the last pair with labels or hemispheres. `lenient` adds the last two
    numbers with a decimal point there. A pair out of range ends the search: the model has answered, and wrongly.
    Only the last 10,000 characters are looked at, and a box or a tag of more than 2,000 does not count.
    """
    text = text[-LOOKED_AT:]
    tag = answer_tag(text)
    tag = tag if tag and len(tag) <= LONGEST else None
    for place in (tag and last_boxed(tag), last_boxed(text), tag):
        if place and (pair := first_pair(place)):
            return on_globe(pair)
    angles = list(_angles(tail := _plain(_tail(text))))
    pairs = list(pairwise(angles))[::-1]
    for one, two in pairs:
        if one.axis and two.axis and one.axis != two.axis:
            return on_globe(_ordered(one, two, tail))
    for one, two in pairs if lenient else ():
        if not (one.decimal and two.decimal) or _is_torn(one, two, angles):
            continue
        if found := on_globe(_ordered(one, two, tail)):
            return found
    return None


def first_pair(text: str) -> Pair | None:
    """The first pair of numbers of a text that is nothing but an answer; not checked for range, NaN if contradictory.

    Two numbers are a pair if nothing but separators stands between them, or if both say which axis they are; so are the
    only two of the text, if both have a decimal point. More than 2,000 characters are no answer.
    """
    if len(text) > LONGEST:
        return None
    plain = _plain(text)
    angles = list(_angles(plain))
    if _are_decimal_commas(angles, plain):
        return None
    only_two = len(angles) == 2 and all(angle.decimal for angle in angles)
    for one, two in pairwise(angles):
        marked = one.axis and two.axis
        beside = only_two or _GAP.fullmatch(plain, one.end, two.start)
        if marked or (beside and not _is_torn(one, two, angles)):
            return _ordered(one, two, plain)
    return None


def _are_decimal_commas(angles: Sequence[_Angle], plain: str) -> bool:
    """Four integers, `40,7, -74,0`: two numbers with decimal commas or four numbers, and nobody can tell which."""
    if len(angles) != 4 or any(angle.decimal for angle in angles):
        return False
    return all(_COMMA.fullmatch(plain, one.end, two.start) for one, two in (angles[:2], angles[2:]))


def _is_torn(one: _Angle, two: _Angle, angles: Sequence[_Angle]) -> bool:
    """Not a pair where others have hemispheres: `33 48` of `33 48 0 S, 70 36 0 W`, or one that is marked and one that
    is not. Two decimal numbers without a mark still are: they may be what is then said in degrees and minutes.
    """
    if sum(bool(angle.hemisphere) for angle in angles) < 2:
        return False
    return bool(one.hemisphere or two.hemisphere) or not (one.decimal and two.decimal)


def _plain(text: str) -> str:
    """LaTeX, brackets and the many ways to write a mark, reduced to one spelling; runs of blanks become one. A margin
    of error (`±0.1`) goes, as it would pass for a coordinate.
    """
    text = text.translate(_FULL_WIDTH)
    for pattern, by in _REWRITES:
        text = pattern.sub(by, text)
    return text


def _tail(text: str) -> str:
    """The last characters, without the rest of a number that the cut goes through."""
    end = text[-TAIL - 1 :].translate(_FULL_WIDTH)
    if len(end) <= TAIL:
        return end
    return end[1:].lstrip("0123456789.") if end[0] in "+-−–.0123456789" else end[1:]


def _angles(plain: str) -> Iterator[_Angle]:
    for match in _ANGLE.finditer(plain):
        number = match["number"].replace(" ", "")
        size = abs(float(number))
        if match["minutes"]:
            minutes, seconds = float(match["minutes"]), float(match["seconds"] or 0)
            size = size + minutes / 60 + seconds / 3600 if minutes < 60 and seconds < 60 else float("nan")
        hemisphere = match["before"] or match["after"] or ""
        negative = number.startswith("-") or hemisphere in {"S", "W"}
        yield _Angle(
            degrees=-size if negative else size,
            hemisphere=hemisphere,
            label=match["label"] or match["trailing"] or "",
            decimal="." in number,
            start=match.start(),
            number_start=match.start("number"),
            end=match.end(),
        )


def _ordered(one: _Angle, two: _Angle, plain: str) -> Pair:
    """As latitude and longitude. Latitude comes first unless the marks say otherwise; NaN where they contradict."""
    labelled = bool(one.label and two.label)  # a lone label stands in a heading: `lat, lon: 48.86, 2.29`
    first, second = (angle.axis if labelled else _AXIS.get(angle.hemisphere, "") for angle in (one, two))
    if first and first == second:
        return float("nan"), float("nan")
    if first or second:
        swapped = first == _LON or second == _LAT
    else:
        swapped = _LON_LAT_HEADING.search(plain, 0, one.number_start) is not None
    return (two.degrees, one.degrees) if swapped else (one.degrees, two.degrees)


def on_globe(pair: Pair) -> Pair | None:
    """The pair if it is a place; NaN is none."""
    lat, lon = pair
    return (lat + 0.0, lon + 0.0) if abs(lat) <= 90 and abs(lon) <= 180 else None  # + 0.0: no negative zero
