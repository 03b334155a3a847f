"""The names in an answered region: `Lazio/Latium`, `Lazio, Rome`.

Knows which of them must be right, and which say that another place may be meant. Does not know which place is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from asyncgen.places.folding import folded
from asyncgen.places.names import Codes, countries, divisions
from asyncgen.rewards.region_rows import region_codes
from asyncgen.rewards.region_text import MOST_PARTS

LONGEST: Final = 40
"""Characters of a city's name: what is longer is none."""
_WORDS: Final = 5
"""Of the longest name that is looked for in a text."""
_LETTERS: Final = 10
"""The same where there are no blanks between words."""
_HEDGES: Final = frozenset(
    ["or", "and", "not", "maybe", "perhaps", "possibly", "probably", "likely", "either", "oder", "und", "vielleicht",
     "ou", "et", "peut", "o", "y", "e", "u", "quizas", "talvez", "forse", "или", "и"]
)  # fmt: skip
_ASIAN_HEDGES: Final = ("或", "还是", "還是", "可能")
_NO_BLANKS: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Scripts without blanks between words."""


def is_one_of(name: str, names: Iterable[str]) -> bool:
    """Whether it is one of these but for case, accents and punctuation; an empty one is none."""
    given = folded(name)
    return bool(given) and any(given == folded(one) for one in names)


def said(region: str, codes: Codes, aliases: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """The names that must all be right, and what stands after them, a city as it should be.

    The whole text is one name where it is one of the aliases or known in these countries. Else it ends at the first
    comma, if what stands before is known; `/` parts names of one place. In a country that is not known nothing may
    follow.
    """
    if is_one_of(region, aliases) or region_codes([region], codes):
        return (region,), ""
    head, _, rest = region.partition(", ")
    for text, after in ((head, rest), (region, "")) if codes else ((region, ""),):
        names = tuple(name.strip() for name in re.split("[/／]", text))
        if len(names) <= MOST_PARTS and any(is_one_of(name, aliases) or region_codes([name], codes) for name in names):
            return names, after
    return (region,), ""


def names_another(text: str, codes: Codes, right: Codes, own: Codes = frozenset()) -> bool:
    """Whether a division of these countries stands in it that is not one of the right ones, or a country that is
    neither one of these nor `own`, or a word such as `or`. A city that is called like one (Kansas City) is taken for
    it."""
    return any(_is_another(part, codes, right, codes | own) for part in text.split(", ") if part)


def _is_another(part: str, codes: Codes, right: Codes, here: Codes) -> bool:
    words = folded(part).split()
    if len(part) > LONGEST or not _HEDGES.isdisjoint(words) or any(word in part for word in _ASIAN_HEDGES):
        return True
    for name in (part, *_codes(part), *_names(words)):
        found = frozenset[str]().union(*(divisions(name, code) for code in codes))
        other = countries(name)
        if not found & right and (found or (other and not other & here)):
            return True
    return False


def _codes(part: str) -> Iterator[str]:
    """Words that may be a code of two letters: Louisiana's is `LA`, and not the article in La Jolla."""
    return (word for word in re.findall(r"\w+", part) if len(word) == 2 and word.isupper())


def _names(words: list[str]) -> Iterator[str]:
    """Names that may stand in it: some words one after the other, or some letters where no blanks part words."""
    for start in range(len(words)):
        for end in range(start + 1, min(start + _WORDS, len(words)) + 1):
            name = " ".join(words[start:end])
            if len(name) > 2 or _NO_BLANKS.search(name):  # two letters: a code, or an article
                yield name
    for word in words:
        if _NO_BLANKS.search(word):
            spans = ((start, start + size) for start in range(len(word)) for size in range(2, _LETTERS + 1))
            yield from (word[start:end] for start, end in spans if end <= len(word))
