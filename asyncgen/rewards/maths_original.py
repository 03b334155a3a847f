r"""The comparison of the scripts that this job replaces, for results that must equal theirs.

Knows their reading and its faults: the first box, cut at the first closing brace (`\boxed{\frac{1}{2}}` is
`\frac{1`); without a box what follows `the answer is`, `therefore`, `so` … up to the next point or comma (`3.5` is
`3`); else the last short line. Prefer the other rule.
"""

from __future__ import annotations

import re
from typing import Final

_BOX = "\\boxed{"
_THEREFORE: Final = ("therefore", "so", "hence", "thus")
_PHRASES: Final = (
    re.compile(r"[Tt]he answer is\s*([^\n.,;]+)"),
    *(re.compile(rf"[{word[0].upper()}{word[0]}]{word[1:]}[,\s]+([^\n.,;]+)") for word in _THEREFORE),
    *(re.compile(rf"[{word[0].upper()}{word[0]}]{word[1:]}[:\s]+([^\n.,;]+)") for word in ("answer", "result")),
)
"""In this order, wherever they stand."""
_SHORT = 50
"""Characters of a line that is no answer any more."""
_DROPPED = re.compile(r"[^\w\-+./()]")
_NEAR = 1e-6
_LONGEST = 1_000_000
"""Characters of a solution that are read."""


def original_answer(text: str) -> str:
    """What the scripts read as the answer of a whole response, thinking and all; `""` if nothing."""
    text = text[:_LONGEST]
    # As `\\boxed\{([^}]*)\}` would find it, which looks for a brace that is not there once for each box.
    if (start := text.find(_BOX)) >= 0 and (end := text.find("}", start)) >= 0:
        return text[start + len(_BOX) : end].strip()
    for pattern in _PHRASES:
        if match := pattern.search(text):
            return match[1].strip()
    lines = (line.strip() for line in reversed(text.strip().split("\n")))
    return next((line for line in lines if line and not line.startswith("\\") and len(line) < _SHORT), "")


def original_same(answer: str, truth: str) -> bool:
    """Equal letters, digits and `_ - + . / ( )` without case, or numbers less than 1e-6 apart."""
    if not answer or not truth:
        return False
    ours, theirs = (_DROPPED.sub("", text.lower()) for text in (answer, truth))
    if ours == theirs:
        return True
    try:
        return abs(float(ours) - float(theirs)) < _NEAR
    except ValueError:
        return False
