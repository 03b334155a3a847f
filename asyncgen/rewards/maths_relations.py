r"""What an answer says of a name: `x = 1`, `S = \pi r^2 = 9\pi`, `x \equiv 3`, `1 < x \le 3`; where texts are split.

Knows which left sides are names, so that the right one alone is the answer (`f(2) = 5`, `P(A)`, `\angle ABC`), and
which are not (`2x = 6`). Does not know values, but to see that a chain of equal numbers is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from asyncgen.rewards.maths_units import split_unit
from asyncgen.rewards.maths_value import real_value, same_value

RELATION: Final = re.compile(r"[=<>]|\\(?:le|ge|ne|in|lt|gt|approx|equiv)(?![A-Za-z])")

_OPENERS, _CLOSERS = "{([", "})]"
_LETTER: Final = r"(?:[A-Za-z]|\\(?!(?:pi|infty|text)(?![a-zA-Z]))[a-zA-Z]+)(?:_(?:\w|\{\w+\}))?'*(?:\s*\([^()]*\))?"
_FIGURE: Final = (
    r"m?\s*\\(?:measured)?(?:angle|triangle|overline|overrightarrow|vec|widehat|hat|bar|sin|cos|tan|cot|sec|csc)\s*"
    r"(?:\{?\s*[A-Za-z]{1,4}\s*\}?|\\angle\s*[A-Z]{1,3}|\\[a-z]+)"
)
_NAME_SIDE = re.compile(
    rf"{_LETTER}|{_FIGURE}|[A-Z]{{2,5}}|\|[A-Z]{{2}}\||\[[A-Z]{{3,6}}\]|\\text\s*\{{[^{{}}]*\}}(?:\s*\\?[A-Za-z]+)?"
    r"|[A-Za-z]{4,}(?:\s[A-Za-z]+)*|[A-Za-z](?::[A-Za-z])+|\(\s*[a-z](?:\s*,\s*[a-z])+\s*\)"
)
_ASSIGNED = re.compile(rf"({_LETTER})\s*(?:=|\\(?:in|equiv)(?![A-Za-z]))\s*(.+)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z](?:_\w)?|\\[a-z]+")
_INEQUALITY = re.compile(r"\s*(<|>|\\le(?![a-z])|\\ge(?![a-z]))\s*")
_FLIPPED: Final = {">": "<", r"\ge": r"\le"}
_INTERVAL = re.compile(r"[(\[][^()\[\]]*,[^()\[\]]*[)\]]")
_BEFORE_THOUSANDS = re.compile(r"(?<![\d.])[1-9]\d{0,2}(?:,\d{3})*\Z")
_THOUSANDS = re.compile(r",\d{3}(?!\d)")


def values(answer: str, truth: str) -> tuple[str, str]:
    """Without `x =` where only one of them has it, or both the same."""
    ours, theirs = assigned(answer), assigned(truth)
    if ours and theirs:
        return (ours[1], theirs[1]) if ours[0] == theirs[0] else (answer, truth)
    if not RELATION.search(truth):
        return _shown(answer), truth
    if not RELATION.search(answer):
        return answer, _shown(truth)
    return answer, truth


def _shown(text: str) -> str:
    """The last value of a text that shows how it was come by: `x = 1`, `2 + 3 = 5`, `S = \\pi r^2 = 9\\pi`; any other
    text as it is. What is equal to it before is a name, or the same number; between a name and it, anything that is not
    another number."""
    if found := assigned(text):
        return found[1]
    *sides, last = split(text, "=")
    if not sides or set(RELATION.findall(text)) != {"="} or len(split(text, ",")) > 1:
        return text
    value = split_unit(last)[0]
    numbers = [side for side in sides if real_value(split_unit(side)[0]) is not None]
    if not all(same_value(split_unit(side)[0], value) for side in numbers):
        return text
    return last if _NAME_SIDE.fullmatch(sides[0]) or len(numbers) == len(sides) else text


def assigned(text: str) -> tuple[str, str] | None:
    """The name and the value of `x = value`, where nothing else is said."""
    match = _ASSIGNED.fullmatch(text)
    if not match or RELATION.search(match[2]):
        return None
    return match[1].replace(" ", ""), match[2].strip()


def by_name(parts: Sequence[str]) -> Sequence[str]:
    """`y = 1, x = 2` in the order of the letters, where these are neighbours, or one with numbers; anything else as it
    is."""
    names = [found[0] for part in parts if (found := assigned(part))]
    letters = "".join(sorted(names))
    numbered = all(re.fullmatch(r"\w_\d", name) for name in names) and len({name[0] for name in names}) == 1
    if len(names) < len(parts) or not (numbered or letters in "abcdefghijklmnopqrstuvwxyz"):
        return parts
    return [part for _, part in sorted(zip(names, parts, strict=True))]


def are_named(parts: Sequence[str]) -> bool:
    """`x = 1, y = 2`, `3 boys, 4 girls`: each part says of what it is the value."""
    for names in (
        [found[0] for part in parts if (found := assigned(part))],
        [unit for part in parts if (unit := split_unit(part)[1])],
    ):
        if len(set(names)) == len(parts):
            return True
    return False


def ranges(answer: str, truth: str) -> tuple[str, str]:
    """Inequalities as intervals, where both are of one letter, or the other one is an interval."""
    ours, theirs = _interval(answer), _interval(truth)
    if ours and theirs:
        return (ours[1], theirs[1]) if ours[0] == theirs[0] else (answer, truth)
    if ours and _INTERVAL.fullmatch(truth):
        return ours[1], truth
    if theirs and _INTERVAL.fullmatch(answer):
        return answer, theirs[1]
    return answer, truth


def united(text: str) -> str:
    r"""`x < 1, x > 2` as `x \in (-\infty, 1) \cup (2, \infty)`: apart, they can only be meant so; any other text as it
    is."""
    if not ("<" in text or ">" in text or r"\le" in text or r"\ge" in text):
        return text
    found = [_interval(part) for part in split(text, ",")]
    known = [one for one in found if one]
    if len(found) < 2 or len(known) < len(found) or len({name for name, _ in known}) > 1:
        return text
    bounds = [tuple(map(real_value, split(interval[1:-1], ","))) for _, interval in known]
    ends = sorted((low, high) for low, high in bounds if low is not None and high is not None)
    apart = all(one[1] <= other[0] for one, other in pairwise(ends))
    if len(ends) < len(found) or not apart:
        return text
    return rf"{known[0][0]} \in " + r" \cup ".join(interval for _, interval in known)


def _interval(text: str) -> tuple[str, str] | None:
    """The letter and the interval of `x < 3`, `3 > x`, `1 < x \\le 3`."""
    sides = _INEQUALITY.split(text)
    if len(sides) not in {3, 5} or not all(sides) or "," in text:
        return None
    if sides[1] in {">", r"\ge"}:
        sides = [_FLIPPED.get(side, side) for side in reversed(sides)]
    if any(sign not in {"<", r"\le"} for sign in sides[1::2]):
        return None
    if len(sides) == 3:
        sides = [r"-\infty", "<", *sides] if _NAME.fullmatch(sides[0]) else [*sides, "<", r"\infty"]
    low, first, name, second, high = sides
    if not _NAME.fullmatch(name) or name in low + high.replace(r"\infty", ""):
        return None
    return name, f"{'(' if first == '<' else '['}{low}, {high}{')' if second == '<' else ']'}"


def split(text: str, mark: str, *, thousands: bool = True) -> list[str]:
    """At the marks that stand in no brackets; a comma between thousands is none, where there may be such."""
    parts, level, start = [], 0, 0
    place = 0
    while place < len(text):
        one = text[place]
        level += (one in _OPENERS) - (one in _CLOSERS)
        if level == 0 and text.startswith(mark, place) and not (thousands and _is_thousands(text, place)):
            parts.append(text[start:place].strip())
            start = place = place + len(mark)
            continue
        place += 1
    parts.append(text[start:].strip())
    return parts if all(parts) else [text]


def _is_thousands(text: str, place: int) -> bool:
    """Whether the mark at this place is the comma of `1,234`."""
    before = _BEFORE_THOUSANDS.search(text, max(0, place - 40), place)
    return bool(before) and bool(_THOUSANDS.match(text, place))
