"""SeekWorld's own accuracy: the rule with which its figures were made.

Knows that rule, with what it gets wrong: Hebei is Hubei to it, and Bayern is not Bavaria. Knows no place. The text is a
model's, so the work is linear in its length; the result is that of the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_OPEN, _CLOSE = "<answer>$", "$</answer>"
SUFFIXES: Final = (
    " province", " sheng", " län", " oblast", " governorate", " city", " province", " state", " territory", " region",
    " district",
)  # fmt: skip
"""In this order, each taken off once; `province` stands twice in the original, too."""
NEAR: Final = 3
"""Two words are the same where the edit distance is less."""


def seekworld_accuracy(response: str, truth: str) -> float:
    """1.0 or 0.0 for a whole response, thinking included, against `$country,region/another name$`.

    The first `<answer>$…$</answer>` in one line, without blanks between tag and dollar, has exactly two parts at a
    comma. In lower case, the country is the true one, letter by letter, and the region has as many words as one of the
    true names, each of them within an edit distance of 2 of another word of it.
    """
    answer = _dollars(response)
    given = None if answer is None else _two(answer)
    true = _two(truth.strip().strip("$").strip())
    if given is None or true is None or given[0] != true[0]:
        return 0.0
    words = _words(given[1])
    return float(any(_same(words, _words(name)) for name in true[1].split("/")))


def _dollars(response: str) -> str | None:
    r"""What `<answer>\$(.*?)\$</answer>` finds first, without that expression's quadratic time."""
    for line in response.split("\n"):
        start = line.find(_OPEN)
        end = line.find(_CLOSE, start + len(_OPEN)) if start >= 0 else -1
        if end >= 0:
            return line[start + len(_OPEN) : end].strip()
    return None


def _two(text: str) -> tuple[str, str] | None:
    """Country and region in lower case; None where there is another number of commas than one."""
    parts = [part.strip().lower() for part in text.split(",", 2)]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def _words(region: str) -> Sequence[str]:
    region = region.lower().strip()
    for suffix in SUFFIXES:
        region = region.removesuffix(suffix)
    return region.split()


def _same(given: Sequence[str], true: Sequence[str]) -> bool:
    """Each word takes the first of the true ones that is near and not taken: the rule looks for no better pairing."""
    if not given or len(given) != len(true):
        return False
    left = list(true)
    for word in given:
        found = next((at for at, other in enumerate(left) if edit_distance(word, other, NEAR) < NEAR), None)
        if found is None:
            return False
        del left[found]
    return True


def edit_distance(one: str, other: str, limit: int) -> int:
    """Levenshtein's: characters to insert, delete or replace; `limit` where it is that or more.

    Only cells within `limit` of the diagonal are computed: O(limit · length) (Ukkonen 1985).
    """
    if abs(len(one) - len(other)) >= limit:
        return limit
    before = {at: at for at in range(min(limit, len(other)) + 1)}
    for row, letter in enumerate(one, 1):
        here: dict[int, int] = {}
        for at in range(max(0, row - limit), min(len(other), row + limit) + 1):
            cost = before.get(at - 1, limit) + (letter != other[at - 1]) if at else limit
            here[at] = min(cost, before.get(at, limit) + 1, here.get(at - 1, limit) + 1)
        if min(here.values()) >= limit:
            return limit
        before = here
    return min(before[len(other)], limit)
