"""The country and the region that a text answers.

Knows the forms of such an answer, English and Chinese, and asks `places` which way to part one with several commas.
Does not know whether it is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from asyncgen.core.thinking import split_thinking
from asyncgen.places.names import countries, divisions
from asyncgen.rewards.tags import tagged_answer
from asyncgen.rewards.text import labelled_line, last_boxed

LONGEST: Final = 4_000
"""Characters of an answer: a longer one is none."""
MOST_PARTS: Final = 8
"""Between commas: an answer with more names no place."""

_MARKS: Final = " \t\r\f\v\u3000$*_`#>{}[]'\"“”「」『』《》•·-"
"""Around a name: blanks, dollars, Markdown's marks, quotes, brackets."""
_ENDS: Final = _MARKS + ".。!！"
_SEPARATOR: Final = re.compile(r"[,，、﹐､;；\n]")
_LABEL: Final = re.compile(
    r"(?:(?P<country>country|nation|国家|國家|国别)"
    r"|(?:first[- ]level |1st[- ]level )?(?:administrative[ _](?:area(?:[ _]level[ _]1)?|region|division)"
    r"|region|state|province|prefecture|(?:一级|一級)?行政(?:区划|區劃|区域|區域|区|區)|地区|地區|省级行政区|省份|省|州))"
    r"[*_`\"' ]{0,8}[:：=][*_`\"' ]{0,8}",
    re.IGNORECASE,
)


def region_answer(text: str, *, lenient: bool = False) -> tuple[str, str] | None:
    """`(country, region)` of a response, as written, or None.

    It is read from the last closed `<answer>` or `<答案>` outside of the thinking. `lenient`: a tag that the end of the
    text left open, a box or a last line `Answer: …` counts too, and a known country alone, with `""` as its region.
    """
    visible = split_thinking(text)[1]
    answer = tagged_answer(visible, unclosed=lenient)
    if answer is None and lenient:
        answer = last_boxed(visible) or labelled_line(visible)
    if answer is None:
        return None
    place = split_place(answer)
    if place is None and lenient:
        country = _named(answer[:LONGEST])[1]
        return (country, "") if countries(country) else None
    return place


def split_place(text: str) -> tuple[str, str] | None:
    """`(country, region)` of `country, region`, the marks and labels around them aside; None where it is no such pair.

    Where there are several commas, a known country with a region known in it is looked for, then a known country, the
    longest first; without one, the country ends at the first comma.
    """
    if len(text) > LONGEST:
        return None
    said = [named for part in _SEPARATOR.split(text) if (named := _named(part))[1]]
    if not 2 <= len(said) <= MOST_PARTS:
        return None
    if len(said) == 2 and said[1][0] == "country":
        return said[1][1], said[0][1]
    return _parted([name for _, name in said])


def _named(part: str) -> tuple[str, str]:
    """`country`, `region` or `""` as its label says, and the name without it and the marks around it."""
    part = part.lstrip(_MARKS)
    label = _LABEL.match(part)
    kind = "" if label is None else "country" if label["country"] else "region"
    return kind, part[label.end() if label else 0 :].lstrip(_MARKS).rstrip(_ENDS)


def _parted(parts: Sequence[str]) -> tuple[str, str]:
    """Where the country ends."""
    if len(parts) == 2:
        return parts[0], parts[1]
    known = [(country, region) for country, region in _splits(parts) if countries(country)]
    both = [pair for pair in known if _is_division(*pair)]
    return (both or known or [(parts[0], ", ".join(parts[1:]))])[0]


def _splits(parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each way to part them in two, the longest country first."""
    for at in range(len(parts) - 1, 0, -1):
        yield ", ".join(parts[:at]), ", ".join(parts[at:])


def _is_division(country: str, region: str) -> bool:
    """Whether one of the region's names, which `/` parts in a row's truth, is known in that country."""
    return any(divisions(name, code) for code in countries(country) for name in region.split("/"))
