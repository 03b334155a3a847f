"""From text to the terms that it is found by: lower case, no accents, English stems; CJK and Thai by characters.

Knows scripts. Does not know an index. Words of Latin script and others are split, folded and stemmed by tantivy's own
analysis; what is written without blanks between words, which that would take for one word, is cut up before.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise

import tantivy

from asyncgen.core.text import repaired

LONGEST = 100
"""Bytes; what is longer is no word, and is not found."""
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u1100-\u11ff\uac00-\ud7ff"  # Hangul: its words have blanks between, but carry their particles
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u31ff"  # radicals, kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
)
_RUN = re.compile(f"[{_UNSPACED}]+")


@cache
def analyzer() -> tantivy.TextAnalyzer:
    """Splits at whatever is neither letter nor number. Accents go before capitals do: İ is no capital of i."""
    kinds = tantivy.Filter
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for one in (kinds.remove_long(LONGEST), kinds.ascii_fold(), kinds.lowercase(), kinds.stemmer("english")):
        builder = builder.filter(one)
    return builder.build()


def spaced(text: str) -> str:
    """The text as `analyzer` is to see it: composed, its runs of CJK and Thai as single characters and pairs."""
    if text.isascii():
        return text
    text = _marks().sub("", unicodedata.normalize("NFKC", repaired(text)))
    return _RUN.sub(_cut, text)


def terms(text: str) -> list[str]:
    """The distinct terms of a text, in the order in which they first stand."""
    return list(dict.fromkeys(analyzer().analyze(spaced(text))))


def _cut(run: re.Match[str]) -> str:
    """Pairs of neighbours find words of two characters or more, single characters those of one."""
    return f" {' '.join((*run[0], *map(''.join, pairwise(run[0]))))} "


@cache
def _marks() -> re.Pattern[str]:
    """Marks that no letter has taken up, and at which a word would be split: Arabic vowels, viramas, tones."""
    found = "".join(re.escape(mark) for mark in map(chr, range(0x300, 0x10000)) if unicodedata.combining(mark))
    return re.compile(f"[{found}]+")
