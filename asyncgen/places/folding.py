"""What two spellings of a name have in common.

Knows letters and marks. Knows no name.
"""

from __future__ import annotations

import re
import unicodedata

_LETTERS = {
    # Letters that Unicode does not take apart into a plain letter and a mark.
    "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŋ": "n", "ŧ": "t", "ə": "a", "ǝ": "a", "æ": "ae",
    "œ": "oe", "þ": "th", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ƴ": "y",
    # Arabic: alef maksura and teh marbuta are typed as yeh and heh; a stroke only lengthens a word; Persian letters.
    "ى": "ي", "ة": "ه", "ـ": "", "ک": "ك", "ی": "ي",
    "&": " and ",
    # Written in transcriptions and left out as often: cote d'ivoire, oblast', Sana‘a, Hawaiʻi.
    **dict.fromkeys("'`‘’‛′‵″ʹʺʻʼʽʾʿˈˊˋ՚׳״", ""),
}  # fmt: skip
# Marks that are no letters of their own: Latin, Greek, Cyrillic; Hebrew points; Arabic vowels and hamza. Marks of other
# scripts stay: Indian and Thai vowels are marks too, and in Japanese they tell ga from ka.
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")  # fmt: skip  # noqa: E501  # one class of characters
_BLANKS = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85")

_INITIALS = re.compile(r"\b[a-z](?: [a-z])+\b")
_SAINT = {"saint": "st", "sainte": "ste"}


class _Table(dict[int, str]):
    """Code point → what stands for it, worked out when first met."""

    _MOST = (
        20_000  # of the 150 000 characters there are: a text made of all of them must not grow the table without end
    )

    def __missing__(self, code: int) -> str:
        found = _meaning(chr(code))
        if len(self) < self._MOST:
            self[code] = found
        return found


def _meaning(character: str) -> str:
    if _MARKS.match(character):
        return ""
    kind = unicodedata.category(character)[0]
    if kind in "LMN":
        return _LETTERS.get(character, character)
    return _LETTERS.get(character, "" if kind == "C" and character not in _BLANKS else " ")


_TABLE = _Table()


def folded(text: str) -> str:
    """The text in lower case without accents, apostrophes and zero-width characters; punctuation is a blank, blanks are
    single, `&` is `and`, `saint` is `st`, initials are one word (`U.S.A.` is `usa`), a leading `the` is left out.

    Idempotent. Raises nothing. Names of one place in different scripts stay different.
    """
    words = [_SAINT.get(word, word) for word in _plain(text).split()]
    while len(words) > 1 and words[0] == "the":
        words = words[1:]
    name = " ".join(words)
    return _INITIALS.sub(_joined, name) if len(words) > 1 else name


def _joined(initials: re.Match[str]) -> str:
    return initials[0].replace(" ", "")


def _plain(text: str) -> str:
    """Lower-case letters, digits and blanks."""
    if text.isascii():
        return text.lower().translate(_TABLE)
    # NFKD would make a blank and an accent of this one.
    text = unicodedata.normalize("NFKD", text.replace("´", "'").casefold())
    again = text.casefold()
    if again != text:  # a few letters come apart into others that fold: U+1D2C, U+0345
        text = unicodedata.normalize("NFKD", again)
    return unicodedata.normalize("NFC", text.translate(_TABLE))
