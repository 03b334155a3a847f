r"""Whether two answers are one: their form (choice, words, list, set, tuple, interval, matrix), then what stands in it.

Knows which brackets matter and where order does. Three-valued: what can be told here is told exactly; the rest is for a
`leaf`, or None. The rules, with the truth's form first:

    letter of a choice      its letter decides: `(B) 12`, `B.`, `\text{b}`; `a` is `A`
    words                   the words decide, without case and marks
    1, 2 (and, or, ±)       in any order, also as \{1, 2\}; in this order as (1, 2) or [1, 2]
    \{1, 2\}                in any order, also without braces
    (1, 2)                  in this order, also without brackets, as a vector or a column
    [1, 2), (1, 2] …        the same brackets
    \{5\}                   `5` too
    x = 1                   `1` too, but not `y = 1`; of `2x = 6` neither side alone
    x > 1                   `(1, \infty)` too; `x < 1, x > 2` as a union
    50\%                    `50` and `0.5` too
    5 \text{ cm}            `5` too, but not `5 m`; words that are no unit count things, and must be the same
    AB                      `A, B` too, as letters of choices; never `BA`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from asyncgen.rewards.maths_relations import RELATION, are_named, assigned, by_name, ranges, split, united, values
from asyncgen.rewards.maths_text import DEEPEST, LONGEST, bare, compact, depth, folded, is_wordy, plain
from asyncgen.rewards.maths_units import is_percent, quantities, split_unit, units_agree
from asyncgen.rewards.maths_value import same_value
from asyncgen.rewards.text import last_boxed

Leaf: TypeAlias = Callable[[str, str], bool | None]
"""Whether two plain texts are one, where nothing here can tell."""

MOST_PARTS = 40
LIST, SET, MATRIX = "", r"\{", "matrix"
_ORDERED: Final = frozenset({("(", ")"), ("column", "column")})
_CLOSING: Final = {r"\{": (r"\}",), "(": (")", "]"), "[": (")", "]")}
_OPENERS, _CLOSERS = "{([", "})]"
_JOIN = re.compile(r"\s*(?:,?\s*\\text\s*\{\s*,?\s*(?:and|or)\s*\}|,?\s+(?:and|or)\s+|\\lor(?![A-Za-z])|;)\s*")
_MATRIX = re.compile(r"\\begin\{([pb]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}", re.DOTALL)
_IN_BRACKETS = re.compile(r"[(\[]\s*(\\begin\{(array|matrix)\}.*\\end\{\2\})\s*[)\]]", re.DOTALL)
_BOTH_SIGNS = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")
_CLOCK = re.compile(r"(\d{1,2}:\d{2})\s*(am|pm)?", re.IGNORECASE)
_WHOLE = re.compile(
    r"(?:,|\(|\s|\\text\s*\{[\s,]*(?:where|for|with|and)?(?:\s(?:any|all|some))?\s*\})\s*(?:(?:where|for)\s+)?\(?([a-z])\s*"
    r"(?:\\in\s*\\mathbb\s*\{?Z\}?|\\text\s*\{\s*(?:is\s)?(?:an\s|any\s)?integer\s*\}|is an integer)\s*\)?\Z"
)
_PHRASES: Final = {
    **dict.fromkeys(("all real numbers", "all reals", "the set of all real numbers"), r"\mathbb{R}"),
    **dict.fromkeys(
        ("no solution", "no solutions", "there is no solution", "there are no solutions", "empty set", "the empty set"),
        r"\emptyset",
    ),
    **dict.fromkeys(("no real solution", "no real solutions"), r"\text{no real solution}"),
}
_CAPITALS = re.compile(r"[A-Z]{2,}")
_LETTERS = re.compile(r"[A-J](?:,[A-J])*|\([A-J]\)(?:,\([A-J]\))*|[A-J]{2,}")
_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\s+)?(?:[(\[]\s*([A-J])\s*[)\]]|([A-J])(?=$|[).:]))[).:]*\s*(.*)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Collection:
    """Parts in brackets."""

    opening: str
    closing: str
    parts: tuple[str, ...]

    @property
    def is_alone(self) -> bool:
        r"""A set of one: `\{5\}`, which may be meant as 5; `\{\emptyset\}` may not be meant as `\emptyset`."""
        return self.opening == SET and len(self.parts) == 1 and r"\emptyset" not in self.parts


def undecided(_one: str, _other: str) -> bool | None:
    """A leaf that knows nothing."""
    return None


def same_answer(answer: str, truth: str, leaf: Leaf = undecided) -> bool | None:
    """Whether they are one; None where neither the rules here nor the leaf can tell."""
    if answer.strip() == truth.strip():
        return bool(answer.strip())
    if max(len(answer), len(truth)) > LONGEST or max(depth(answer), depth(truth)) > DEEPEST:
        return False
    answer, truth = _read(answer), _read(truth)
    if not compact(answer) or not compact(truth):
        return False
    verdict = _same_letters(answer, truth)
    if verdict is None:
        verdict = _same_choice(answer, truth)
    return _same(answer, truth, leaf) if verdict is None else verdict


@lru_cache(maxsize=4096)
def _read(text: str) -> str:
    """In plain spelling, `and` and `or` as commas, some phrases as signs."""
    text = plain(last_boxed(text) or text if "boxed" in text or "fbox" in text else text)
    text = united(_JOIN.sub(", ", _without_whole(text)))
    while text.startswith("{") and text.endswith("}") and _is_one_group(text, "{", "}"):
        text = text[1:-1].strip()
    return _PHRASES.get(folded(text), text) if is_wordy(text) else text


def _without_whole(text: str) -> str:
    r"""`k\pi, k \in \mathbb{Z}` without what goes without saying."""
    if "Z" not in text and "integer" not in text:
        return text
    match = _WHOLE.search(text)
    return text[: match.start()].rstrip(", ") if match and match[1] in text[: match.start()] else text


def _same_letters(answer: str, truth: str) -> bool | None:
    """Several choices: `A, B, D` is `ABD`, where one of them is written with commas and the other without."""
    ours, theirs = (bare(text).replace(" ", "") for text in (answer, truth))
    if ("," in ours) == ("," in theirs) or not _LETTERS.fullmatch(ours) or not _LETTERS.fullmatch(theirs):
        return None
    one, other = (sorted(re.sub(r"[(),]", "", text)) for text in (ours, theirs))
    return one == other and len(set(one)) == len(one)


def _same_choice(answer: str, truth: str) -> bool | None:
    """The letters of a choice, where the truth is one."""
    wanted = _CHOICE.fullmatch(bare(truth))
    if not wanted:
        return None
    letter, rest = wanted[1] or wanted[2], wanted[3]
    if not letter.isupper():
        return None
    given = _CHOICE.fullmatch(bare(answer))
    if given:
        return (given[1] or given[2]).upper() == letter
    return _same(answer, rest, undecided) if rest else None


def _same(answer: str, truth: str, leaf: Leaf) -> bool | None:
    """Of two plain texts."""
    if compact(answer) == compact(truth):
        return True
    answer, truth = ranges(*values(answer, truth))
    if compact(bare(answer)) == compact(bare(truth)):
        return True
    ours, theirs = _collection(answer), _collection(truth)
    if ours and ours.is_alone and not (theirs and theirs.opening == SET):
        return _same(ours.parts[0], truth, leaf)
    if theirs and theirs.is_alone and not (ours and ours.opening == SET):
        return _same(answer, theirs.parts[0], leaf)
    if ours is None and theirs is None:
        return _same_single(answer, truth, leaf)
    verdict = _same_collection(ours or _again(answer, theirs), theirs or _again(truth, ours), leaf)
    if verdict is not None:
        return verdict
    if is_wordy(answer) or is_wordy(truth):
        return folded(answer) == folded(truth)
    return leaf(answer, truth)


def _same_single(answer: str, truth: str, leaf: Leaf) -> bool | None:
    """Neither is a collection."""
    if (assigned(answer) and assigned(truth)) or _is_half(answer, truth) or _is_half(truth, answer):
        return False  # values of two names; one side of an equation, which is not the equation
    unions = split(answer, r"\cup"), split(truth, r"\cup")
    if len(unions[0]) == len(unions[1]) > 1 and _in_any_order(*unions, leaf):
        return True
    verdict = _same_words(answer, truth)
    if verdict is not None:
        return verdict
    (ours, unit), (theirs, other_unit) = split_unit(answer), split_unit(truth)
    if is_wordy(ours) or is_wordy(theirs):
        return folded(answer) == folded(truth)
    if {unit, other_unit} == {"cent", "dollar"}:
        return same_value(f"({ours})/100" if unit == "cent" else ours, theirs if unit == "cent" else f"({theirs})/100")
    verdict = None if RELATION.search(answer + truth) else _same_quantity(ours, unit, theirs, other_unit)
    if verdict is not None:
        return verdict
    if not units_agree(unit, other_unit):
        return False
    if is_percent(unit) != is_percent(other_unit):
        return leaf(answer.replace("%", r"\%"), truth.replace("%", r"\%"))
    if compact(ours) == compact(theirs):
        return True
    return leaf(ours, theirs)


def _is_half(equation: str, side: str) -> bool:
    return "=" in equation and not RELATION.search(side)


def _same_words(answer: str, truth: str) -> bool | None:
    """Of clocks, words in capitals and `5 ft 6 in`; None for anything else."""
    ours, theirs = bare(answer), bare(truth)
    clocks = _CLOCK.fullmatch(ours), _CLOCK.fullmatch(theirs)
    if clocks[0] and clocks[1] and (clocks[0][2] or clocks[1][2]):
        halves = {(clock[2] or "").casefold() for clock in clocks if clock}
        return clocks[0][1] == clocks[1][1] and halves != {"am", "pm"}
    if _CAPITALS.fullmatch(ours) and _CAPITALS.fullmatch(theirs):
        return ours == theirs  # `IX` is no product
    measured = quantities(ours), quantities(theirs)
    if measured[0] or measured[1]:
        return measured[0] == measured[1]
    return None


def _same_quantity(ours: str, unit: str, theirs: str, other_unit: str) -> bool | None:
    """Values, and whether the units speak against it. A percentage may be meant as it is written, or as a hundredth."""
    if is_percent(unit) != is_percent(other_unit) and units_agree(unit, other_unit):
        pair = (f"({ours})/100", theirs) if is_percent(unit) else (ours, f"({theirs})/100")
        verdicts = same_value(ours, theirs), same_value(*pair)
        return True if any(verdicts) else None if None in verdicts else False
    verdict = same_value(ours, theirs)
    return units_agree(unit, other_unit) if verdict else verdict


def _same_collection(answer: _Collection | str, truth: _Collection | str, leaf: Leaf) -> bool | None:
    """None where their forms say nothing of each other."""
    if isinstance(answer, str) or isinstance(truth, str):
        single = answer if isinstance(answer, str) else truth
        return False if isinstance(single, str) and (is_wordy(single) or same_value(single, single)) else None
    if MATRIX in {answer.opening, truth.opening} and answer.opening != truth.opening:
        return None
    if len(answer.parts) != len(truth.parts):
        return False if answer.opening == truth.opening else None
    if truth.opening == SET:
        return _in_any_order(answer.parts, truth.parts, leaf) if answer.opening in {SET, LIST} else False
    if truth.opening == LIST:
        if answer.opening in {SET, LIST} and are_named(answer.parts) == are_named(truth.parts):
            return _in_any_order(answer.parts, truth.parts, leaf)
        return _in_order(by_name(answer.parts), by_name(truth.parts), leaf)
    brackets, true_brackets = (answer.opening, answer.closing), (truth.opening, truth.closing)
    is_bare = answer.opening == LIST or brackets in _ORDERED
    if brackets == true_brackets or (is_bare and true_brackets in _ORDERED):
        return _in_order(by_name(answer.parts), by_name(truth.parts), leaf)
    return False


def _in_order(answer: Sequence[str], truth: Sequence[str], leaf: Leaf) -> bool | None:
    """Each with the one in its place."""
    undecided_ones = False
    for ours, theirs in zip(answer, truth, strict=True):
        verdict = _same(ours, theirs, leaf)
        if verdict is False:
            return False
        undecided_ones = undecided_ones or verdict is None
    return None if undecided_ones else True


def _in_any_order(answer: Sequence[str], truth: Sequence[str], leaf: Leaf) -> bool | None:
    """Each with another one; what can be told without the leaf is told first."""
    left, unknown = list(truth), list[str]()
    for ours in answer:
        verdicts = [_same(ours, theirs, undecided) for theirs in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        elif None in verdicts:
            unknown.append(ours)
        else:
            return False
    for ours in unknown:
        verdicts = [_same(ours, theirs, leaf) for theirs in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        else:
            return None if None in verdicts else False
    return True


def _collection(text: str) -> _Collection | None:
    """The parts of a list, set, tuple, interval or matrix; None for a single thing."""
    if match := _MATRIX.fullmatch(_unwrapped(text)):
        rows = [row for row in match[2].split("\\\\") if row.strip()]
        cells = [tuple(cell.strip() for cell in row.split("&")) for row in rows]
        if len(cells) > 1 and all(len(row) == 1 for row in cells):
            return _Collection("column", "column", tuple(row[0] for row in cells))
        shape = f"{len(cells)}x{len(cells[0]) if cells else 0}"
        return _Collection(MATRIX, shape, (shape, *(cell for row in cells for cell in row)))
    parts = split(text, ",")
    if len(parts) > 1 or _BOTH_SIGNS.search(text):
        named = [both for part in parts for both in _both_signs(part)]
        return _Collection(LIST, "", tuple(_spread(named))) if 1 < len(named) <= MOST_PARTS else None
    for opening, closings in _CLOSING.items():
        for closing in closings:
            if text.startswith(opening) and text.endswith(closing):
                inside = text[len(opening) : -len(closing)]
                inner = split(inside, ",", thousands=", " in inside)  # `(0,180)` is a pair
                if _is_one_group(text, opening, closing) and (len(inner) > 1 or opening == SET):
                    signs = [both for part in inner for both in _both_signs(part)] if opening == SET else inner
                    return _Collection(opening, closing, tuple(signs)) if len(signs) <= MOST_PARTS else None
    return None


def _unwrapped(text: str) -> str:
    """A matrix without the brackets that an `array` has around it."""
    match = _IN_BRACKETS.fullmatch(text)
    return match[1] if match else text


def _is_one_group(text: str, opening: str, closing: str) -> bool:
    """Whether the first bracket is closed by the last: `(1, 2) + (3, 4)` is no tuple."""
    level = 0
    for place, one in enumerate(text[: -len(closing)]):
        level += (one in _OPENERS) - (one in _CLOSERS)
        if level <= 0 and place >= len(opening):
            return False
    return True


def _spread(parts: Sequence[str]) -> list[str]:
    """`x = 1, 2` says that x is 1 or 2."""
    first = assigned(parts[0])
    if first and not any(RELATION.search(part) for part in parts[1:]):
        return [first[1], *parts[1:]]
    return list(parts)


def _both_signs(text: str) -> list[str]:
    """`1 ± a` as its two values."""
    if not _BOTH_SIGNS.search(text):
        return [text]
    pieces = _BOTH_SIGNS.split(text)
    uppers = ["+" if sign == r"\pm" else "-" for sign in _BOTH_SIGNS.findall(text)]
    lowers = ["-" if sign == "+" else "+" for sign in uppers]
    return [pieces[0] + "".join(map("".join, zip(signs, pieces[1:], strict=True))) for signs in (uppers, lowers)]


def _again(text: str, other: _Collection | None) -> _Collection | str:
    """`100,200` is a number, and a list where the other text is one of as many parts."""
    parts = tuple(part.strip() for part in text.split(","))
    fits = other and re.fullmatch(r"[-\d,. ]+", text) and len(parts) == len(other.parts) > 1
    return _Collection(LIST, "", parts) if fits else text
